"""Ceilings of missions and plans: published, run out, raised."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cli.season.cast import MISSIONS
from cli.season.pace import rest
from cli.season.readiness import ENOUGH, TIGHT_LICENSEES, plan
from cli.season.stage import MONTHS, Season
from schemas.hijri import first_day

#: Its ceiling runs out in the first month, and rises.
_BUSY_MISSION: Final = "MSN-EGY-CAI"
_LOW: Final = 5
_HIGH: Final = 1_000


async def capacities(season: Season) -> None:
    """A window a month for each mission."""
    for month in MONTHS:
        for mission in MISSIONS:
            low = mission == _BUSY_MISSION and month == MONTHS[0]
            await _publish(season, mission, month, _LOW if low else _high(season), version=1)
    await _publish(season, _BUSY_MISSION, MONTHS[-1], _high(season), version=3)
    stale = await _publish(season, _BUSY_MISSION, MONTHS[-1], 900, version=2)
    season.saw("an old version of a ceiling is refused", stale.get("code") == "STALE_VERSION")


def _high(season: Season) -> int:
    """More than will be asked for."""
    return max(_HIGH, season.pilgrims_wanted)


async def _publish(season: Season, mission: str, month: int, ceiling: int, *, version: int) -> dict[str, str]:
    closes = first_day(season.year, month + 1) - timedelta(days=1)
    window = {"opens": first_day(season.year, month).isoformat(), "closes": closes.isoformat()}
    values = {"mission_id": mission, "version": version, "window": window, "ceiling": ceiling}
    return await season.players.foreign_affairs.call("capacity", "PublishMissionCapacity", values)


async def ceilings_rise(season: Season) -> None:
    """What did not fit waits, with its reason, and goes on by itself."""
    waiting = await _waiting(season)
    season.saw("what exceeds a plan or a ceiling waits", waiting > 0)
    await _publish(season, _BUSY_MISSION, MONTHS[0], _high(season), version=2)
    await rest(season)
    await plan(season, season.numbered(TIGHT_LICENSEES[0]), 1, ENOUGH, revision=2)
    await rest(season)
    season.saw("a raised ceiling lets them go on", await _waiting(season) < waiting)


async def _waiting(season: Season) -> int:
    statuses = [
        await season.center(batch.licensee).get(f"/v1/batches/{batch.id}") for batch in season.open_batches
    ]
    return sum(status["counts"].get("waiting", 0) for status in statuses)
