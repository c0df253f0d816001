"""The whole network, all it says captured: gateway, partners behind a proxy, players, a webhook."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Final

from cli.bootstrap import build
from cli.demo import partners, settings_in
from cli.gateway import Gateway
from cli.season.cast import CENTERS
from cli.season.offices import BusOffice
from cli.season.players import Office, Operator, Party
from cli.season.stage import Players
from gateway.clock import SteppedClock
from gateway.observe.log import configure_logging
from gateway.settings import Settings
from gateway.settings.parties import Webhook
from gateway.web.operators import operator_token
from gateway.web.soap_services import secrets_directory
from tests.canary.capture import Capture, Hook, Item, recording_proxy, recording_session
from tests.canary.marks import Source
from tests.canary.players import MarkingCaller, MarkingOffice, MarkingParty, Sown

#: The center that is told by webhook.
HOOKED: Final = "sc-01"
_OFFICES: Final = ("licensing", "pilgrim-services", "committee")
_VISA: Final = re.compile(rb"<(?:[\w-]+:)?visa_number>([0-9]{10})<")
_REFERENCE: Final = re.compile(rb"<(?:[\w-]+:)?reference>([^<]+)<")
#: What partners call something themselves: (kind, path, class), by the action that they answer.
_THEIRS: Final = {
    "CheckClearance": ("interior.security_clearance", "reference", "secret"),
    "ReportOverstay": ("interior.overstay_report", "reference", "restricted"),
    "AttestAgentContract": ("agent_contract.attestation", "reference", "public"),
}


@dataclass(slots=True)
class Stage:
    """Everything that a play needs, and everything that is judged afterwards."""

    gateway: Gateway
    players: Players
    capture: Capture
    sown: Sown
    data: Path
    log: StringIO
    today: date
    public_url: str
    admin_url: str
    #: Files of the ledger as they were copied while it ran, by a name of ours.
    files: dict[str, bytes] = field(default_factory=dict)


@asynccontextmanager
async def open_stage(
    folder: Path,
    today: date,
    *,
    broker: str | None = None,
    change: Callable[[Settings], Settings] = lambda settings: settings,
) -> AsyncIterator[Stage]:
    """All of it on free ports, in this folder. `change` alters what the gateway is configured with."""
    capture, sown, log = Capture(), Sown(), StringIO()
    configure_logging("debug", log)

    def learn(item: Item) -> None:
        _learn(item, sown)

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        own_url = await enter(partners(folder, 1, "--business-date", today.isoformat()))
        proxy_url = await enter(recording_proxy(own_url, capture, learn))
        hook = await enter(Hook(capture, HOOKED).listening())
        data = folder / "data"
        settings = change(_settings(folder, proxy_url, hook.url, broker))
        gateway = build(settings, SteppedClock(today))
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        players = await _players(gateway, own_url, data, broker, capture, sown, stack)
        yield Stage(
            gateway, players, capture, sown, data, log, today, gateway.host.public_url, gateway.host.admin_url
        )


def _settings(folder: Path, partners_url: str, hook_url: str, broker: str | None) -> Settings:
    settings = settings_in(folder, partners_url)
    parties = tuple(
        party.model_copy(update={"webhook": Webhook(url=hook_url, allow_private=True)})
        if party.id == HOOKED
        else party
        for party in settings.parties
    )
    changed = settings.gateway.model_copy(update={"broker_url": broker, "log_level": "debug"})
    return settings.model_copy(update={"parties": parties, "gateway": changed})


async def _players(
    gateway: Gateway,
    partners_url: str,
    data: Path,
    broker: str | None,
    capture: Capture,
    sown: Sown,
    stack: AsyncExitStack,
) -> Players:
    import aiohttp

    public = gateway.host.public_url
    sessions = {
        party: await stack.enter_async_context(recording_session(public, party, "answer", capture))
        for party in (*CENTERS, *_OFFICES, "passports", "foreign-affairs")
    }
    admin = await stack.enter_async_context(
        recording_session(gateway.host.admin_url, "operator-1", "operator", capture)
    )
    operator = Operator(admin, operator_token(data))

    def office(party: str) -> Office:
        over_http = Party(sessions[party], party, data)
        if broker is None:
            return MarkingOffice(over_http, sown)
        over_bus = BusOffice.of(over_http, operator, broker)
        stack.push_async_callback(over_bus.close)
        return MarkingOffice(over_bus, sown)

    licensing, pilgrim_services, committee = map(office, _OFFICES)
    return Players(
        centers={center: MarkingParty(sessions[center], center, data, sown=sown) for center in CENTERS},
        licensing=licensing,
        pilgrim_services=pilgrim_services,
        committee=committee,
        passports=MarkingCaller(
            sown, "passports", sessions["passports"], "passports", _secret(data, "passports"), "1.1"
        ),
        foreign_affairs=MarkingCaller(
            sown,
            "foreign-affairs",
            sessions["foreign-affairs"],
            "foreign-affairs",
            _secret(data, "foreign-affairs"),
            "1.2",
        ),
        operator=operator,
        partners=await stack.enter_async_context(aiohttp.ClientSession(partners_url, trust_env=False)),
    )


def _secret(data: Path, party: str) -> str:
    return (secrets_directory(data) / f"{party}.secret").read_text().split()[0]


def _learn(item: Item, sown: Sown) -> None:
    """What a partner said that is its own: visas, and its names for things."""
    for number in _VISA.findall(item.body):
        sown.learn_visa(number.decode(), item.message_id, "")
    if item.what in _THEIRS and (found := _REFERENCE.search(item.body)):
        kind, path, level = _THEIRS[item.what]
        value = found[1].decode()
        sown.garden.own(value)
        sown.garden.sow(value, Source(kind, path, level, item.message_id, item.receiver))
