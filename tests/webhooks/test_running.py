"""Started and drained with the gateway; its secrets, and what is wrong with them."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from pathlib import Path

import pytest

from gateway.errors import Misconfigured
from gateway.settings import lint
from gateway.settings.parties import Party, Webhook
from gateway.settings.webhook_secrets import demo_secret_path, read_secrets
from gateway.webhooks import Webhooks, ensure_webhook_secrets, load_webhook_secrets
from tests.flows.office import CENTER, LICENSING, World, send
from tests.settings.sets import CLASSES, OPERATIONS, write
from tests.webhooks.receiver import Receiver, telling
from tests.webhooks.test_delivery import events, position


def running(world: World, receiver: Receiver, data: Path) -> Webhooks:
    engine = telling(world.engine, receiver.url)
    ensure_webhook_secrets(engine.settings, data)
    return Webhooks(engine, load_webhook_secrets(engine.settings, data), pause_s=0.01)


async def test_a_center_is_told_by_itself_until_it_is_drained(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    webhooks = running(world, receiver, tmp_path)
    await webhooks.start()
    cursors = await events(world, 3)
    await receiver.until(3)
    await webhooks.drain()
    await webhooks.drain()
    assert receiver.cursors == cursors
    await send(world, LICENSING, "licensee.status")
    assert len(receiver.got) == 3
    await webhooks.start()
    await receiver.until(4)
    await webhooks.drain()


async def test_a_notice_under_way_ends_before_the_drain_does(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    answering = asyncio.Event()

    async def slowly() -> None:
        await answering.wait()

    receiver.during = slowly
    cursors = await events(world, 3)
    webhooks = running(world, receiver, tmp_path)
    await webhooks.start()
    await receiver.until(1)
    draining = asyncio.create_task(webhooks.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    answering.set()
    await draining
    assert (await position(world)).seq == cursors[0]
    assert len(receiver.got) == 1


async def test_one_round_that_fails_is_not_the_end(
    world: World, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = iter([RuntimeError("once")])
    whole = world.engine.ledger.position

    async def position_once_broken(party: str, channel: str) -> object:
        for error in failing:
            raise error
        return await whole(party, channel)  # type: ignore[arg-type]

    monkeypatch.setattr(world.engine.ledger, "position", position_once_broken)
    await events(world, 1)
    webhooks = running(world, receiver, tmp_path)
    await webhooks.start()
    await receiver.until(1)
    await webhooks.drain()


async def test_another_configuration_is_used_from_then_on(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    webhooks = running(world, receiver, tmp_path)
    await webhooks.start()
    await webhooks.use(world.engine, {})  # no webhook any more
    await events(world, 1)
    await webhooks.drain()
    assert receiver.got == []


# --- secrets ---------------------------------------------------------------------------------------------


def test_a_demonstration_s_secret_is_made_once_and_is_its_owner_s_alone(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    settings = telling(world.engine, receiver.url).settings
    ensure_webhook_secrets(settings, tmp_path)
    path = demo_secret_path(tmp_path, CENTER)
    first = path.read_text()
    ensure_webhook_secrets(settings, tmp_path)
    assert path.read_text() == first
    assert first.startswith("whsec_")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [len(secret) for secret in load_webhook_secrets(settings, tmp_path)[CENTER]] == [32]
    assert list(path.parent.iterdir()) == [path]


GOOD = "whsec_" + b64encode(b"x" * 24).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no secret"),
        (b64encode(b"x" * 24).decode(), "no webhook secret"),
        ("whsec_%%%%", "no webhook secret"),
        ("whsec_" + b64encode(b"x" * 23).decode(), "24 to 64 bytes"),
        ("whsec_" + b64encode(b"x" * 65).decode(), "24 to 64 bytes"),
        (f"{GOOD}\n{GOOD}\n{GOOD}", "more than 2"),
        ("whsec_é", "no webhook secret"),
    ],
)
def test_a_file_that_holds_no_secret_is_told_without_quoting_it(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "s"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ValueError, match=said) as caught:
        read_secrets(path)
    assert len(text) < 4 or text not in str(caught.value)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text(GOOD)
    path.chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        read_secrets(path)
    path.chmod(0o600)
    assert read_secrets(path) == (b"x" * 24,)


def test_a_secret_that_is_missing_stops_the_start(world: World, receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_webhook_secrets(telling(world.engine, receiver.url).settings, tmp_path)


# --- configuration ---------------------------------------------------------------------------------------


def party(**changes: object) -> Party:
    given = {"id": "sc-01", "kind": "service_center", "name_en": "One", "name_ar": "واحد", "demo_key": True}
    return Party.model_validate(given | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook": {"url": "http://center.example/hook"}},
        {"webhook": {"url": "https://user:password@center.example/hook"}},
        {"webhook": {"url": "https://center.example/hook", "secret": "whsec_"}},
        {"kind": "ministry", "webhook": {"url": "https://center.example/hook"}},
        {"demo_key": False, "keys": ({"file": "a.pem", "algorithm": "EdDSA"},),
         "webhook": {"url": "https://center.example/hook"}},
    ],
)  # fmt: skip
def test_a_webhook_that_can_t_be_safe_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="webhook"):
        party(**changes)


def test_a_webhook_as_it_should_be() -> None:
    webhook = party(webhook={"url": "https://center.example/hook"}).webhook
    assert webhook == Webhook(url="https://center.example/hook")
    assert party(webhook={"url": "http://127.0.0.1:9000/", "allow_private": True}).webhook


def test_check_config_names_the_place_of_a_secret_file_that_is_missing(tmp_path: Path) -> None:
    with_file = "demo_key: true, webhook: {url: https://center.example/hook, secret_file: none.secret}}"
    main = write(tmp_path, parties=("واحد, demo_key: true}", f"واحد, {with_file}"))
    faults = lint(main, {}, OPERATIONS, CLASSES)
    assert len(faults) == 1
    assert re.search(r"parties\.yaml:2:\d+: file .*none\.secret cannot be read", faults[0])
    secret = tmp_path / "none.secret"
    secret.write_text(GOOD)
    secret.chmod(0o600)
    assert lint(main, {}, OPERATIONS, CLASSES) == []
