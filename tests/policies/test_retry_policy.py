"""The retry policy: grows, never above its ceiling, never a hot loop, and gives up when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policies.retry import next_attempt_at, wait
from gateway.settings import Retry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Drawn(Random):
    """Always draws the same part of a range."""

    def __init__(self, part: float) -> None:
        super().__init__(0)
        self.part = part

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.part


@st.composite
def policies(draw: st.DrawFn) -> Retry:
    first = draw(st.floats(0.01, 3_600))
    ceiling = draw(st.floats(first, 7_776_000))
    return Retry(first_s=first, ceiling_s=ceiling, factor=draw(st.floats(1, 10)))


@given(policies(), st.integers(1, 1_000_000), st.floats(0, 1))
def test_a_wait_is_neither_a_hot_loop_nor_above_its_ceiling(policy: Retry, attempt: int, part: float) -> None:
    seconds = wait(attempt, policy, Drawn(part)).total_seconds()
    assert policy.first_s * 0.25 - 1e-6 <= seconds <= policy.ceiling_s + 1e-6


@given(policies(), st.integers(1, 1_000))
def test_the_longest_wait_never_shrinks_with_the_attempts(policy: Retry, attempt: int) -> None:
    assert wait(attempt, policy, Drawn(1)) <= wait(attempt + 1, policy, Drawn(1))


def test_the_longest_wait_grows_by_the_factor_up_to_the_ceiling() -> None:
    policy = Retry(first_s=2, ceiling_s=30, factor=3)
    longest = [wait(attempt, policy, Drawn(1)).total_seconds() for attempt in range(1, 6)]
    assert longest == [2, 6, 18, 30, 30]


def test_waits_are_drawn_from_the_whole_range() -> None:
    policy = Retry(first_s=1, ceiling_s=100, factor=10)
    random = Random(7)
    drawn = [wait(3, policy, random).total_seconds() for _ in range(1_000)]
    assert min(drawn) < 2
    assert max(drawn) > 99
    assert 45 < sum(drawn) / len(drawn) < 55


def test_without_a_limit_it_never_gives_up() -> None:
    years_ago = NOW - timedelta(days=1_000)
    assert next_attempt_at(NOW, 10_000, Retry(), Random(1), first_at=years_ago) is not None


@given(policies(), st.integers(1, 100), st.floats(0, 1), st.integers(0, 1_000_000), st.integers(1, 7_000_000))
def test_it_gives_up_exactly_when_the_next_attempt_would_come_too_late(
    policy: Retry, attempt: int, part: float, age_s: int, limit_s: int
) -> None:
    limited = policy.model_copy(update={"give_up_after_s": float(limit_s)})
    first_at = NOW - timedelta(seconds=age_s)
    would_be = NOW + wait(attempt, policy, Drawn(part))
    at = next_attempt_at(NOW, attempt, limited, Drawn(part), first_at=first_at)
    assert at == (would_be if would_be <= first_at + timedelta(seconds=limit_s) else None)


def test_an_attempt_at_the_very_limit_is_still_made() -> None:
    policy = Retry(first_s=4, ceiling_s=4, give_up_after_s=10)
    first_at = NOW - timedelta(seconds=6)
    assert next_attempt_at(NOW, 3, policy, Drawn(1), first_at=first_at) == NOW + timedelta(seconds=4)


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        wait(0, Retry(), Random(1))
