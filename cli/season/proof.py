"""How the season went: every flow looked for, every invariant looked at, by what others can see as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cli.season import invariants
from cli.season.invariants import Holds
from cli.season.offices import BusOffice, as_it_came, meant_for, none_set_aside
from cli.season.players import Operator
from cli.season.rows import Found, found
from cli.season.stage import Season
from gateway.pipeline.consequences import ISSUANCE


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found, and what held."""

    seconds: float
    rows: list[Found]
    held: list[Holds]
    report: Mapping[str, Any]
    #: How many events came to each queue; empty without a broker.
    came: Mapping[str, int]

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
            "came_over_the_broker": dict(self.came),
            "sound": self.sound,
        }


async def prove(season: Season, seconds: float) -> Proof:
    """Everything that can be asked once the season is over. `seconds` is what it took."""
    operator = season.players.operator
    on_the_bus = [office for office in season.players.offices if isinstance(office, BusOffice)]
    for office in on_the_bus:  # whatever comes late or twice
        await office.notifications()
    census = await operator.census()
    came = {office.id: office.came for office in on_the_bus}
    rows = found(as_it_came(census, came), season.sent)
    held = [
        *season.observed,
        ("every example is explained by `show`", await _explained(operator, rows)),
        *await _invariants(season, census),
        *await _on_the_bus(on_the_bus, census),
    ]
    report = await operator.get(f"/v1/admin/reports/season?season={season.year}")
    return Proof(seconds, rows, held, report, {id: len(events) for id, events in came.items()})


async def _explained(operator: Operator, rows: Iterable[Found]) -> bool:
    for row in rows:
        if row.example is not None:
            shown = await operator.get(f"/v1/admin/messages/{row.example}")
            if shown["id"] != row.example or not shown["timeline"]:
                return False
    return True


async def _invariants(season: Season, census: list[dict[str, Any]]) -> list[Holds]:
    players = season.players
    async with players.partners.get("/_evidence") as reply:
        evidence = await reply.json()
    async with players.partners.get("/_visas") as reply:
        visas = (await reply.json()).values()
    return [
        invariants.quotas_kept((await players.operator.get("/v1/admin/quotas"))["quotas"]),
        invariants.nothing_parked(census),
        invariants.nobody_twice(visas),
        invariants.issued_once(evidence),
        invariants.nothing_lost(await _lines(season), sum(batch.lines for batch in season.batches)),
        invariants.none_after_suspension(await _calls(season), season.suspended),
    ]


async def _lines(season: Season) -> Counter[str]:
    """What centers see of their lines, over all batches."""
    counts: Counter[str] = Counter()
    for batch in season.batches:
        status = await season.center(batch.licensee).get(f"/v1/batches/{batch.id}")
        counts.update({state: count for state, count in status["counts"].items() if state != "total"})
    return counts


async def _calls(season: Season) -> list[dict[str, str]]:
    """The issuing calls of every application of a suspended licensee."""
    operator = season.players.operator
    calls = []
    for licensee in season.suspended:
        for message_id in await _applications_of(operator, licensee):
            shown = await operator.get(f"/v1/admin/messages/{message_id}")
            calls += [
                {"licensee": licensee, "at": entry["at"]}
                for entry in shown["timeline"]
                if entry.get("step") == ISSUANCE and entry["what"] == "call"
            ]
    return calls


async def _applications_of(operator: Operator, licensee: str) -> list[str]:
    found_ids: list[str] = []
    after = ""
    while True:
        page = await operator.get(f"/v1/admin/messages?kind=visa.application&limit=1000{after}")
        found_ids += [one["id"] for one in page["messages"] if one["licensee"] == licensee]
        if page["next"] is None:
            return found_ids
        after = f"&after={page['next']}"


async def _on_the_bus(offices: list[BusOffice], census: list[dict[str, Any]]) -> list[Holds]:
    if not offices:
        return []
    came = {office.id: office.came for office in offices}
    return [
        invariants.all_came(meant_for(came, census), came),
        invariants.came_once_in_order(came),
        ("no command was set aside", await none_set_aside(offices[0])),
    ]
