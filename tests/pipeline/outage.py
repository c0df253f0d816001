"""Seconds of a gateway's life with partners that are down, one after the other, by a clock that is set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.message import BatchId, PartyId
from gateway.pipeline.carry import carry
from gateway.pipeline.inquire import inquire
from gateway.pipeline.take import Arrival, take
from gateway.pipeline.wake_partners import wake
from gateway.states import State
from schemas.kinds import KINDS
from tests.pipeline.world import World

CHECK = {"check_id": "CHK-9", "version": 1, "licensee_id": "LIC-1002", "season": 1448}


async def round_of_work(world: World) -> int:
    """What a worker does all the time: look at the partners, sweep, claim, carry everything together."""
    engine = world.engine
    await wake(engine)
    await engine.ledger.sweep(now=engine.now(), release=10_000)
    lease = engine.now() + 60_000_000
    claimed = await engine.ledger.claim("w", 1000, now=engine.now(), lease_until=lease)  # type: ignore[arg-type]
    await asyncio.gather(
        *((carry if one.state is State.CARRIED else inquire)(one, engine) for one in claimed)
    )
    return len(claimed)


async def work_for(world: World, seconds: float, *, step_s: float = 0.5) -> None:
    """Rounds with time passing in between."""
    for _ in range(round(seconds / step_s)):
        await round_of_work(world)
        world.clock.pass_by(seconds=step_s)


async def seconds_until(world: World, done: Callable[[], Any], *, most: float, step_s: float = 0.5) -> float:
    """How long it took until `done()`; fails when it takes longer than `most`."""
    for n in range(round(most / step_s)):
        if await done():
            return n * step_s
        await round_of_work(world)
        world.clock.pass_by(seconds=step_s)
    raise AssertionError(f"not done within {most} s")


async def states(world: World, batch: BatchId | None) -> dict[State, int]:
    """How many lines of a batch stand in each state."""
    counts: dict[State, int] = {}
    for row in await world.rows(batch):
        counts[row.state] = counts.get(row.state, 0) + 1
    return counts


async def send_check(world: World) -> None:
    """A message that goes to other partners than an application does, and to two of the same."""
    body = {**KINDS["licensee.activation_check"].example, **CHECK}
    await take(Arrival(PartyId("licensing"), "licensee.activation_check", body, "http"), world.engine)
