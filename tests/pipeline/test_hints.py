"""Hints between the processes of one group: heard by whoever has room, and never needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from gateway.pipeline.hints import GroupHints, Hints, helpers_wanted

SHARE = 10
SOON_S = 0.05
PATIENCE_S = 20

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    yield ends
    for end in ends:
        os.close(end)


def process(pipe: Pipe, *, carries: bool = True) -> GroupHints:
    return GroupHints(Hints(), pipe, share=SHARE, carries=carries)


async def hears(one: GroupHints, within_s: float) -> bool:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await one.wait(within_s)
    return loop.time() - began < within_s


def test_one_takes_its_share_alone_and_asks_for_help_with_the_rest() -> None:
    assert helpers_wanted(SHARE, SHARE, carries=True) == 0
    assert helpers_wanted(SHARE + 1, SHARE, carries=True) == 1
    assert helpers_wanted(35, SHARE, carries=True) == 3
    assert helpers_wanted(1, SHARE, carries=False) == 1
    assert helpers_wanted(1_000_000, SHARE, carries=True) == 16


async def test_another_hears_of_what_is_too_much_for_one(pipe: Pipe) -> None:
    one, other = process(pipe), process(pipe)
    waiting = asyncio.create_task(hears(other, PATIENCE_S))
    one.notify(2 * SHARE)
    assert await waiting
    assert await hears(one, PATIENCE_S)


async def test_what_one_can_do_alone_wakes_nobody_else(pipe: Pipe) -> None:
    one, other = process(pipe), process(pipe)
    one.notify(SHARE, ("a message",))
    assert not await hears(other, SOON_S)


async def test_who_only_listens_to_parties_leaves_everything_to_others(pipe: Pipe) -> None:
    api, worker = process(pipe, carries=False), process(pipe)
    api.notify(1, ("a message",))
    assert await hears(worker, PATIENCE_S)


async def test_a_hint_is_for_one_and_stays_until_somebody_has_room(pipe: Pipe) -> None:
    one, busy, idle = process(pipe), process(pipe), process(pipe)
    one.notify(2 * SHARE)  # nobody waits
    assert await hears(idle, PATIENCE_S)
    assert not await hears(busy, SOON_S)


async def test_hints_that_nobody_reads_hold_nobody_up(pipe: Pipe) -> None:
    one = process(pipe)
    for _ in range(10_000):
        one.notify(1_000_000)
    assert await hears(one, PATIENCE_S)


async def test_nothing_is_read_once_nobody_waits(pipe: Pipe) -> None:
    one, other = process(pipe), process(pipe)
    assert not await hears(other, SOON_S)
    one.notify(2 * SHARE)
    await asyncio.sleep(0)
    assert os.read(pipe[0], 100) == b"\0"
