"""Settle: one commit writes what the message came to, and all that goes with it."""

from __future__ import annotations

from functools import partial
from typing import assert_never

from gateway.clock import day_begins, micros
from gateway.errors import Conflict, LeaseLost
from gateway.ledger.port import AttemptRecord, Claimed, Move
from gateway.message import MessageId, Micros
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.observe.log import log
from gateway.observe.metrics import bound
from gateway.pipeline.absorb import RETRIES_EXHAUSTED
from gateway.pipeline.cancellation import cancellation_of
from gateway.pipeline.consequences import APPLICATION, following
from gateway.pipeline.decide import Cancel, Decision, Deliver, Doubt, Issue, Refuse, Review, Wait
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import NEW, Journey, StepStatus, late_place
from gateway.pipeline.persist import until_committed
from gateway.policies.urgency import urgency
from gateway.states import FINAL, Outcome, State
from gateway.values import replace


async def settle(journey: Journey, decision: Decision, engine: Engine) -> None:
    """Bring the message to rest. A worker that lost its lease leaves its answer as evidence instead."""
    move = resting_move(journey, decision, engine)
    crash_point("before_settle")
    try:
        with tracing.of_message(journey.message.id, "settle", state=move.to):
            applied = await until_committed(lambda: engine.ledger.apply(move), move.message.id, engine)
    except LeaseLost:
        await _keep_late_answers(journey, engine)
        return
    crash_point("after_settle")
    measure(move, engine)
    if getattr(applied, "cancel_requested", False):
        await _heed_cancellation(move, engine)


def resting_move(journey: Journey, decision: Decision, engine: Engine) -> Move:
    """The move with which a decision ends a carry or an inquiry, and what it leads to."""
    move = _resting_move(journey, decision, engine)
    then = following(move, journey, engine)
    return move if then is None else replace(move, then=then)


def _resting_move(journey: Journey, decision: Decision, engine: Engine) -> Move:
    now = engine.now()
    rest = Move(
        message=journey.message,
        to=State.COMPLETED,
        now=now,
        action="settle",
        actor="worker",
        progress=journey.sealed(engine.vault),
        attempts=journey.unsaved,
        intent_ends=_intent_ends(journey),
    )
    match decision:
        case Issue():
            return _issued(rest, journey, engine)
        case Refuse(public_code):
            return replace(rest, action="refuse", outcome=Outcome.REFUSED, code=public_code)
        case Doubt():
            return _doubt(rest, journey)
        case Review(code):
            return replace(
                rest,
                to=State.UNDER_REVIEW,
                action="review",
                code=code,
            )
        case Cancel():
            return replace(rest, to=State.CANCELLED, action="cancel", code="cancelled")
        case Wait(to, until, reason, waits_for, expected_on, expected_at):
            return replace(
                rest,
                to=to,
                action="wait",
                next_at=until,
                code=reason,
                waits_for=waits_for,
                urgency=_urgency(journey),
                expected_at=expected_at if expected_on is None else micros(day_begins(expected_on)),
            )
        case Deliver():
            raise AssertionError("a message with steps due does not rest")
        case _:
            assert_never(decision)


def _urgency(journey: Journey) -> Micros:
    """What was got from partners for it and ends, such as a clearance, hurries it on."""
    ends = [step.valid_until for step in journey.steps.values() if step.valid_until is not None]
    message = journey.message
    return urgency(message.received_at, message.deadline_at, message.line, min(ends, default=None))


def _issued(rest: Move, journey: Journey, engine: Engine) -> Move:
    if journey.message.kind != APPLICATION:
        return replace(rest, action="done", outcome=Outcome.DONE)
    return replace(
        rest,
        action="issue",
        outcome=Outcome.ISSUED,
        cancellation=lambda: cancellation_of(journey, engine),
    )


def _intent_ends(journey: Journey) -> str | None:
    """What became of the open intent, by its own step's answer and nothing else."""
    if journey.message.open_step is None:
        return None
    step = journey.steps.get(journey.message.open_step, NEW)
    if step.status is StepStatus.DONE:
        return "done"
    # Of a call that must not be repeated, only what was not done is tried until nobody tries any more.
    given_up = step.status is StepStatus.CONTESTED and step.code == RETRIES_EXHAUSTED
    return "free" if given_up or step.status not in (StepStatus.UNKNOWN, StepStatus.CONTESTED) else None


def _doubt(rest: Move, journey: Journey) -> Move:
    """Uncertain: asked about at once, and the clock of absence starts when nothing can be sent any more."""
    open_step = journey.message.open_step
    was_answered = any(tried.was_answered for tried in journey.unsaved if tried.step == open_step)
    return replace(
        rest,
        to=State.UNCERTAIN,
        action="uncertain",
        next_at=rest.now,
        # Otherwise as its intent said: the clock may have been set while we waited for the answer.
        send_by=rest.now if was_answered else None,
    )


async def _keep_late_answers(journey: Journey, engine: Engine) -> None:
    for record in journey.unsaved:
        if record.repeatable:
            continue
        result = journey.steps[record.step].result or {}
        sealed = engine.vault.seal(journey.key, result, place=late_place(journey.message))
        late: AttemptRecord = replace(record, outcome=f"late_{record.outcome}", sealed_result=sealed)
        await until_committed(partial(_keep, journey.message, late, engine), journey.message.id, engine)
    log.warning("lease_lost", action="lease_lost", message_id=journey.message.id)


async def _keep(message: Claimed, late: AttemptRecord, engine: Engine) -> None:
    await engine.ledger.keep_late_answer(message, late, now=engine.now())


async def _heed_cancellation(move: Move, engine: Engine) -> None:
    """Somebody asked for a cancellation while the message was carried, and it rests without an effect."""
    if move.to not in (State.READY, State.HELD, State.AWAITING):
        return
    try:
        await until_committed(partial(_cancel, move.message.id, engine), move.message.id, engine)
    except Conflict:
        log.info("cancel_overtaken", action="cancel_overtaken", message_id=move.message.id)


async def _cancel(message_id: MessageId, engine: Engine) -> None:
    await engine.ledger.cancel(message_id, actor="worker", now=engine.now())


def measure(move: Move, engine: Engine) -> None:
    """Metrics and the one log line of a state move."""
    message, metrics = move.message, engine.metrics
    log.info(
        "moved",
        action=move.action,
        message_id=message.id,
        state=move.to,
        outcome=move.outcome,
        code=move.code,
    )
    if move.to in FINAL:
        outcome = move.outcome or move.to
        bound(metrics.completed, message.kind, outcome).inc()
        bound(metrics.end_to_end, message.kind).observe(_seconds(message.received_at, move.now))
    elif move.to in (State.HELD, State.AWAITING, State.UNDER_REVIEW):
        metrics.parked.labels(message.kind, move.code or move.to).inc()
    elif move.to is State.READY:
        for record in move.attempts:
            if record.outcome in ("unavailable", "unknown"):
                destination = engine.operations[record.step].destination
                metrics.retries.labels(destination, record.step, record.outcome).inc()


def _seconds(since: Micros, now: Micros) -> float:
    return max(0.0, (now - since) / 1_000_000)
