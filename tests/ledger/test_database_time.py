"""Times by the database's clock and by a process's own (`gateway.ledger.postgresql.database_time`)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.postgresql.database_time import (
    attempt_by_process,
    by_database,
    by_process,
    doubt_by_process,
)
from gateway.ledger.records import AttemptRecord, Claimed, Doubt, Move
from gateway.message import BatchFacts, MessageId, Micros, PartyId
from gateway.states import State
from gateway.values import replace

HOUR = 3_600_000_000
TOLD = Micros(1_800_000_000_000_000)
differences = st.integers(-HOUR, HOUR)


def question(started_at: Micros) -> AttemptRecord:
    return AttemptRecord(
        step="foreign_affairs.visa_issuance", action="GetVisaStatus", kind="inquiry", repeatable=False,
        started_at=started_at, send_by=TOLD, finished_at=TOLD, outcome="absent", code=None, policy="1",
    )  # fmt: skip


@given(differences)
def test_all_that_is_known_of_a_call_is_moved_by_one_difference(ahead: int) -> None:
    known = doubt_by_process(Doubt(TOLD, [question(TOLD)]), ahead)
    assert known.send_by == known.attempts[0].send_by == TOLD - ahead


def claimed(send_by: Micros | None) -> Claimed:
    return Claimed(
        id=MessageId("m"), kind="visa.application", state=State.INQUIRING, party=PartyId("sc-01"),
        facts=BatchFacts("", "L", "A", "M", 1448), reference="", batch_id=None, line=None, parent_id=None,
        token=1, attempts=1, received_at=TOLD, deadline_at=None, cancel_requested_at=None, open_step=None,
        send_by=send_by, hurried_at=None, data_key=b"", sealed_payload=b"", sealed_progress=None,
        progress_revision=0, versions="",
    )  # fmt: skip


def move(**changes: object) -> Move:
    return replace(Move(claimed(None), State.UNCERTAIN, TOLD, action="a", actor="w"), **changes)  # type: ignore[arg-type]


@given(differences, st.integers(1, HOUR))
def test_what_lies_ahead_is_as_far_ahead_by_any_clock(ahead: int, wait: int) -> None:
    now = Micros(TOLD + ahead)
    moved = by_database(move(next_at=Micros(TOLD + wait), send_by=Micros(TOLD + wait)), now, ahead)
    assert moved.next_at == now + wait
    assert moved.send_by == now + wait


@given(differences, st.integers(0, HOUR))
def test_a_question_is_recorded_when_it_was_asked(ahead: int, ago: int) -> None:
    asked = question(Micros(TOLD - ago))
    (kept,) = by_database(move(attempts=(asked,)), Micros(TOLD + ahead), ahead).attempts
    assert kept.started_at == TOLD - ago + ahead
    assert attempt_by_process(kept, ahead).started_at == asked.started_at


@given(st.integers(1, HOUR))
def test_a_clock_that_leapt_back_meanwhile_puts_no_question_into_the_future(leap: int) -> None:
    asked = question(TOLD)
    told_after = Micros(TOLD - leap)
    now, ahead = TOLD, leap
    (kept,) = by_database(move(now=told_after, attempts=(asked,)), now, ahead).attempts
    assert kept.started_at <= now


@given(differences)
def test_a_worker_reads_by_its_own_clock(ahead: int) -> None:
    assert by_process(claimed(Micros(TOLD + ahead)), ahead).send_by == TOLD
    assert by_process(claimed(None), ahead).send_by is None
