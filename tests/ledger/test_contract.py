"""What every backend of the ledger promises (`gateway.ledger.port`)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from gateway.errors import Conflict, LeaseLost
from gateway.ledger.books import Books
from gateway.ledger.port import (
    AlreadyAccepted,
    Applied,
    BeingReceived,
    CancelAsked,
    GateClosed,
    Ledger,
    Note,
    Opened,
    Progress,
    ReferenceRecord,
    Resolution,
    Resolved,
)
from gateway.message import BatchId, MessageId, PartyId, new_id
from gateway.states import IllegalMove, Outcome, PublicState, State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import (
    ISSUANCE,
    PARTY,
    accepted_batch,
    claim,
    intend,
    intent_move,
    line,
    move,
    now,
    opening,
    rejected,
)


async def revision(ledger: Ledger, message_id: MessageId) -> int:
    row = await ledger.message(message_id)
    assert row is not None
    return row.revision


# --- intake ------------------------------------------------------------


async def test_one_key_fifty_times_at_once_opens_one_batch(ledger: Ledger, clock: ManualClock) -> None:
    answers = await asyncio.gather(*(ledger.begin_batch(opening(clock)) for _ in range(50)))
    assert Counter(type(answer) for answer in answers) == {Opened: 1, BeingReceived: 49}


async def test_a_repeat_after_acceptance_gets_the_first_receipt(ledger: Ledger, clock: ManualClock) -> None:
    first = await accepted_batch(ledger, clock, 1)
    again = await ledger.begin_batch(opening(clock))
    assert isinstance(again, AlreadyAccepted)
    assert (again.batch_id, again.payload_sha, again.sealed_receipt) == (first.batch_id, b"sha", b"receipt")


async def test_another_party_may_use_the_same_key(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    answer = await ledger.begin_batch(opening(clock, party=PartyId("sc-02")))
    assert isinstance(answer, Opened)


async def test_an_abandoned_intake_is_discarded_when_its_lease_ended_and_its_receiver_may_not_go_on(
    ledger: Ledger, clock: ManualClock
) -> None:
    first = opening(clock)
    await ledger.begin_batch(first)
    await ledger.add_lines(
        first.batch_id, first.intake_token, [line(first, 1, clock)], rejected, intake_until=now(clock, s=60)
    )
    clock.pass_by(seconds=61)
    assert isinstance(await ledger.begin_batch(opening(clock)), Opened)
    with pytest.raises(LeaseLost):
        await ledger.add_lines(
            first.batch_id, first.intake_token, [], rejected, intake_until=now(clock, s=60)
        )
    assert await ledger.lines(first.batch_id, after_line=0, limit=10) == []


async def test_a_person_has_one_live_application_across_centers(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1, "a", [b"person"])
    second = await accepted_batch(ledger, clock, 1, "b", [b"person"])
    (row,) = await ledger.lines(second.batch_id, after_line=0, limit=10)
    assert (row.public_state, row.code) == (PublicState.REJECTED, "duplicate_application")
    assert set(await ledger.holders([b"person", b"other"])) == {b"person"}


async def test_nothing_of_a_batch_is_claimed_before_it_is_accepted(
    ledger: Ledger, clock: ManualClock
) -> None:
    batch = opening(clock)
    await ledger.begin_batch(batch)
    await ledger.add_lines(
        batch.batch_id, batch.intake_token, [line(batch, 1, clock)], rejected, intake_until=now(clock, s=60)
    )
    await ledger.sweep(now=now(clock), release=1000)
    assert await claim(ledger, clock) == []


# --- claims ------------------------------------------------------------


async def test_lanes_take_turns_so_that_ten_lines_do_not_wait_behind_a_thousand(
    ledger: Ledger, clock: ManualClock
) -> None:
    large = await accepted_batch(ledger, clock, 1000, "large")
    small = await accepted_batch(ledger, clock, 10, "small")
    lanes = Counter(message.batch_id for message in await claim(ledger, clock, limit=20))
    assert lanes == {large.batch_id: 10, small.batch_id: 10}


async def test_every_lane_gets_its_turn_when_there_are_more_lanes_than_room(
    ledger: Ledger, clock: ManualClock
) -> None:
    batches = [await accepted_batch(ledger, clock, 3, f"k{n}") for n in range(10)]
    seen: Counter[str | None] = Counter()
    for _ in range(10):
        seen.update(message.batch_id for message in await claim(ledger, clock, limit=3))
    assert seen == {batch.batch_id: 3 for batch in batches}


async def test_two_workers_never_hold_the_same_message(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 300)
    claims = await asyncio.gather(*(claim(ledger, clock, limit=50) for _ in range(12)))
    ids = [message.id for taken in claims for message in taken]
    assert len(ids) == 300
    assert len(set(ids)) == 300


async def test_a_stale_token_writes_nothing(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (first,) = await claim(ledger, clock)
    clock.pass_by(seconds=61)
    await ledger.sweep(now=now(clock), release=10)
    (second,) = await claim(ledger, clock)
    for stale in (
        move(first, State.COMPLETED, clock, outcome=Outcome.ISSUED),
        intent_move(first, clock),
    ):
        with pytest.raises(LeaseLost):
            await ledger.apply(stale)
    await ledger.apply(move(second, State.COMPLETED, clock, outcome=Outcome.REFUSED))
    row = await ledger.message(first.id)
    assert row is not None
    assert row.outcome is Outcome.REFUSED


# --- intents ------------------------------------------------------------


async def test_a_lease_that_ends_before_an_intent_is_ready_again(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    clock.pass_by(seconds=61)
    assert (await ledger.sweep(now=now(clock), release=10)).leases_ended == 1
    row = await ledger.message(message.id)
    assert row is not None
    assert row.state is State.READY


async def test_a_lease_that_ends_after_an_intent_leaves_an_uncertain_message(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    await intend(ledger, message, clock)
    clock.pass_by(seconds=61)
    await ledger.sweep(now=now(clock), release=10)
    row = await ledger.message(message.id)
    assert row is not None
    assert (row.state, row.open_step) == (State.UNCERTAIN, ISSUANCE)
    assert [attempt.outcome for attempt in await ledger.attempts(message.id)] == ["crashed"]
    (inquiring,) = await claim(ledger, clock)
    assert inquiring.state is State.INQUIRING


async def test_of_an_open_call_all_times_are_told_by_one_clock(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 2)
    message, _ = await claim(ledger, clock, limit=2)
    await intend(ledger, message, clock)
    known = await ledger.doubt(message.id)
    assert [attempt.outcome for attempt in known.attempts] == ["open"]
    assert known.send_by == known.attempts[0].send_by


async def test_what_has_no_open_call_is_in_no_doubt(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    known = await ledger.doubt(message.id)
    assert (known.send_by, list(known.attempts)) == (None, [])


async def test_an_intent_cannot_be_recorded_twice(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    held = await intend(ledger, message, clock)
    with pytest.raises(Exception):  # noqa: B017 - whichever constraint speaks first
        await ledger.apply(intent_move(held, clock))


async def test_a_freed_intent_may_be_recorded_again_under_the_same_reference(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    held = await intend(ledger, message, clock)
    closed = replace(intent_move(held, clock).attempts[0], outcome="unavailable", finished_at=now(clock))
    await ledger.apply(
        move(held, State.READY, clock, intent_ends="free", next_at=now(clock), attempts=[closed])
    )
    (again,) = await claim(ledger, clock)
    assert isinstance(await ledger.apply(intent_move(again, clock)), Applied)


async def test_the_gate_is_looked_at_in_the_commit_of_the_intent(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    await ledger.put_reference([ReferenceRecord("licensee", "LIC-1", "2", {"status": "suspended"})])

    def gate(books: Books) -> GateClosed | None:
        record = books.record("licensee", "LIC-1")
        return GateClosed("licensee_inactive") if record and record.facts["status"] != "active" else None

    closed = await ledger.apply(replace(intent_move(message, clock), gate=gate))
    assert closed == GateClosed("licensee_inactive")
    row = await ledger.message(message.id)
    assert row is not None
    assert (row.open_step, await ledger.attempts(message.id)) == (None, [])


async def test_a_wish_to_cancel_is_seen_by_the_commit_of_the_intent(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    row = await ledger.cancel(message.id, actor="sc-01", now=now(clock))
    assert row.state is State.CARRIED
    assert isinstance(await ledger.apply(intent_move(message, clock)), CancelAsked)


async def test_cancelling_before_any_intent_is_immediate_and_twice_is_a_conflict(
    ledger: Ledger, clock: ManualClock
) -> None:
    batch = await accepted_batch(ledger, clock, 1)
    (row,) = await ledger.lines(batch.batch_id, after_line=0, limit=1)
    assert (await ledger.cancel(row.id, actor="sc-01", now=now(clock))).state is State.CANCELLED
    with pytest.raises(Conflict, match="already_settled"):
        await ledger.cancel(row.id, actor="sc-01", now=now(clock))


async def test_a_late_answer_is_kept_and_wakes_the_inquiry(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    held = await intend(ledger, message, clock)
    clock.pass_by(seconds=61)
    await ledger.sweep(now=now(clock), release=10)
    late = replace(intent_move(held, clock).attempts[0], outcome="late_ok", finished_at=now(clock))
    await ledger.keep_late_answer(held, late, now=now(clock))
    assert [attempt.outcome for attempt in await ledger.attempts(message.id)] == ["crashed", "late_ok"]
    assert "late_answer" in [entry.action for entry in await ledger.audit(message.id)]


async def test_a_move_that_the_state_table_does_not_have_is_not_written(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    with pytest.raises(IllegalMove):
        await ledger.apply(move(message, State.INQUIRING, clock))


# --- batches, counts, reviews ------------------------------------------------------------


async def test_a_batch_completes_with_its_last_line_and_says_so_once(
    ledger: Ledger, clock: ManualClock
) -> None:
    batch = await accepted_batch(ledger, clock, 3)
    for message in await claim(ledger, clock):
        before = await ledger.batch(batch.batch_id)
        assert before is not None
        assert before.state == "processing"
        await ledger.apply(move(message, State.COMPLETED, clock, outcome=Outcome.ISSUED))
    row = await ledger.batch(batch.batch_id)
    assert row is not None
    assert (row.state, row.revision, row.counts) == ("completed", 1, {"issued": 3})


async def test_a_batch_of_rejected_lines_only_is_completed_when_accepted(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1, "a", [b"p"])
    batch = await accepted_batch(ledger, clock, 1, "b", [b"p"])
    row = await ledger.batch(batch.batch_id)
    assert row is not None
    assert (row.state, row.counts) == ("completed", {"rejected": 1})


async def test_counts_by_state_are_what_a_recount_finds(ledger: Ledger, clock: ManualClock) -> None:
    batch = await accepted_batch(ledger, clock, 60)
    ends = [
        {"to": State.COMPLETED, "outcome": Outcome.ISSUED},
        {"to": State.COMPLETED, "outcome": Outcome.REFUSED},
        {"to": State.HELD, "code": "mission_capacity", "next_at": now(clock, s=1)},
        {"to": State.AWAITING, "code": "answer_pending", "next_at": now(clock, s=500)},
        {"to": State.READY, "next_at": now(clock, s=500)},
    ]
    for n, message in enumerate(await claim(ledger, clock, limit=50)):
        await ledger.apply(replace(move(message, State.READY, clock), **ends[n % len(ends)]))
    clock.pass_by(seconds=2)
    await ledger.sweep(now=now(clock), release=10)
    row = await ledger.batch(batch.batch_id)
    assert row is not None
    recount = Counter(
        line.public_state.value for line in await ledger.lines(batch.batch_id, after_line=0, limit=100)
    )
    assert dict(row.counts) == dict(recount)


async def test_a_review_ends_only_when_a_second_operator_confirms_and_raises_the_revision(
    ledger: Ledger, clock: ManualClock
) -> None:
    batch = await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    await ledger.apply(move(message, State.UNDER_REVIEW, clock, code="contested"))
    await ledger.propose(
        Resolution(
            message.id,
            await revision(ledger, message.id),
            "refused",
            None,
            Note(b"sealed", "0" * 64),
            "operator-1",
            now(clock),
        )
    )

    def settle(*_: object) -> Resolved:
        return Resolved(Progress(b"sealed", 2))

    with pytest.raises(Conflict, match="same_operator"):
        await ledger.confirm_resolution(message.id, operator="operator-1", now=now(clock), settle=settle)
    row = await ledger.confirm_resolution(message.id, operator="operator-2", now=now(clock), settle=settle)
    assert (row.state, row.outcome) == (State.COMPLETED, Outcome.REFUSED)
    counted = await ledger.batch(batch.batch_id)
    assert counted is not None
    assert (counted.revision, counted.counts) == (2, {"refused": 1})


async def test_sending_again_after_a_review_frees_the_intent(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    held = await intend(ledger, message, clock)
    closed = replace(intent_move(held, clock).attempts[0], outcome="unknown", finished_at=now(clock))
    await ledger.apply(move(held, State.UNDER_REVIEW, clock, code="no_inquiry", attempts=[closed]))
    await ledger.propose(
        Resolution(
            message.id,
            await revision(ledger, message.id),
            "send_again",
            None,
            Note(b"sealed", "0" * 64),
            "a",
            now(clock),
        )
    )
    await ledger.confirm_resolution(
        message.id, operator="b", now=now(clock), settle=lambda *_: Resolved(Progress(b"sealed", 2))
    )
    (again,) = await claim(ledger, clock)
    assert again.open_step is None
    assert isinstance(await ledger.apply(intent_move(again, clock)), Applied)


# --- tokens, unknown things ------------------------------------------------------------


async def test_a_token_id_is_taken_once_unless_the_same_key_is_repeated(
    ledger: Ledger, clock: ManualClock
) -> None:
    until = now(clock, s=300)
    assert await ledger.use_token(PARTY, "j", "key", expires_at=until, now=now(clock))
    assert await ledger.use_token(PARTY, "j", "key", expires_at=until, now=now(clock))
    assert not await ledger.use_token(PARTY, "j", "other", expires_at=until, now=now(clock))
    assert not await ledger.use_token(PARTY, "j", "", expires_at=until, now=now(clock))


async def test_a_token_id_is_remembered_for_a_while_after_its_end(ledger: Ledger, clock: ManualClock) -> None:
    """Who asks judged the end by a clock of its own, and asks a moment later."""
    until = now(clock, s=60)
    assert await ledger.use_token(PARTY, "j", "key", expires_at=until, now=now(clock))
    for seconds in (60, 61, 359):
        assert not await ledger.use_token(PARTY, "j", "other", expires_at=until, now=now(clock, s=seconds))
    assert await ledger.use_token(PARTY, "j", "key", expires_at=until, now=now(clock, s=61))
    assert await ledger.use_token(PARTY, "j", "other", expires_at=until, now=now(clock, s=361))


async def test_unknown_ids_are_none(ledger: Ledger) -> None:
    assert await ledger.batch(BatchId(new_id())) is None
    assert await ledger.message(MessageId(new_id())) is None
    assert await ledger.record("licensee", "nobody") is None
