"""A denial proves nothing alone, nor too early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.policies.absence import counts, next_inquiry_at, proven_absent

SEND_BY = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROCESSING = timedelta(seconds=300)
INTERVAL = timedelta(seconds=60)
SETTLED = SEND_BY + PROCESSING
MOMENT = timedelta(microseconds=1)

offsets = st.integers(-1_000_000_000, 1_000_000_000).map(lambda us: timedelta(microseconds=us))
spans = st.integers(1, 1_000_000_000).map(lambda us: timedelta(microseconds=us))


def test_a_denial_counts_from_the_instant_at_which_nothing_can_happen_any_more() -> None:
    assert counts(SETTLED, SEND_BY, PROCESSING)
    assert not counts(SETTLED - MOMENT, SEND_BY, PROCESSING)


def test_one_denial_is_not_enough() -> None:
    assert not proven_absent([], SEND_BY, PROCESSING, INTERVAL)
    assert not proven_absent([SETTLED + 10 * INTERVAL], SEND_BY, PROCESSING, INTERVAL)


def test_two_denials_an_interval_apart_prove_it() -> None:
    assert proven_absent([SETTLED, SETTLED + INTERVAL], SEND_BY, PROCESSING, INTERVAL)
    assert not proven_absent([SETTLED, SETTLED + INTERVAL - MOMENT], SEND_BY, PROCESSING, INTERVAL)


def test_early_denials_prove_nothing_however_many() -> None:
    early = [SETTLED - INTERVAL * n for n in range(1, 20)]
    assert not proven_absent([*early, SETTLED], SEND_BY, PROCESSING, INTERVAL)


@given(st.lists(offsets, max_size=8), spans, spans)
def test_proof_is_two_counting_denials_in_any_order(
    asked: list[timedelta], processing: timedelta, interval: timedelta
) -> None:
    answers = [SEND_BY + offset for offset in asked]
    expected = any(a >= SEND_BY + processing and b - a >= interval for a in answers for b in answers)
    assert proven_absent(answers, SEND_BY, processing, interval) is expected
    assert proven_absent(answers[::-1], SEND_BY, processing, interval) is expected


def test_the_first_inquiry_is_made_at_once() -> None:
    assert next_inquiry_at(SEND_BY, None, SEND_BY, PROCESSING, INTERVAL) == SEND_BY


def test_a_question_just_before_denials_count_waits_until_they_do() -> None:
    asked = SETTLED - INTERVAL - timedelta(seconds=10)
    assert next_inquiry_at(asked, asked, SEND_BY, PROCESSING, INTERVAL) == SETTLED


def test_other_questions_come_an_interval_apart() -> None:
    for asked in (SEND_BY, SETTLED - 5 * INTERVAL, SETTLED, SETTLED + INTERVAL):
        assert next_inquiry_at(asked, asked, SEND_BY, PROCESSING, INTERVAL) == asked + INTERVAL


@given(offsets, offsets, spans, spans)
def test_a_question_is_never_set_for_the_past_nor_sooner_than_an_interval(
    now: timedelta, asked: timedelta, processing: timedelta, interval: timedelta
) -> None:
    at = next_inquiry_at(SEND_BY + now, SEND_BY + asked, SEND_BY, processing, interval)
    assert at >= SEND_BY + now
    assert at >= SEND_BY + asked + interval
    assert at <= max(SEND_BY + now, SEND_BY + asked + 2 * interval)


@given(spans, spans)
def test_asking_when_told_to_proves_absence_soon_after_it_can_be_proven(
    processing: timedelta, interval: timedelta
) -> None:
    settled = SEND_BY + processing
    asked: list[datetime] = []
    now = max(SEND_BY, settled - 3 * interval)
    while not proven_absent(asked, SEND_BY, processing, interval):
        now = next_inquiry_at(now, asked[-1] if asked else None, SEND_BY, processing, interval)
        asked.append(now)
    assert now <= settled + 2 * interval
