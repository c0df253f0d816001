"""What an attempt's end makes of its step. The class of the end and whether the step is repeatable decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never

from gateway.clock import micros, moment
from gateway.ledger.port import AttemptRecord
from gateway.message import (
    Absent,
    Answered,
    AttemptEnd,
    Contested,
    Declined,
    Deferred,
    Micros,
    NotDone,
    Operation,
    StillProcessing,
    Unknown,
)
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey, StepState, StepStatus
from gateway.policies.retry import next_attempt_at
from gateway.settings import Destination
from gateway.values import replace

#: Of a step that was tried for as long as its partner's policy says.
RETRIES_EXHAUSTED: Final = "retries_exhausted"


def absorb(
    journey: Journey, operation: Operation, record: AttemptRecord, end: AttemptEnd, engine: Engine
) -> Journey:
    """The journey with the step's new state, and the attempt noted for the next commit."""
    now = record.finished_at or engine.now()
    before = journey.step(operation)
    tried = StepState(
        status=before.status,
        attempts=before.attempts + 1,
        first_at=before.first_at or now,
        # Tried since it was hurried, also where whoever hurried it has a clock that is ahead of ours.
        last_at=Micros(max(now, journey.message.hurried_at or 0)),
        reference=before.reference,
    )
    return journey.with_step(operation, _after(tried, operation, end, now, engine), record)


def _after(state: StepState, operation: Operation, end: AttemptEnd, now: Micros, engine: Engine) -> StepState:
    match end:
        case Answered(result):
            return done(state, operation, result, now)
        case Declined(code, public_code):
            return replace(state, status=StepStatus.DECLINED, code=code, public_code=public_code)
        case Deferred(reason, reference):
            wait_s = _wait_s(engine.destination(operation), reason)
            return replace(
                state,
                status=StepStatus.DEFERRED,
                # A partner that answers is well: failures after this are counted anew.
                attempts=0,
                first_at=None,
                public_code=reason,
                reference=reference or state.reference,
                not_before=Micros(now + round(wait_s * 1_000_000)),
            )
        case Contested(code):
            return replace(state, status=StepStatus.CONTESTED, code=code)
        case NotDone(code):
            return _retry(state, operation, code, now, engine)
        case Unknown() | Absent() | StillProcessing():
            code = end.code if isinstance(end, Unknown) else "unexpected_answer"
            if operation.repeatable:
                return _retry(state, operation, code, now, engine)
            return replace(state, status=StepStatus.UNKNOWN, code=code)
        case _:
            assert_never(end)


def done(state: StepState, operation: Operation, result: Mapping[str, Any], now: Micros) -> StepState:
    """The step with its result, good for as long as the operation says."""
    valid_s = operation.result_valid_s
    return StepState(
        status=StepStatus.DONE,
        attempts=state.attempts,
        first_at=state.first_at,
        last_at=state.last_at,
        # A result that has become stale is asked for anew, not under the old reference.
        reference=None,
        result=result,
        valid_until=None if valid_s is None else Micros(now + valid_s * 1_000_000),
    )


def _wait_s(destination: Destination, reason: str) -> float:
    waits = destination.deferred
    return waits.answer_pending_s if reason == "answer_pending" else waits.mission_capacity_s


def _retry(state: StepState, operation: Operation, code: str, now: Micros, engine: Engine) -> StepState:
    policy = engine.destination(operation).retry
    first_at = moment(state.first_at or now)
    at = next_attempt_at(moment(now), state.attempts, policy, engine.random, first_at=first_at)
    if at is None:
        return replace(state, status=StepStatus.CONTESTED, code=RETRIES_EXHAUSTED)
    return replace(state, status=StepStatus.RETRY, code=code, not_before=micros(at))
