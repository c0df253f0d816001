"""Many workers, few places: exactly as many visas are asked for as there is room."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Unavailable
from gateway.flows.visas import capacity_place, plan_place
from gateway.ledger.books import Books, Quota, QuotaState
from gateway.message import Declined
from gateway.states import State
from tests.flows.office import World

_WORKERS = 8
_PLAN = plan_place("LIC-1001", 1448, 6, "IDN")


async def _work(world: World) -> None:
    """Eight workers at once, until none finds anything due."""

    async def one() -> None:
        while await world.carry_due():
            pass

    await asyncio.gather(*(one() for _ in range(_WORKERS)))


async def _ceiling(world: World, quota: Quota, places: int) -> None:
    await world.engine.ledger.work(lambda books: books.set_ceiling(quota, places))


async def _stands(world: World, quota: Quota) -> QuotaState:
    state = await world.engine.ledger.look(lambda books: books.quota(quota))
    assert state is not None
    return state


def _lines(world: World, count: int) -> list[dict[str, object]]:
    lines = world.applications(count)
    for line in lines:
        travel = {name: value for name, value in line["travel"].items() if "hijri" not in name}
        line["travel"] = {**travel, "arrival_date": "2026-12-01", "departure_date": "2026-12-10"}
    return lines


async def test_a_thousand_applications_for_a_hundred_places(world: World) -> None:
    await _ceiling(world, _PLAN, 100)
    receipt = await world.submit(_lines(world, 1000))
    await _work(world)
    assert world.foreign_affairs.calls() == {"IssueVisa": 100}
    rows = await world.rows(receipt.batch_id)
    assert sum(row.state is State.HELD and row.code == "plan_exceeded" for row in rows) == 900

    await _ceiling(world, _PLAN, 150)
    await _work(world)
    assert world.foreign_affairs.calls() == {"IssueVisa": 150}
    assert (await _stands(world, _PLAN)).taken == 150


@pytest.mark.parametrize("places", [(3, 5), (5, 3)])
async def test_the_tighter_of_two_ceilings_holds_and_none_takes_what_it_cannot_use(
    world: World, places: tuple[int, int]
) -> None:
    in_plan, in_mission = places
    capacity = capacity_place("MSN-IDN-JKT", "2026-11-01")

    def publish(books: Books) -> None:
        window = {"opens": "2026-11-01", "closes": "2026-12-31", "version": 1, "ceiling": in_mission}
        books.put("mission_capacity", "MSN-IDN-JKT", {"windows": [window]}, version="1")
        books.set_ceiling(_PLAN, in_plan)
        books.set_ceiling(capacity, in_mission)

    await world.engine.ledger.work(publish)
    await world.submit(_lines(world, 10))
    await _work(world)
    assert world.foreign_affairs.calls() == {"IssueVisa": 3}
    assert (await _stands(world, _PLAN)).taken == 3
    assert (await _stands(world, capacity)).taken == 3

    for quota in (_PLAN, capacity):
        await _ceiling(world, quota, 10)
        await _work(world)
    assert world.foreign_affairs.calls() == {"IssueVisa": 10}


async def test_a_place_given_back_is_the_next_ones(world: World) -> None:
    await _ceiling(world, _PLAN, 1)
    world.foreign_affairs.scripts["IssueVisa"].insert(0, Declined("REFUSED", "refused"))
    await world.submit(_lines(world, 3))
    await _work(world)
    assert world.foreign_affairs.calls() == {"IssueVisa": 2}
    assert (await _stands(world, _PLAN)).taken == 1


async def test_an_attempt_that_is_repeated_needs_a_place_under_the_ceiling_of_its_day(world: World) -> None:
    await _ceiling(world, _PLAN, 1)
    world.foreign_affairs.scripts["IssueVisa"].insert(0, Unavailable("connect_failed"))
    await world.submit(_lines(world, 1))
    await world.carry_due()
    await _ceiling(world, _PLAN, 0)  # lowered before it was sent again
    await _work(world)
    world.clock.pass_by(seconds=60)
    await _work(world)
    assert world.foreign_affairs.calls() == {"IssueVisa": 1}
    assert (await _stands(world, _PLAN)).taken == 0


async def test_a_place_that_one_cannot_use_is_offered_to_the_next(world: World) -> None:
    await _ceiling(world, _PLAN, 0)
    receipt = await world.submit(_lines(world, 2))
    await _work(world)
    first, _ = await world.rows(receipt.batch_id)
    await world.engine.ledger.cancel(first.id, actor="test", now=world.engine.now())
    await _ceiling(world, _PLAN, 1)
    await _work(world)
    assert world.foreign_affairs.calls() == {"IssueVisa": 1}
