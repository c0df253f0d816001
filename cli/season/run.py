"""`season`: everything started, the season played, the proof told, everything stopped."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console

from cli.bootstrap import build
from cli.databases import check_vacant as check_vacant_database
from cli.demo import partners, settings_in
from cli.gateway import Gateway
from cli.season.cast import CENTERS
from cli.season.offices import BusOffice, check_vacant
from cli.season.play import play
from cli.season.players import Office, Operator, Party, Unexpected
from cli.season.proof import Proof, prove
from cli.season.soap_caller import SoapCaller
from cli.season.stage import Players, Season
from cli.season.telling import WIDTH, tell
from cli.serve import run
from gateway.clock import SteppedClock, SystemClock
from gateway.errors import Misconfigured, Unavailable
from gateway.observe.log import configure_logging
from gateway.settings import Settings
from gateway.web.operators import operator_token
from gateway.web.soap_services import secrets_directory
from schemas.hijri import first_day, season

#: The year 1448 AH begins on 2026-06-16: licensees are made ready from then on.
_FIRST_MONTH: Final = 1
_CONNECTED_S: Final = 20.0
#: Who has a queue, where there is a broker.
_OFFICES: Final = ("licensing", "pilgrim-services", "committee")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which season is to be played."""

    pilgrims: int
    seed: int = 1
    #: The departments and the committee speak over this broker; None: over HTTP. May hold a password.
    broker: str | None = field(default=None, repr=False)
    #: An empty PostgreSQL database; None: SQLite in the data directory. May hold a password.
    database: str | None = field(default=None, repr=False)
    #: Where the gateway's data stays; None: gone afterwards.
    keep: Path | None = None


def play_season(wanted: Wanted, *, as_json: bool) -> int:
    """Play it. 0 when every flow was carried and every invariant held, 1 otherwise.

    Raises `Misconfigured` for a folder or a broker that is in use already, `Unavailable` without the broker.
    """
    console = _console(to_errors=True)
    configure_logging("error")
    try:
        proof = run_proof(wanted, console)
    except Unexpected as error:
        console.print(f"[red]the season stopped[/]: {error}")
        return 1
    if as_json:
        print(json.dumps(proof.as_json(), indent=2))  # noqa: T201 - this is the command's output
    else:
        tell(proof, wanted.keep, _console())
    return 0 if proof.sound else 1


def _console(*, to_errors: bool = False) -> Console:
    console = Console(stderr=to_errors)
    return console if console.is_terminal else Console(stderr=to_errors, width=WIDTH)


def run_proof(wanted: Wanted, console: Console) -> Proof:
    """The season in a fresh folder, on free ports."""
    proofs: list[Proof] = []
    if wanted.keep is not None and wanted.keep.exists() and any(wanted.keep.iterdir()):
        raise Misconfigured([f"--keep: {wanted.keep} is not empty"])
    if wanted.database is not None:
        check_vacant_database(wanted.database)
    if wanted.broker is not None:
        check_vacant(wanted.broker, _OFFICES)

    async def whole() -> None:
        with tempfile.TemporaryDirectory(prefix="umrah-season-") as folder:
            proofs.append(await _play(Path(folder), wanted, console))

    run(whole())
    return proofs[0]


async def _play(folder: Path, wanted: Wanted, console: Console) -> Proof:
    began = time.monotonic()
    year = season(SystemClock().today())
    today = first_day(year, _FIRST_MONTH)
    data = folder / "data" if wanted.keep is None else wanted.keep.absolute()
    async with (
        partners(folder, wanted.seed, "--business-date", today.isoformat()) as partners_url,
        _gateway(_settings(folder, data, partners_url, wanted), SteppedClock(today)) as gateway,
        _players(gateway, partners_url, data, wanted.broker) as players,
    ):
        network = "no broker" if wanted.broker is None else "RabbitMQ for the ministry"
        database = "SQLite" if wanted.database is None else "PostgreSQL"
        console.print(f"[bold]gateway[/]   {gateway.host.public_url}  {database}, {network}")
        under_way = Season(players, year, wanted.pilgrims, console.print, today)
        await play(under_way)
        return await prove(under_way, time.monotonic() - began)


def _settings(folder: Path, data: Path, partners_url: str, wanted: Wanted) -> Settings:
    settings = settings_in(folder, partners_url)
    changed = {
        "data_directory": str(data),
        "database_url": wanted.database or f"sqlite:///{data}/gateway.db",
        "broker_url": wanted.broker,
    }
    return settings.model_copy(update={"gateway": settings.gateway.model_copy(update=changed)})


@asynccontextmanager
async def _gateway(settings: Settings, clock: SteppedClock) -> AsyncIterator[Gateway]:
    gateway = build(settings, clock)
    await gateway.start()
    try:
        await _on_the_bus(gateway)
        yield gateway
    finally:
        await gateway.stop()


async def _on_the_bus(gateway: Gateway) -> None:
    """Until its queues are there, where there is a broker. Raises `Unavailable`."""
    bus = gateway.leaders_work.bus
    try:
        async with asyncio.timeout(_CONNECTED_S):
            while bus and set(bus.alive().values()) != {"connected"}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Unavailable("broker_unreachable", "the gateway could not declare its queues") from error


@asynccontextmanager
async def _players(
    gateway: Gateway, partners_url: str, data: Path, broker: str | None
) -> AsyncIterator[Players]:
    async with AsyncExitStack() as stack:

        async def session(url: str) -> aiohttp.ClientSession:
            return await stack.enter_async_context(aiohttp.ClientSession(url, trust_env=False))

        public = await session(gateway.host.public_url)
        operator = Operator(await session(gateway.host.admin_url), operator_token(data))

        def office(party: str) -> Office:
            over_http = Party(public, party, data)
            if broker is None:
                return over_http
            over_bus = BusOffice.of(over_http, operator, broker)
            stack.push_async_callback(over_bus.close)
            return over_bus

        licensing, pilgrim_services, committee = map(office, _OFFICES)
        yield Players(
            centers={center: Party(public, center, data) for center in CENTERS},
            licensing=licensing,
            pilgrim_services=pilgrim_services,
            committee=committee,
            passports=SoapCaller(public, "passports", _secret(data, "passports"), "1.1"),
            foreign_affairs=SoapCaller(public, "foreign-affairs", _secret(data, "foreign-affairs"), "1.2"),
            operator=operator,
            partners=await session(partners_url),
        )


def _secret(data: Path, party: str) -> str:
    return (secrets_directory(data) / f"{party}.secret").read_text().split()[0]
