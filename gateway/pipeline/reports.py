"""Reports: the flow of visas to licensees, and a season in numbers; asked for, and published each day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from gateway.flows import Desk, Subject
from gateway.flows.desk import GATEWAY
from gateway.ledger.books import Books
from gateway.ledger.records import FlowRow, SeasonTotals
from gateway.message import BatchFacts, MessageId
from gateway.pipeline.engine import Engine
from gateway.states import PublicState
from schemas.hijri import season

VISA_FLOW: Final = "visa_flow.report"
SEASON: Final = "season.report"

_WAITING: Final = (
    PublicState.WAITING,
    PublicState.ACCEPTED,
    PublicState.IN_PROGRESS,
    PublicState.UNDER_REVIEW,
)


async def visa_flow(since: date, until: date, engine: Engine) -> dict[str, Any]:
    """By licensee, mission and business day, both days included."""
    rows = await engine.ledger.visa_flow(since, until)
    return {
        "period": {"from": since.isoformat(), "until": until.isoformat()},
        "rows": [_flow_row(row) for row in rows],
    }


def _flow_row(row: FlowRow) -> dict[str, Any]:
    counts = row.counts
    return {
        "licensee_id": row.licensee,
        "mission_id": row.mission,
        "day": row.day.isoformat(),
        "received": sum(counts.values()),
        **{name: counts.get(name, 0) for name in ("issued", "refused", "rejected", "cancelled", "expired")},
        "waiting": sum(counts.get(state, 0) for state in _WAITING),
    }


async def season_report(year: int, engine: Engine) -> dict[str, Any]:
    """A season (Hijri year) in numbers."""
    totals = await engine.ledger.season_totals(year)
    states = totals.applications
    named = ("issued", "refused", "rejected", "cancelled", "expired")
    return {
        "season": year,
        "batches": totals.batches,
        "applications": sum(states.values()),
        **{name: states.get(name, 0) for name in named},
        "inside": _present(totals, "inside", "overstayed"),
        "departed": _present(totals, "departed"),
        "overstayed": _present(totals, "overstayed"),
        "countries": [_country(name, counts) for name, counts in sorted(totals.presences.items())],
    }


def _present(totals: SeasonTotals, *presences: str) -> int:
    return sum(_sum(counts, presences) for counts in totals.presences.values())


def _sum(counts: Mapping[str, int], presences: Iterable[str]) -> int:
    return sum(counts.get(presence, 0) for presence in presences)


def _country(name: str, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "country": name,
        "issued": sum(count for presence, count in counts.items() if presence != "cancelled"),
        "inside": _sum(counts, ("inside", "overstayed")),
        "overstayed": counts.get("overstayed", 0),
    }


async def publish_day(day: date, engine: Engine) -> None:
    """Tell the departments what became of a business day. Safe to call again: a day is told once."""
    flow = await visa_flow(day, day, engine)
    if flow["rows"]:
        await _publish(VISA_FLOW, flow, day.isoformat(), season(day), engine)
    if season(day) != season(day + timedelta(days=1)):
        await publish_season(season(day), engine)


async def publish_season(year: int, engine: Engine) -> None:
    """Tell the departments how a season ended."""
    await _publish(SEASON, await season_report(year, engine), str(year), year, engine)


async def _publish(kind: str, body: Mapping[str, Any], key: str, year: int, engine: Engine) -> None:
    facts = BatchFacts(batch_reference="", licensee="", agent="", mission="", season=year)

    def write(books: Books) -> None:
        maker = Desk(engine.office, books, Subject(MessageId(""), kind, GATEWAY))
        id = maker.send_on(kind, body, key=key, facts=facts, carried=False)
        if id is not None:
            Desk(engine.office, books, Subject(id, kind, GATEWAY)).publish(kind, body, about=key)

    await engine.ledger.work(write)
