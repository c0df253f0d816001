"""Another configuration for a running gateway: swapped whole, or refused and the old one kept."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cli.bootstrap import FORMATS
from cli.gateway import Gateway
from cli.leading import LeadersWork
from cli.ministry_bus import ministry_bus
from cli.reload import FIXED, reload, with_fixed
from gateway.bus.bus import Bus
from gateway.bus.keys import demo_encryption_key_path
from gateway.errors import Misconfigured, Unavailable
from gateway.ledger.signer_file import FileSigner
from gateway.observe.log import configure_logging
from gateway.pipeline.notary import Notary
from gateway.pipeline.worker import Worker
from gateway.settings import Settings
from gateway.soap import SoapPartner
from gateway.soap.wsse import PartySecrets
from gateway.states import PublicState
from gateway.values import replace
from gateway.web.authentication import PartyKeys
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens, ensure_operator_tokens
from gateway.web.soap_services import SoapDoor, SoapServices, taking
from gateway.web.tokens import demo_key_path, ensure_demo_keys
from gateway.webhooks import Webhooks
from tests.doubles import ScriptedPartner
from tests.pipeline.world import World, open_world
from tests.web.site import Site, with_free_ports


class Closing(ScriptedPartner):
    """A partner that tells when it is given back."""

    closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """The log; whatever a reload makes of logging is undone."""
    stream = io.StringIO()
    configure_logging("info", stream)
    yield stream
    logging.getLogger().handlers[:] = []
    logging.getLogger("gateway").setLevel(logging.NOTSET)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    opened = await open_world(tmp_path)
    partners = {name: Closing(**vars(old)) for name, old in opened.engine.partners.items()}
    settings = with_free_ports(opened.engine.settings)
    gateway = settings.gateway.model_copy(update={"data_directory": str(tmp_path)})
    settings = settings.model_copy(update={"gateway": gateway})
    opened.engine = replace(opened.engine, settings=settings, partners=partners)
    return opened


@pytest.fixture
async def gateway(world: World, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A running gateway on free ports with scripted partners."""
    engine = world.engine
    ensure_demo_keys(engine.settings, tmp_path)
    ensure_operator_tokens(tmp_path)
    keys, operators = PartyKeys.load(engine.settings, tmp_path), OperatorTokens.load(tmp_path)
    host = WebHost(engine, FORMATS, keys, operators, grace_s=1.0)
    await host.start()
    door = SoapDoor(PartySecrets({}), engine.ledger.use_token, engine.clock)
    soap = SoapServices((), {}, taking(engine), door)
    signer = FileSigner(tmp_path / "keys")
    notary = Notary(engine.ledger, signer, engine.clock, engine.metrics, interval_s=30)
    work = LeadersWork(lambda: engine, Webhooks(engine, {}), None)
    running = Gateway(engine, host, soap, notary, work)
    running._carrying = asyncio.create_task(running.worker.run())
    yield running
    await running.stop()


@pytest.fixture
async def site(world: World, gateway: Gateway, tmp_path: Path) -> AsyncIterator[Site]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield Site(world, tmp_path, gateway.host, session)


def changed(settings: Settings, **parts: Any) -> Callable[[], Settings]:
    return lambda: settings.model_copy(update=parts)


def with_nic(settings: Settings, **changes: Any) -> dict[str, Any]:
    nic = settings.destinations["nic"].model_copy(update=changes)
    return {"destinations": {**settings.destinations, "nic": nic}}


async def until_true(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_what_is_under_way_ends_with_its_own_partner_which_is_closed_only_then(
    gateway: Gateway, world: World, site: Site
) -> None:
    nic = gateway.engine.partners["nic"]
    assert isinstance(nic, Closing)
    nic.gate = asyncio.Event()
    submitted = await site.submit()
    await until_true(lambda: nic.sent)
    await reload(gateway, changed(gateway.engine.settings, **with_nic(gateway.engine.settings, deadline_s=4)))
    assert isinstance(gateway.engine.partners["nic"], SoapPartner)
    assert not nic.closed
    nic.gate.set()
    await until_true(lambda: nic.closed)
    (row,) = await world.rows(submitted.json["batch_id"])
    assert row.public_state is PublicState.ISSUED


async def test_a_partner_whose_settings_are_the_same_goes_on(gateway: Gateway) -> None:
    before = dict(gateway.engine.partners)
    await reload(gateway, changed(gateway.engine.settings, **with_nic(gateway.engine.settings, deadline_s=4)))
    after = gateway.engine.partners
    assert [name for name in before if after[name] is not before[name]] == ["nic"]
    assert not before["passports"].closed  # type: ignore[attr-defined]


async def test_the_worker_carries_on_with_the_new_configuration(
    gateway: Gateway, world: World, site: Site
) -> None:
    await reload(gateway, changed(gateway.engine.settings))
    await reload(gateway, changed(gateway.engine.settings))
    submitted = await site.submit()
    rows = await world.rows(submitted.json["batch_id"])
    async with asyncio.timeout(5):
        while rows[0].public_state is not PublicState.ISSUED:
            await asyncio.sleep(0.01)
            rows = await world.rows(submitted.json["batch_id"])


async def test_requests_see_the_new_limits_and_the_new_policy(gateway: Gateway, site: Site) -> None:
    settings = gateway.engine.settings
    submitted = (await site.submit()).json["batch_id"]
    intake = settings.gateway.intake.model_copy(update={"max_batch_bytes": 10})
    shown = {"service_center": ("line", "state")}
    policy = settings.confidentiality.model_copy(update={"results": shown, "version": "2"})
    limited = settings.gateway.model_copy(update={"intake": intake})
    await reload(gateway, changed(settings, gateway=limited, confidentiality=policy))
    page = await site.get(f"/v1/batches/{submitted}/applications")
    assert set(page.json["applications"][0]) == {"line", "state"}
    assert (await site.submit(key="2")).code == "batch_too_large"
    assert "policy=2" in gateway.engine.versions()


async def test_a_request_under_way_ends_under_the_configuration_that_it_began_with(
    gateway: Gateway, site: Site
) -> None:
    settings = gateway.engine.settings
    begun, go_on = asyncio.Event(), asyncio.Event()
    body = site.batch(2)

    async def slow() -> Any:
        yield body[:100]
        begun.set()
        await go_on.wait()
        yield body[100:]

    submitting = asyncio.create_task(site.submit(slow()))
    await begun.wait()
    await until_true(lambda: _received(gateway))
    intake = settings.gateway.intake.model_copy(update={"max_batch_bytes": 10})
    await reload(gateway, changed(settings, gateway=settings.gateway.model_copy(update={"intake": intake})))
    go_on.set()
    assert (await submitting).status == 202


def _received(gateway: Gateway) -> bool:
    public = gateway.host._public
    return public is not None and bool(public.under_way._count)


async def test_a_party_that_is_added_or_taken_away_is_so_at_once(gateway: Gateway, site: Site) -> None:
    settings = gateway.engine.settings
    first, *others = settings.parties
    assert first.id == "sc-01"
    added = first.model_copy(update={"id": "sc-99"})
    await reload(gateway, changed(settings, parties=(*others, added)))
    gone = await site.get("/v1/batches/1", token=site.token("sc-01"))
    assert (gone.status, gone.code) == (401, "unauthenticated")
    assert demo_key_path(site.data, "sc-99").exists()
    assert (await site.get("/v1/batches/1", token=site.token("sc-99"))).status == 404


async def test_a_faulty_configuration_is_told_whole_and_the_old_one_kept(
    gateway: Gateway, site: Site, logged: io.StringIO
) -> None:
    faults = ["parties.yaml:3:5: id: is missing", "routes.yaml:1:1: version: is missing"]

    def faulty() -> Settings:
        raise Misconfigured(faults)

    before = gateway.engine
    await reload(gateway, faulty)
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    told = [f"{line['where']}: {line['error']}" for line in lines if line["event"] == "config_fault"]
    assert told == faults
    assert gateway.engine is before
    assert await _metric(site) == 0
    assert (await site.submit()).status == 202
    await reload(gateway, changed(gateway.engine.settings))
    assert await _metric(site) == 1


async def _metric(site: Site) -> float:
    metrics = (await site.get("/metrics", admin=True, token="")).body.decode()
    (line,) = [line for line in metrics.splitlines() if line.startswith("gateway_config_last_reload")]
    return float(line.split()[1])


async def test_an_itinerary_that_no_adapter_offers_is_refused(gateway: Gateway, site: Site) -> None:
    before = gateway.engine
    route = before.settings.routes.itineraries["visa.application"].model_copy(update={"stages": (("no",),)})
    routes = before.settings.routes.model_copy(update={"itineraries": {"visa.application": route}})
    await reload(gateway, changed(before.settings, routes=routes))
    assert gateway.engine is before
    assert await _metric(site) == 0


@pytest.mark.parametrize("error", [Unavailable("ledger_unavailable"), RuntimeError("any")])
async def test_whatever_fails_the_old_configuration_is_kept(
    gateway: Gateway, site: Site, logged: io.StringIO, error: Exception
) -> None:
    def failing() -> Settings:
        raise error

    before = gateway.engine
    await reload(gateway, failing)
    assert gateway.engine is before
    assert await _metric(site) == 0
    assert '"config_kept"' in logged.getvalue()
    assert "any" not in logged.getvalue()


async def test_what_cannot_change_while_it_runs_is_told_and_kept(
    gateway: Gateway, site: Site, logged: io.StringIO
) -> None:
    settings = gateway.engine.settings
    other = settings.gateway.model_copy(
        update={
            "database_url": "postgresql+psycopg://host/other",
            "broker_url": "amqp://host",
            "base_url": "http://elsewhere",
            "tokens": settings.gateway.tokens.model_copy(update={"audience": "another"}),
        }
    )
    await reload(gateway, changed(settings, gateway=other))
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    told = {line["where"] for line in lines if line["event"] == "needs_restart"}
    assert told == {f"gateway.yaml: {key}" for key in ("database_url", "broker_url", "base_url")}
    assert "host" not in logged.getvalue().replace("needs_restart", "")
    kept = gateway.engine.settings.gateway
    assert (kept.database_url, kept.broker_url) == (
        settings.gateway.database_url,
        settings.gateway.broker_url,
    )
    assert kept.tokens.audience == "another"
    assert await _metric(site) == 1


@pytest.fixture
def bus(gateway: Gateway, tmp_path: Path) -> Bus:
    """The running gateway's bus, not started: nothing is on the broker."""
    settings = gateway.engine.settings
    with_broker = settings.gateway.model_copy(update={"broker_url": "memory://"})
    gateway.engine = replace(gateway.engine, settings=settings.model_copy(update={"gateway": with_broker}))
    keys = PartyKeys.load(settings, tmp_path)
    made = gateway.leaders_work.bus = ministry_bus(gateway.engine, lambda: gateway.engine, keys, tmp_path)
    assert made is not None
    return made


def needing_restart(logged: io.StringIO) -> list[str]:
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    return [line["where"] for line in lines if line["event"] == "needs_restart"]


async def test_a_party_that_is_taken_away_is_believed_on_the_bus_no_longer(
    gateway: Gateway, bus: Bus, logged: io.StringIO
) -> None:
    settings = gateway.engine.settings
    gone = next(iter(bus.receivers))
    before = bus.keys.of(gone)
    left = tuple(party for party in settings.parties if party.id != gone)
    await reload(gateway, changed(settings, parties=left))
    assert bus.keys.of(gone) != before
    assert bus.keys.of(gone) == bus.keys.of("nobody")
    assert needing_restart(logged) == ["parties.yaml: encryption_key"]


async def test_the_same_receivers_need_no_restart(gateway: Gateway, bus: Bus, logged: io.StringIO) -> None:
    await reload(gateway, changed(gateway.engine.settings))
    assert bus.receivers
    assert needing_restart(logged) == []


async def test_another_encryption_key_is_told_to_need_a_restart(
    gateway: Gateway, bus: Bus, logged: io.StringIO, tmp_path: Path
) -> None:
    demo_encryption_key_path(tmp_path, next(iter(bus.receivers))).unlink()
    await reload(gateway, changed(gateway.engine.settings))
    assert needing_restart(logged) == ["parties.yaml: encryption_key"]


def test_every_key_that_is_fixed_is_kept(world: World) -> None:
    running = world.engine.settings
    wanted = running.model_copy(
        update={
            "gateway": running.gateway.model_copy(
                update={
                    **dict.fromkeys(key for key in FIXED if "." not in key),
                    "intake": running.gateway.intake.model_copy(
                        update={"header_timeout_s": 1, "max_lines": 5}
                    ),
                }
            )
        }
    )
    kept = with_fixed(wanted, running).gateway
    assert kept.model_copy(update={"intake": running.gateway.intake}) == running.gateway
    assert kept.intake == running.gateway.intake.model_copy(update={"max_lines": 5})


async def test_the_gateway_stops_when_its_worker_fails_but_not_when_one_retires(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = asyncio.Event()
    until = asyncio.create_task(gateway.until(stopping))
    await asyncio.sleep(0)
    await reload(gateway, changed(gateway.engine.settings))
    await until_true(lambda: not gateway._retiring)
    assert not until.done()

    async def failing(_worker: Worker) -> None:
        raise RuntimeError("failed")

    monkeypatch.setattr(Worker, "run", failing)
    await reload(gateway, changed(gateway.engine.settings))
    with pytest.raises(RuntimeError, match="failed"):
        async with asyncio.timeout(5):
            await until
    gateway._carrying = asyncio.create_task(asyncio.sleep(0))
