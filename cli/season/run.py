"""`season`: everything started, the season played, the proof told, everything stopped."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from rich.console import Console
from rich.table import Table

from cli.bootstrap import Gateway, build
from cli.demo import partners, settings_in
from cli.season import invariants
from cli.season.cast import CENTERS
from cli.season.play import Players, Season, play
from cli.season.players import Operator, Party, Unexpected
from cli.season.rows import Found, found
from cli.season.soap_caller import SoapCaller
from cli.serve import run
from gateway.clock import SteppedClock, SystemClock
from gateway.observe.log import configure_logging
from gateway.pipeline.consequences import ISSUANCE
from gateway.web.operators import operator_token
from gateway.web.soap_services import secrets_directory
from schemas.hijri import first_day, season

#: The year 1448 AH begins on 2026-06-16: licensees are made ready from then on.
_FIRST_MONTH: Final = 1


@dataclass(frozen=True, slots=True)
class Proof:
    """How the season went."""

    seconds: float
    rows: list[Found]
    held: list[tuple[str, bool]]
    report: Mapping[str, Any]

    @property
    def sound(self) -> bool:
        return all(row.count for row in self.rows) and all(held for _, held in self.held)

    def as_json(self) -> dict[str, Any]:
        """The document of `season --json`."""
        return {
            "seconds": round(self.seconds, 1),
            "rows_carried": sum(1 for row in self.rows if row.count),
            "rows": [
                {"row": one.row.number, "flow": one.row.flow, "count": one.count, "example": one.example}
                for one in self.rows
            ],
            "checks": [{"check": what, "held": held} for what, held in self.held],
            "season": dict(self.report),
            "sound": self.sound,
        }


def play_season(pilgrims: int, seed: int, *, as_json: bool) -> int:
    """Play it. 0 when every flow was carried and every invariant held, 1 otherwise."""
    console = Console(stderr=True)
    configure_logging("error")
    try:
        proof = run_proof(pilgrims, seed, console)
    except Unexpected as error:
        console.print(f"[red]the season stopped[/]: {error}")
        return 1
    if as_json:
        print(json.dumps(proof.as_json(), indent=2))  # noqa: T201 - this is the command's output
    else:
        _tell(proof, Console())
    return 0 if proof.sound else 1


def run_proof(pilgrims: int, seed: int, console: Console) -> Proof:
    """The season in a fresh folder, on free ports."""
    proofs: list[Proof] = []

    async def whole() -> None:
        with tempfile.TemporaryDirectory(prefix="umrah-season-") as folder:
            proofs.append(await _play(Path(folder), pilgrims, seed, console))

    run(whole())
    return proofs[0]


async def _play(folder: Path, pilgrims: int, seed: int, console: Console) -> Proof:
    began = time.monotonic()
    year = season(SystemClock().today())
    today = first_day(year, _FIRST_MONTH)
    async with (
        partners(folder, seed, "--business-date", today.isoformat()) as partners_url,
        _gateway(folder, partners_url, SteppedClock(today)) as gateway,
        _players(gateway, partners_url, folder / "data") as players,
    ):
        console.print(f"[bold]gateway[/]   {gateway.host.public_url}  embedded: SQLite, no broker")
        under_way = Season(players, year, pilgrims, console.print, today)
        await play(under_way)
        return await _proof(under_way, time.monotonic() - began)


@asynccontextmanager
async def _gateway(folder: Path, partners_url: str, clock: SteppedClock) -> AsyncIterator[Gateway]:
    gateway = build(settings_in(folder, partners_url), clock)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


@asynccontextmanager
async def _players(gateway: Gateway, partners_url: str, data: Path) -> AsyncIterator[Players]:
    def session(url: str) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(url, trust_env=False)

    async with (
        session(gateway.host.public_url) as public,
        session(gateway.host.admin_url) as admin,
        session(partners_url) as simulators,
    ):
        yield Players(
            centers={center: Party(public, center, data) for center in CENTERS},
            licensing=Party(public, "licensing", data),
            pilgrim_services=Party(public, "pilgrim-services", data),
            committee=Party(public, "committee", data),
            passports=SoapCaller(public, "passports", _secret(data, "passports"), "1.1"),
            foreign_affairs=SoapCaller(public, "foreign-affairs", _secret(data, "foreign-affairs"), "1.2"),
            operator=Operator(admin, operator_token(data)),
            partners=simulators,
        )


def _secret(data: Path, party: str) -> str:
    return (secrets_directory(data) / f"{party}.secret").read_text().split()[0]


async def _proof(under_way: Season, seconds: float) -> Proof:
    operator = under_way.players.operator
    census = (await operator.get("/v1/admin/census"))["census"]
    rows = found(census, under_way.sent)
    explained = [await _explains(operator, one.example) for one in rows if one.example]
    async with under_way.players.partners.get("/_evidence") as reply:
        evidence = await reply.json()
    async with under_way.players.partners.get("/_visas") as reply:
        visas = (await reply.json()).values()
    report = await operator.get(f"/v1/admin/reports/season?season={under_way.year}")
    held = [
        *under_way.observed,
        ("every example is explained by `show`", all(explained)),
        invariants.quotas_kept((await operator.get("/v1/admin/quotas"))["quotas"]),
        invariants.nothing_parked(census),
        invariants.nobody_twice(visas),
        invariants.issued_once(evidence),
        await _none_after_suspension(under_way),
    ]
    return Proof(seconds, rows, held, report)


async def _explains(operator: Operator, message_id: str) -> bool:
    shown = await operator.get(f"/v1/admin/messages/{message_id}")
    return bool(shown["id"] == message_id and shown["timeline"])


async def _none_after_suspension(under_way: Season) -> invariants.Holds:
    """The issuing calls of every application of a suspended licensee."""
    calls = []
    for licensee in under_way.suspended:
        for message_id in await _applications_of(under_way.players.operator, licensee):
            shown = await under_way.players.operator.get(f"/v1/admin/messages/{message_id}")
            calls += [
                {"licensee": licensee, "at": entry["at"]}
                for entry in shown["timeline"]
                if entry.get("step") == ISSUANCE and entry["what"] == "call"
            ]
    return invariants.none_after_suspension(calls, under_way.suspended)


async def _applications_of(operator: Operator, licensee: str) -> list[str]:
    found_ids: list[str] = []
    after = ""
    while True:
        page = await operator.get(f"/v1/admin/messages?kind=visa.application&limit=1000{after}")
        found_ids += [one["id"] for one in page["messages"] if one["licensee"] == licensee]
        if page["next"] is None:
            return found_ids
        after = f"&after={page['next']}"


# --- telling -----------------------------------------------------------------------------------------------


def _tell(proof: Proof, console: Console) -> None:
    table = Table("row", "flow", "messages", "example")
    for one in proof.rows:
        mark = str(one.count) if one.count else "[red]none[/]"
        table.add_row(str(one.row.number), one.row.flow, mark, one.example or "")
    console.print(table)
    console.print(_countries(proof.report))
    failed = [what for what, held in proof.held if not held]
    console.print(f"{len(proof.held) - len(failed)} of {len(proof.held)} checks held")
    for what in failed:
        console.print(f"[red]did not hold[/]: {what}")
    carried = sum(1 for one in proof.rows if one.count)
    console.print(f"{carried} of {len(proof.rows)} rows carried, in {proof.seconds:.0f} s")


def _countries(report: Mapping[str, Any]) -> Table:
    table = Table("country", "issued", "", "overstayed")
    most = max((one["issued"] for one in report["countries"]), default=1)
    for one in report["countries"]:
        bar = "█" * max(1, round(40 * one["issued"] / max(1, most)))
        table.add_row(one["country"], str(one["issued"]), bar, str(one["overstayed"]))
    return table
