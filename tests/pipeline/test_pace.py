"""How many messages are in flight follows what one round of the event loop takes of the processor."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline import pace
from gateway.pipeline.pace import Pace, next_limit
from gateway.pipeline.protection import Protection

BEGIN = 32
LONG_S = 0.05


@given(st.integers(1, 10_000), st.floats(0, 10), st.integers(1, 10_000), st.booleans())
def test_the_limit_stays_between_floor_and_ceiling(
    limit: int, round_s: float, ceiling: int, binding: bool
) -> None:
    before = min(limit, ceiling)
    after = next_limit(before, round_s, ceiling, binding=binding)
    assert min(8, before) <= after <= ceiling


def test_a_lagging_loop_gets_less_to_do_and_an_idle_one_more() -> None:
    assert next_limit(100, 0.5, 128) == 80
    assert next_limit(100, 0.0, 128) == 126
    assert next_limit(126, 0.0, 128) == 128
    assert next_limit(9, 0.5, 128) == 8


def test_it_does_not_grow_where_nobody_waits_for_it() -> None:
    assert next_limit(100, 0.0, 128, binding=False) == 100
    assert next_limit(100, 0.5, 128, binding=False) == 80


async def looked(kept: Pace, *, busy_s: float = 0.0, asleep_s: float = 0.0) -> None:
    """One look, during a round of the loop that computes for so long, or has not the processor."""

    def round_of_the_loop() -> None:
        until = time.thread_time() + busy_s
        while time.thread_time() < until:
            pass
        time.sleep(asleep_s)

    async def beside() -> None:
        while True:
            await asyncio.sleep(0)
            round_of_the_loop()

    looks = asyncio.create_task(kept.look())
    other = asyncio.create_task(beside())
    await looks
    other.cancel()


@pytest.mark.parametrize(
    ("reached", "in_line", "busy_s", "after"),
    [
        (True, 0, 0.0, int(BEGIN * 1.25) + 1),
        (False, 0, 0.0, BEGIN),
        (True, 3, 0.0, BEGIN),
        (True, 0, LONG_S, int(BEGIN * 0.8)),
        (True, 3, LONG_S, int(BEGIN * 0.8)),
    ],
)
async def test_a_look_at_the_loop(
    reached: bool, in_line: int, busy_s: float, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_LOOK_EVERY_S", 0)
    kept = Pace(128, Protection(in_line=in_line))
    kept.reached = reached
    await looked(kept, busy_s=busy_s)
    assert kept.limit == after
    assert not kept.reached


async def test_time_in_which_others_had_the_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_LOOK_EVERY_S", 0)
    kept = Pace(128, Protection())
    kept.reached = True
    await looked(kept, asleep_s=LONG_S)
    assert kept.limit > BEGIN
