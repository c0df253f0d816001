"""Visas, and what Passports says of their holders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any

from gateway.flows.subjects import visa_index
from gateway.ledger.books import Presence, Visa
from gateway.ledger.records import Taken
from gateway.message import Answered, MessageId, PartyId
from gateway.pipeline.day import DayDone, new_day
from gateway.ports import PreparedRequest
from tests.flows.office import World, send

PASSPORTS = PartyId("passports")
FOREIGN_AFFAIRS = PartyId("foreign-affairs")
NUMBER = "6000000001"
#: Of every visa here; the clock begins on 2026-11-22.
STAY_UNTIL = "2026-12-20"
_EVENTS: Iterator[int] = count(1)


def number_visas(world: World, stay_until: str = STAY_UNTIL) -> None:
    """Foreign Affairs gives each visa a number of its own, beginning with `NUMBER`."""
    given: dict[bytes, str] = {}

    def issue(request: PreparedRequest) -> Answered:
        number = given.setdefault(request.body, str(6000000001 + len(given)))
        dates = {"valid_from": "2026-12-01", "valid_until": "2027-01-30", "stay_until": stay_until}
        return Answered({"visa_number": number, **dates})

    world.foreign_affairs.scripts["IssueVisa"] = [issue]


async def issue(world: World, visas: int = 1, *, key: str = "key-1", **options: Any) -> list[MessageId]:
    """As many visas, numbered from `NUMBER` on; the ids of their applications."""
    number_visas(world, **options)
    receipt = await world.submit(visas, key=key)
    await world.carry_until_rest()
    found = {await number_of(world, row.id): row.id for row in await world.rows(receipt.batch_id)}
    return [found[number] for number in sorted(found)]


async def number_of(world: World, application: MessageId) -> str:
    """The number of an application's visa."""
    for number in range(6000000001, 6000001000):
        visa = await find(world, str(number))
        if visa is not None and visa.message_id == application:
            return str(number)
    raise AssertionError("no visa was issued")


async def find(world: World, number: str = NUMBER) -> Visa | None:
    index = visa_index(number, world.engine.vault)
    return await world.engine.ledger.look(lambda books: books.visa(index))


async def visa(world: World, number: str = NUMBER) -> Visa:
    found = await find(world, number)
    assert found is not None
    return found


async def presence(world: World, number: str = NUMBER) -> Presence:
    return (await visa(world, number)).presence


async def moves(
    world: World, direction: str, at: str, *, number: str = NUMBER, party: PartyId = PASSPORTS, **changes: Any
) -> Taken:
    """An arrival or a departure; at noon unless the hour is given."""
    moment = at if "T" in at else f"{at}T12:00:00+03:00"
    fields = {"event_id": f"MOV-{next(_EVENTS)}", "visa_number": number, "at": moment, **changes}
    return await send(world, party, f"movement.{direction}", **fields)


async def arrives(world: World, at: str, **changes: Any) -> Taken:
    return await moves(world, "arrival", at, **changes)


async def departs(world: World, at: str, **changes: Any) -> Taken:
    return await moves(world, "departure", at, **changes)


async def day(world: World, text: str) -> DayDone:
    """The business day comes, and its work is done."""
    world.clock.pass_by(days=(date.fromisoformat(text) - world.clock.today()).days)
    return await new_day(world.engine)
