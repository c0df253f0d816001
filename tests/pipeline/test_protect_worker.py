"""The worker itself beside a partner that never answers: it goes on carrying what others are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.pipeline import partners
from gateway.pipeline import worker as worker_module
from gateway.pipeline.worker import Worker
from gateway.settings.protection import Waiting
from gateway.states import State
from gateway.values import replace
from tests.pipeline.outage import send_check, states
from tests.pipeline.world import World

IN_FLIGHT = 8


def with_room_for(world: World, count: int) -> None:
    settings = world.engine.settings
    carrying = settings.gateway.carrying.model_copy(update={"in_flight": count})
    gateway = settings.gateway.model_copy(update={"carrying": carrying})
    world.engine = replace(world.engine, settings=settings.model_copy(update={"gateway": gateway}))


async def until(done: Callable[[], Awaitable[bool]], within_s: float = 15) -> None:
    async with asyncio.timeout(within_s):
        while not await done():
            await asyncio.sleep(0.01)


def sent(world: World, name: str) -> int:
    return len(world.engine.partners[name].sent)  # type: ignore[attr-defined]


async def drained(worker: Worker, running: asyncio.Task[None]) -> None:
    worker.drain()
    await asyncio.wait_for(running, 15)


async def test_calls_that_hang_do_not_keep_the_room_of_others(world: World) -> None:
    with_room_for(world, IN_FLIGHT)
    world.with_destination("passports", concurrency=IN_FLIGHT)
    world.passports.gate = asyncio.Event()
    batch = await world.submit(4 * IN_FLIGHT)
    worker = Worker(world.engine)
    running = asyncio.create_task(worker.run())

    async def all_places_are_taken() -> bool:
        return len(world.passports.sent) == IN_FLIGHT

    async def the_others_were_asked() -> bool:
        return sent(world, "gosi") == 1 and sent(world, "dues") == 1

    await until(all_places_are_taken)
    await send_check(world)
    world.clock.pass_by(seconds=2)  # now these calls are slow
    await until(the_others_were_asked)
    assert len(world.passports.sent) == IN_FLIGHT
    world.passports.gate.set()

    async def all_are_issued() -> bool:
        return (await states(world, batch.batch_id)).keys() == {State.COMPLETED}

    await until(all_are_issued)
    await drained(worker, running)


async def test_who_stands_in_line_does_not_keep_the_room_of_others(world: World) -> None:
    with_room_for(world, IN_FLIGHT)
    world.with_destination("passports", concurrency=1, waiting=Waiting(places=100, longest_s=15))
    world.passports.gate = asyncio.Event()
    await world.submit(4 * IN_FLIGHT)
    worker = Worker(world.engine)
    running = asyncio.create_task(worker.run())

    async def all_but_one_stand_in_line() -> bool:
        return world.engine.protection.in_line == 4 * IN_FLIGHT - 1

    await until(all_but_one_stand_in_line)
    assert len(world.passports.sent) == 1
    assert len(world.nic.sent) == 4 * IN_FLIGHT
    world.passports.gate.set()
    await drained(worker, running)


async def test_those_behind_a_line_wait_for_it_where_it_moves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claimed sooner they would find no place in it, and be held, whoever's turn it is."""
    monkeypatch.setattr(worker_module, "_LINE_S", 1000.0)
    with_room_for(world, 40)
    world.with_destination("passports", concurrency=1, waiting=Waiting(places=50, longest_s=15))
    world.passports.gate = asyncio.Event()
    batch = await world.submit(100)
    worker = Worker(world.engine)
    running = asyncio.create_task(worker.run())

    async def a_line_stands() -> bool:
        return world.engine.protection.in_line >= 20

    async def all_are_issued() -> bool:
        found = await states(world, batch.batch_id)
        assert State.HELD not in found
        return found.keys() == {State.COMPLETED}

    await until(a_line_stands)
    for _ in range(50):  # time enough to claim them all, if it would
        assert State.HELD not in await states(world, batch.batch_id)
    assert world.engine.protection.in_line <= 40
    world.passports.gate.set()
    await until(all_are_issued)
    await drained(worker, running)


async def test_what_an_operator_lets_go_on_is_carried_by_a_worker_that_only_waits(world: World) -> None:
    await partners.pause("nic", "operator-1", "their maintenance", None, world.engine)
    await partners.pause("passports", "operator-1", "their maintenance", None, world.engine)
    batch = await world.submit(20)
    worker = Worker(world.engine)
    running = asyncio.create_task(worker.run())

    async def all_are_held() -> bool:
        return (await states(world, batch.batch_id)).keys() == {State.HELD}

    async def all_are_issued() -> bool:
        return (await states(world, batch.batch_id)).keys() == {State.COMPLETED}

    await until(all_are_held)
    for name in ("nic", "passports"):
        await partners.resume(name, "operator-1", "back", world.engine)
    await until(all_are_issued)
    await drained(worker, running)
