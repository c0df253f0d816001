"""Inquire: what became of a call whose answer was lost? The partner is asked before anything else is done.

An "absent" counts only when asked twice, the clock starting at the latest instant at which the request may
have been sent plus the partner's longest processing time. Sending again then needs a partner that
deduplicates by our reference, or a destination configured so; otherwise a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.clock import micros, moment
from gateway.errors import LeaseLost
from gateway.ledger.port import AttemptRecord, Claimed, Doubt, Move
from gateway.message import Absent, Answered, AttemptEnd, Contested, Declined, Operation
from gateway.observe.crash import crash_point
from gateway.observe.log import log
from gateway.pipeline.absorb import done
from gateway.pipeline.decide import Issue, Refuse, Wait, decide
from gateway.pipeline.deliver import attempt
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import NEW, Journey, StepStatus, begin
from gateway.pipeline.partner_guard import Permit
from gateway.pipeline.persist import until_committed
from gateway.pipeline.prepare import prepare_exchange
from gateway.pipeline.protect import admit_question, give_back
from gateway.pipeline.settle import measure, resting_move
from gateway.policies.absence import next_inquiry_at, proven_absent
from gateway.settings import Destination
from gateway.states import State
from gateway.values import replace

#: Answers to an inquiry that say that the partner does know of the call.
_CONTRADICTS = frozenset({"processing", "ok", "refused", "contested", "answered"})


async def inquire(message: Claimed, engine: Engine) -> None:
    """Ask once, and conclude what can be concluded."""
    journey = begin(message, engine)
    if message.open_step is None:  # nothing irrevocable is open: a person asked to try again
        await _apply(_again(journey, engine), engine)
        return
    operation = engine.operations[message.open_step]
    if operation.inquiry is None or not engine.destination(operation).inquiry.enabled:
        await _apply(_review(journey, "no_inquiry", engine), engine)
        return
    permit = await admit_question(operation, engine)
    if isinstance(permit, Wait):
        await _apply(_put_off(journey, permit, engine), engine)
        return
    crash_point("before_inquiry")
    try:
        record, end = await _ask(journey, operation, permit, engine)
    finally:
        await give_back((permit,), engine)
    crash_point("after_inquiry")
    journey = replace(journey, unsaved=(record,))
    move = await until_committed(
        lambda: _conclude(journey, operation, record, end, engine), message.id, engine
    )
    await _apply(move, engine)


async def _ask(
    journey: Journey, operation: Operation, permit: Permit, engine: Engine
) -> tuple[AttemptRecord, AttemptEnd]:
    if operation.inquiry is None:
        raise AssertionError("asked without an inquiry")
    step = prepare_exchange(journey, operation, operation.inquiry, engine)
    send_by = engine.clock.boottime_s() + engine.destination(operation).deadline_s
    return await attempt(step, permit, send_by, engine, kind="inquiry")


async def _conclude(
    journey: Journey, operation: Operation, record: AttemptRecord, end: AttemptEnd, engine: Engine
) -> Move:
    now = engine.now()
    match end:
        case Answered(result):
            found = done(journey.step(operation), operation, result, now)
            return _found(journey.with_step(operation, found), engine)
        case Declined(code, public_code):
            refused = replace(
                journey.step(operation), status=StepStatus.DECLINED, code=code, public_code=public_code
            )
            return resting_move(journey.with_step(operation, refused), Refuse(public_code), engine)
        case Contested(code):
            return _review(journey, code, engine)
        case Absent():
            return await _absent(journey, operation, record, engine)
        case _:
            return _ask_again(journey, operation, engine)


def _found(journey: Journey, engine: Engine) -> Move:
    """The effect exists. Either that was the last step, or the itinerary goes on."""
    decision = decide(journey, engine.now())
    if isinstance(decision, Issue):
        return resting_move(journey, decision, engine)
    return replace(_again(journey, engine), intent_ends="done")


async def _absent(journey: Journey, operation: Operation, record: AttemptRecord, engine: Engine) -> Move:
    destination = engine.destination(operation)
    known = await engine.ledger.doubt(journey.message.id)
    # By a clock that was set back meanwhile it would have been asked later than it is now.
    asked_now = replace(record, started_at=min(record.started_at, engine.now()))
    if not proven_absent(
        _absences([*known.attempts, asked_now], operation),
        _last_sent(known, journey),
        _longest_processing(destination),
        timedelta(seconds=destination.inquiry.interval_s),
    ):
        return _ask_again(journey, operation, engine)
    if journey.message.cancel_requested_at is not None and journey.message.parent_id is None:
        return replace(
            _again(journey, engine), to=State.CANCELLED, action="cancel", code="cancelled", next_at=None
        )
    if destination.deduplicates or destination.resend_when_absent:
        kept = replace(journey.step(operation), status=StepStatus.NEW, code=None, not_before=None)
        return replace(_again(journey.with_step(operation, kept), engine), action="proven_absent")
    return _review(journey, "absent_not_deduplicated", engine)


def _absences(attempts: Sequence[AttemptRecord], operation: Operation) -> list[datetime]:
    """When the partner denied it, since the latest call and since it last said anything else of it."""
    denials: list[datetime] = []
    for tried in attempts:
        if tried.step != operation.name:
            continue
        if tried.kind == "call" or tried.outcome in _CONTRADICTS:
            denials.clear()
        elif tried.outcome == "absent":
            denials.append(moment(tried.started_at))
    return denials


def _last_sent(known: Claimed | Doubt, journey: Journey) -> datetime:
    """The latest instant at which the request may have been sent."""
    return moment(known.send_by or journey.message.received_at)


def _longest_processing(destination: Destination) -> timedelta:
    return timedelta(seconds=destination.longest_processing_s)


def _ask_again(journey: Journey, operation: Operation, engine: Engine) -> Move:
    destination = engine.destination(operation)
    now = engine.clock.now()
    if now - _last_sent(journey.message, journey) > timedelta(seconds=destination.inquiry.review_after_s):
        return _review(journey, "undecided_too_long", engine)
    at = next_inquiry_at(
        now,
        now,
        _last_sent(journey.message, journey),
        _longest_processing(destination),
        timedelta(seconds=destination.inquiry.interval_s),
    )
    return replace(
        _again(journey, engine),
        to=State.UNCERTAIN,
        action="ask_again",
        next_at=micros(at),
        intent_ends=None,
    )


def _put_off(journey: Journey, wait: Wait, engine: Engine) -> Move:
    """Not asked, so nothing is known that was not before: no absence is counted."""
    return replace(
        _again(journey, engine),
        to=State.UNCERTAIN,
        action="put_off",
        next_at=wait.until,
        waits_for=wait.waits_for,
        expected_at=wait.expected_at,
        intent_ends=None,
        progress=None,
    )


def _again(journey: Journey, engine: Engine) -> Move:
    """Ready at once, nothing open."""
    now = engine.now()
    return Move(
        message=journey.message,
        to=State.READY,
        now=now,
        action="again",
        actor="worker",
        progress=_retried(journey).sealed(engine.vault),
        attempts=journey.unsaved,
        next_at=now,
        intent_ends="free",
    )


def _retried(journey: Journey) -> Journey:
    """Steps that only a person could interpret are asked anew."""
    fresh = {
        name: NEW if state.status is StepStatus.CONTESTED else state for name, state in journey.steps.items()
    }
    return replace(journey, steps=fresh)


def _review(journey: Journey, code: str, engine: Engine) -> Move:
    return replace(
        _again(journey, engine),
        to=State.UNDER_REVIEW,
        action="review",
        code=code,
        next_at=None,
        intent_ends=None,
        progress=None,
    )


async def _apply(move: Move, engine: Engine) -> None:
    try:
        await until_committed(lambda: engine.ledger.apply(move), move.message.id, engine)
    except LeaseLost:
        log.warning("lease_lost", action="lease_lost", message_id=move.message.id)
        return
    measure(move, engine)
