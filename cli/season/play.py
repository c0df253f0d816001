"""The order of acts: licensees are made ready, pilgrims are served month by month, the season ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from typing import Final

from cli.season.activation import activation, check_activations, trespassers
from cli.season.applications import applications, collect
from cli.season.ceilings import capacities
from cli.season.contracts import contracts
from cli.season.happenings import happenings
from cli.season.movements import movements
from cli.season.pace import rest, step_to
from cli.season.readiness import readiness, rules
from cli.season.stage import MONTHS, Season
from schemas.hijri import first_day

Act = Callable[[Season], Awaitable[None]]

_PART_ONE: Final[tuple[tuple[str, Act], ...]] = (
    ("the rules and who takes part", rules),
    ("what licensees make ready", readiness),
    ("agents abroad, their contracts", contracts),
    ("activation, every source asked", activation),
    ("ceilings of the missions", capacities),
    ("who may not, tries", trespassers),
)
#: Centers fetch results on Sundays.
_COLLECTING: Final = 6


async def play(season: Season) -> None:
    """The season, whole."""
    for title, act in _PART_ONE:
        await _told(season, title, act)
    for month in MONTHS:
        await _told(season, f"month {month}: visas, movements", partial(_month, month))
    await _told(season, "the season ends", _end)


async def _told(season: Season, title: str, act: Act) -> None:
    """One line for each act, once it is over."""
    began = season.today
    await act(season)
    season.tell(f"{began}  {title:<30}  {await _so_far(season)}")


async def _so_far(season: Season) -> str:
    counts = {"message": 0, "event": 0, "movement": 0}
    for tally in await season.players.operator.census():
        if tally["what"] in counts:
            counts[tally["what"]] += tally["count"]
    return (
        f"{counts['message']:>6} messages {counts['event']:>6} told {len(season.pilgrims):>6} visas "
        f"{counts['movement']:>6} moved"
    )


async def _month(month: int, season: Season) -> None:
    """Applications at its beginning, movements day by day, and what happens on the way."""
    first, last = first_day(season.year, month), first_day(season.year, month + 1) - timedelta(days=1)
    await step_to(season, max(first, season.today))
    await check_activations(season, month, season.working)
    await applications(season, month)
    await happenings(season, month)
    await _days(season, last)


async def _days(season: Season, last: date) -> None:
    """One after the other: movements each day, results once a week."""
    while season.today < last:
        await step_to(season, season.today + timedelta(days=1))
        if season.today.weekday() == _COLLECTING or season.today == last:
            await collect(season)
        await movements(season)


async def _end(season: Season) -> None:
    """Everyone has left but those who stay; the last days are counted, and everyone reads what is theirs."""
    until = first_day(season.year, 9) + timedelta(days=45)
    await _days(season, until)
    await step_to(season, first_day(season.year + 1, 1))
    await rest(season)
    for party in (*season.players.centers.values(), *season.players.offices):
        await party.notifications()
    first = await season.players.licensing.get(f"/v1/messages/{season.sent['first'][0]}")
    season.note("retrieved", first["message_id"])
