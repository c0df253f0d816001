"""Part two: Passports tells who came and who left; some leave late, some never."""

from __future__ import annotations

from datetime import date, timedelta

from cli.season.pace import at
from cli.season.players import Unexpected
from cli.season.stage import Pilgrim, Season


async def movements(season: Season) -> None:
    """Whoever came and left today; some of it twice, or in the wrong order."""
    for pilgrim in season.pilgrims.values():
        leaves = _leaves(season, pilgrim)
        left = leaves is not None and leaves <= season.today
        told_late = leaves is not None and int(pilgrim.visa[-3:]) % 7 == 0
        if left and not pilgrim.departed:
            await _tell_departure(season, pilgrim, leaves or season.today)
        if not pilgrim.arrived and (left if told_late else pilgrim.arrives <= season.today):
            await _tell_arrival(season, pilgrim)


def _leaves(season: Season, pilgrim: Pilgrim) -> date | None:
    """When a pilgrim really leaves: on time, some three weeks late, some never."""
    number = int(pilgrim.visa[-4:])
    if pilgrim.licensee is season.overstayed:
        return None if number % 2 == 0 else pilgrim.leaves
    late = pilgrim.leaves + timedelta(days=21)
    return {0: late, 1: None}.get(number % 50, pilgrim.leaves)


async def _tell_arrival(season: Season, pilgrim: Pilgrim) -> None:
    pilgrim.arrived = True
    answer = await tell_arrival(season, pilgrim.visa, pilgrim.arrives)
    if int(pilgrim.visa[-3:]) % 11 == 0:
        again = await tell_arrival(season, pilgrim.visa, pilgrim.arrives)
        season.saw("a movement told twice gets the first answer", again["message_id"] == answer["message_id"])


async def _tell_departure(season: Season, pilgrim: Pilgrim, day: date) -> None:
    pilgrim.departed = True
    await _tell(season, "NotifyDeparture", pilgrim.visa, day, f"D-{pilgrim.visa}")


async def tell_arrival(season: Season, visa: str, day: date) -> dict[str, str]:
    """Passports' notice of an arrival, and its answer."""
    return await _tell(season, "NotifyArrival", visa, day, f"A-{visa}")


async def _tell(season: Season, action: str, visa: str, day: date, event: str) -> dict[str, str]:
    values = {"event_id": event, "visa_number": visa, "at": at(day, 14), "port": "JED"}
    answer = await season.players.passports.call("movements", action, values)
    if "message_id" not in answer:
        raise Unexpected(f"{action}: {answer}")
    return answer
