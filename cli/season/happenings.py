"""Part two: what happens on the way, month by month."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from cli.season.applications import people, submit
from cli.season.ceilings import ceilings_rise
from cli.season.conduct import care, discipline
from cli.season.movements import tell_arrival
from cli.season.pace import REST_S, WEEK, rest
from cli.season.players import Unexpected
from cli.season.stage import Pilgrim, Season


async def happenings(season: Season, month: int) -> None:
    """Whatever the month brings, once its applications were sent."""
    for happening in _BY_MONTH.get(month, ()):
        await happening(season)


async def _quick_arrival(season: Season) -> None:
    """A pilgrim arrives before the gateway knows of the visa: the movement waits for it, and is matched."""
    licensee = season.working[6]
    header, lines = people(season, licensee, 1, seed=5)
    _answered_late(lines[0]["passport"])
    before = await _issued(season)
    await submit(season, licensee, header, lines)
    number = await _first_new(season, before)
    arrives, _ = season.travel[header["batch_reference"], lines[0]["reference"]]
    await tell_arrival(season, number, season.today)
    parked = await _parked(season)
    season.saw("an arrival of a visa that is not known yet is parked", parked == 1)
    await rest(season)
    season.saw("and is matched once the visa is known", await _parked(season) == 0)
    season.pilgrims[number] = Pilgrim(number, licensee, arrives, arrives + WEEK, arrived=True)


def _answered_late(passport: dict[str, Any]) -> None:
    """The simulator issues this visa at once and answers after three seconds."""
    passport["number"] = passport["number"][:-2] + "96"
    passport.pop("mrz", None)


async def _issued(season: Season) -> set[str]:
    async with season.players.partners.get("/_visas") as reply:
        return set(await reply.json())


async def _first_new(season: Season, before: set[str]) -> str:
    try:
        async with asyncio.timeout(REST_S):
            while True:
                if new := await _issued(season) - before:
                    return new.pop()
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Unexpected(f"{season.today}: no visa was issued in {REST_S:.0f} s") from error


async def _parked(season: Season) -> int:
    found = await season.players.operator.census()
    return sum(
        tally["count"] for tally in found if tally["what"] == "movement" and tally["detail"] == "parked"
    )


async def _cancellation(season: Season) -> None:
    """A center no longer wants a visa."""
    licensee = season.working[4]
    batch = await submit(season, licensee, *people(season, licensee, 3, seed=7))
    await rest(season)
    center = season.center(licensee)
    page = await center.get(f"/v1/batches/{batch.id}/applications")
    await center.post(f"/v1/applications/{page['applications'][0]['application_id']}/cancel")
    await rest(season)
    status = await center.get(f"/v1/batches/{batch.id}")
    season.saw("a visa that is not wanted any more is cancelled", status["counts"].get("cancelled") == 1)


async def _too_many_stayed(season: Season) -> None:
    """The gate closes for a licensee too many of whose pilgrims stayed."""
    licensee = season.overstayed
    answer = await season.center(licensee).submit(*people(season, licensee, 1, seed=6))
    season.saw("a licensee over the overstay limit is refused", answer.code == "overstay_limit")


_BY_MONTH: Final[Mapping[int, tuple[Callable[[Season], Awaitable[None]], ...]]] = {
    2: (ceilings_rise,),
    3: (care, _quick_arrival, _cancellation),
    4: (discipline,),
    6: (_too_many_stayed,),
}
