"""How many messages are in flight follows the event loop's own lag."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.pace import next_limit


@given(st.integers(1, 10_000), st.floats(0, 10), st.integers(1, 10_000))
def test_the_limit_stays_between_floor_and_ceiling(limit: int, lag_s: float, ceiling: int) -> None:
    after = next_limit(min(limit, ceiling), lag_s, ceiling)
    assert min(8, ceiling) <= after <= ceiling or after == min(limit, ceiling) + 4


def test_a_lagging_loop_gets_less_to_do_and_an_idle_one_more() -> None:
    assert next_limit(100, 0.5, 128) == 80
    assert next_limit(100, 0.0, 128) == 104
    assert next_limit(126, 0.0, 128) == 128
    assert next_limit(9, 0.5, 128) == 8
