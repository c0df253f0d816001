"""Rates that several processes keep together, and the share of calls that may be repetitions."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message import Micros
from gateway.policies.rate import Bucket, block_size, take
from gateway.policies.retry_budget import RetryAccount, may_repeat
from gateway.settings.protection import CallRate, RetryBudget

RATE = CallRate(calls_per_s=50.0, burst=10)
_STEPS = st.lists(st.tuples(st.integers(0, 500_000), st.integers(1, 30)), min_size=1, max_size=200)


@settings(deadline=None)
@given(_STEPS)
def test_never_more_is_taken_than_the_rate_allows(steps: list[tuple[int, int]]) -> None:
    bucket: Bucket | None = None
    now, taken = Micros(0), 0
    for passed, wanted in steps:
        now = Micros(now + passed)
        bucket, block = take(bucket, RATE, wanted, now)
        taken += block.tokens
        assert block.tokens <= wanted
        assert taken <= RATE.burst + RATE.calls_per_s * now / 1_000_000 + 1e-6


@settings(deadline=None)
@given(_STEPS)
def test_who_waits_as_long_as_told_gets_a_token(steps: list[tuple[int, int]]) -> None:
    bucket: Bucket | None = None
    now = Micros(0)
    for passed, wanted in steps:
        now = Micros(now + passed)
        bucket, block = take(bucket, RATE, wanted, now)
    _, after = take(bucket, RATE, 1, Micros(now + round(block.wait_s * 1_000_000) + 1))
    assert after.tokens == 1


def test_a_clock_that_goes_back_takes_nothing_away_and_gives_nothing() -> None:
    bucket, _ = take(None, RATE, 10, Micros(1_000_000))
    _, block = take(bucket, RATE, 10, Micros(500_000))
    assert block.tokens == 0


def test_a_block_is_what_a_moment_needs() -> None:
    assert block_size(RATE, 0) == 3
    assert block_size(RATE, 100) == 10
    assert block_size(CallRate(calls_per_s=0.5, burst=1), 100) == 1


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=300))
def test_repetitions_stay_a_share_of_first_calls(wishes: list[bool]) -> None:
    budget = RetryBudget(share=0.2, floor_per_s=0.5, window_s=10.0)
    account, first, repeated = RetryAccount(), 0, 0
    for wish in wishes:
        if wish and not account.allows(Micros(100_000_000), budget):
            continue
        account.note(Micros(100_000_000), 10_000_000, repeated=wish)
        first, repeated = first + (not wish), repeated + wish
        assert repeated <= 0.2 * first + 5 + 1


def test_a_partner_that_is_seldom_called_can_be_called_again() -> None:
    budget = RetryBudget(share=0.2, floor_per_s=0.1, window_s=10.0)
    assert may_repeat(0, 0, budget)
    assert not may_repeat(0, 1, budget)
    assert may_repeat(10, 2, budget)


@given(st.integers(1, 9_000_000))
def test_what_one_clock_has_filled_another_one_behind_it_does_not_fill_again(apart: int) -> None:
    bucket, given_out = Bucket(0, Micros(100_000_000)), 0
    for tenth in range(100):
        for behind in (0, apart):
            bucket, block = take(bucket, RATE, 1000, Micros(100_000_000 + tenth * 100_000 - behind))
            given_out += block.tokens
    assert given_out <= RATE.calls_per_s * 10


def test_a_clock_that_was_far_ahead_stops_nobody() -> None:
    bucket, _ = take(Bucket(0, Micros(3_600_000_000)), RATE, 1, Micros(0))
    assert take(bucket, RATE, 1, Micros(1_000_000))[1].tokens == 1
