"""Who stands in line for a place gets one, gives up, or is ended, and never keeps it from others."""

from __future__ import annotations

import asyncio

from gateway.message import Micros
from gateway.pipeline.partner_guard import OVER_BUDGET, PartnerGuard, Permit
from gateway.pipeline.protect import _permit
from gateway.settings import Destination
from gateway.settings.protection import RetryBudget
from tests.pipeline.world import World

LONG_S = 5.0


def guard_with_one_place(world: World) -> tuple[PartnerGuard, Destination, Permit]:
    """And who has it."""
    policy = world.engine.settings.destinations["nic"].model_copy(update={"concurrency": 1})
    guard = PartnerGuard("nic")
    permit = guard.ask(policy, Micros(1), repeated=False)
    assert isinstance(permit, Permit)
    return guard, policy, permit


async def in_line(guard: PartnerGuard, longest_s: float = LONG_S) -> asyncio.Task[Permit | None]:
    waiting = guard.waiting
    task = asyncio.create_task(guard.wait_for_place(longest_s))
    while guard.waiting == waiting:
        await asyncio.sleep(0)
    return task


async def test_places_are_given_in_the_order_of_the_line(world: World) -> None:
    guard, _, permit = guard_with_one_place(world)
    first, second = await in_line(guard), await in_line(guard)
    permit.give_back()
    let_in = await first
    assert let_in is not None
    assert not second.done()
    let_in.give_back()
    assert await second is not None


async def test_who_waited_too_long_is_in_line_no_more(world: World) -> None:
    guard, policy, permit = guard_with_one_place(world)
    assert await (await in_line(guard, 0.0)) is None
    assert guard.waiting == 0
    permit.give_back()
    assert isinstance(guard.ask(policy, Micros(2), repeated=False), Permit)


async def test_who_is_ended_while_in_line_is_passed_over(world: World) -> None:
    guard, _, permit = guard_with_one_place(world)
    ended, next_one = await in_line(guard), await in_line(guard)
    ended.cancel()
    permit.give_back()  # before whoever is ended has noticed
    assert await next_one is not None
    await asyncio.gather(ended, return_exceptions=True)
    assert ended.cancelled()
    assert (guard.waiting, len(guard.permits)) == (0, 1)


async def test_who_is_ended_when_let_in_gives_the_place_to_the_next(world: World) -> None:
    guard, _, permit = guard_with_one_place(world)
    ended, next_one = await in_line(guard), await in_line(guard)
    permit.give_back()
    ended.cancel()  # before whoever is let in has noticed
    assert await next_one is not None
    await asyncio.gather(ended, return_exceptions=True)
    assert ended.cancelled()
    assert (guard.waiting, len(guard.permits)) == (0, 1)


async def test_all_in_line_are_turned_away_at_once(world: World) -> None:
    guard, _, _ = guard_with_one_place(world)
    waiting = [await in_line(guard) for _ in range(3)]
    waiting[1].cancel()
    guard.turn_away()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [found[0], found[2]] == [None, None]
    assert guard.waiting == 0


async def test_repetitions_that_stood_in_line_keep_to_their_budget(world: World) -> None:
    budget = RetryBudget(share=0.1, floor_per_s=0.01, window_s=100)
    world.with_destination("nic", concurrency=1, retry_budget=budget)
    guard, engine = world.engine.protection.guard("nic"), world.engine
    engine.protection.looked = True
    holder = guard.ask(engine.settings.destinations["nic"], engine.now(), repeated=False)
    assert isinstance(holder, Permit)
    checks = next(one for one in engine.operations.values() if one.destination == "nic")
    waiting = [asyncio.create_task(_permit(checks, engine, repeated=True)) for _ in range(20)]
    while guard.waiting < len(waiting):
        await asyncio.sleep(0)
    holder.give_back()
    let_in = 0
    for task in waiting:
        permit = await task
        if isinstance(permit, Permit):
            let_in += 1
            permit.give_back()
        else:
            assert permit.code == OVER_BUDGET
    assert let_in == 1
    assert not guard.permits
