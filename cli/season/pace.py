"""How the season passes: the business date goes on, and everything comes to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import date, datetime, timedelta
from typing import Final

from cli.season.players import Unexpected
from cli.season.stage import Season
from gateway.clock import RIYADH

WEEK: Final = timedelta(days=7)
#: Longest wait for messages under way to come to rest.
REST_S: Final = 60.0
_UNDER_WAY: Final = ("accepted", "ready", "carried", "uncertain", "inquiring")


async def step_to(season: Season, day: date) -> None:
    """The business clock goes on, for the gateway and for its partners; the day's work is done."""
    if day <= season.today:
        return
    season.today = day
    async with season.players.partners.put("/_business-date", json={"date": day.isoformat()}) as reply:
        reply.raise_for_status()
    await season.players.operator.put("/v1/admin/business-date", {"date": day.isoformat()})


async def rest(season: Season) -> None:
    """Until nothing moves by itself: what is left waits for somebody or something. Raises `Unexpected`."""
    try:
        async with asyncio.timeout(REST_S):
            quiet = 0
            while quiet < 2:
                quiet = quiet + 1 if await _moving(season) <= season.endless else 0
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Unexpected(f"{season.today}: messages did not come to rest in {REST_S:.0f} s") from error


async def _moving(season: Season) -> int:
    found = await season.players.operator.census()
    return sum(
        tally["count"] for tally in found if tally["what"] == "message" and tally["detail"] in _UNDER_WAY
    )


def at(day: date, hour: int) -> str:
    """A moment as messages have it."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=RIYADH).isoformat()


async def together(works: Iterable[Awaitable[object]]) -> None:
    """All of them at the same time."""
    await asyncio.gather(*works)
