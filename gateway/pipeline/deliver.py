"""Deliver: one attempt a step, all steps of the stage at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from gateway.errors import Unavailable, Uncertain
from gateway.ledger.port import AttemptRecord
from gateway.message import (
    Absent,
    Answered,
    AttemptEnd,
    Contested,
    Declined,
    Deferred,
    Disclosure,
    Micros,
    NotDone,
    Operation,
    StillProcessing,
    Unknown,
)
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.observe.log import log
from gateway.observe.metrics import bound
from gateway.pipeline.absorb import absorb
from gateway.pipeline.commit import Committed
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey
from gateway.pipeline.partner_guard import Permit
from gateway.pipeline.prepare import PreparedStep
from gateway.pipeline.protect import ended

#: How an attempt's end is called in the attempts table and in metrics.
RESULTS: dict[type, str] = {
    Answered: "ok",
    Declined: "refused",
    Contested: "contested",
    Deferred: "deferred",
    NotDone: "unavailable",
    Unknown: "unknown",
    Absent: "absent",
    StillProcessing: "processing",
}


#: A call that was not done is one that was never sent, but for those that the partner answered so.
_ANSWERED = ("fault_", "technical_")


async def deliver(
    committed: Committed, steps: tuple[PreparedStep, ...], permits: tuple[Permit, ...], engine: Engine
) -> Journey:
    """The journey with each step's answer absorbed and its attempt noted for the next commit."""
    journey = committed.journey
    with engine.protection.waiting_for_answers():
        tried = await _attempt_all(steps, permits, committed.send_by_boottime_s, engine)
    crash_point("after_checks" if journey.message.open_step is None else "after_call")
    for step, (record, end) in zip(steps, tried, strict=True):
        journey = absorb(journey, step.operation, record, end, engine)
    return journey


async def _attempt_all(
    steps: tuple[PreparedStep, ...], permits: tuple[Permit, ...], send_by_boottime_s: float, engine: Engine
) -> Sequence[tuple[AttemptRecord, AttemptEnd]]:
    """The first in this task, the others in tasks beside it: most stages have one step and need none."""
    first, *others = (
        attempt(step, permit, send_by_boottime_s, engine) for step, permit in zip(steps, permits, strict=True)
    )
    beside = [asyncio.create_task(other) for other in others]
    try:
        return (await first, *[await task for task in beside])
    except BaseException:
        for task in beside:
            task.cancel()
        raise


async def attempt(
    step: PreparedStep, permit: Permit, send_by_boottime_s: float, engine: Engine, kind: str = "call"
) -> tuple[AttemptRecord, AttemptEnd]:
    """One call or inquiry, which ends its permit: never raises for what a partner does."""
    operation = step.operation
    started, clock = engine.now(), time.perf_counter()
    about = {"destination": operation.destination, "operation": operation.name}
    with tracing.of_message(step.context.message_id, kind, **about) as span:
        end = await _exchange(step, send_by_boottime_s, engine)
        span.tell(state=RESULTS[type(end)])
    duration_s = time.perf_counter() - clock
    finished = engine.now()
    await ended(permit, end, finished, engine)
    _measure(step, end, duration_s, kind, engine)
    record = AttemptRecord(
        step=operation.name,
        action=step.exchange.action,
        kind=kind,
        repeatable=operation.repeatable,
        started_at=started,
        send_by=_latest_send(step, end, started, finished, engine),
        finished_at=finished,
        outcome=_recorded(operation, end),
        code=_shown_code(operation, end),
        policy=engine.need_to_know.version,
        disclosed=_disclosed(step, end, kind),
    )
    return record, end


def _disclosed(step: PreparedStep, end: AttemptEnd, kind: str) -> Disclosure | None:
    """What the partner was given by this attempt, unless its intent says so already or nothing was sent."""
    recorded_before = kind == "call" and not step.operation.repeatable
    unsent = isinstance(end, NotDone) and not end.code.startswith(_ANSWERED)
    return None if recorded_before or unsent else step.disclosure


def _latest_send(
    step: PreparedStep, end: AttemptEnd, started: Micros, finished: Micros, engine: Engine
) -> Micros:
    """The latest instant at which this attempt's request may have left: its end, if a reply was read.

    Without a reply some of it may still be on its way, for as long as its intent said.
    """
    if isinstance(end, Unknown) and not end.answered:
        return Micros(started + round(2 * engine.destination(step.operation).deadline_s * 1_000_000))
    return finished


async def _exchange(step: PreparedStep, send_by_boottime_s: float, engine: Engine) -> AttemptEnd:
    partner = engine.partners[step.operation.destination]
    try:
        values = await partner.send(step.request, send_by_boottime_s=send_by_boottime_s)
        return step.exchange.reply(values, step.context)
    except Unavailable as error:
        return NotDone(error.code)
    except Uncertain as error:
        return Unknown(error.code, error.answered)
    except Exception:  # whatever it was, the request may have been acted on
        log.exception("attempt_failed", action="attempt_failed", operation=step.operation.name)
        return Unknown("reply_unreadable")


def _recorded(operation: Operation, end: AttemptEnd) -> str:
    """How the attempt ended, as it stands in clear."""
    if operation.secret and isinstance(end, Answered | Declined):
        return "answered"
    return RESULTS[type(end)]


def _shown_code(operation: Operation, end: AttemptEnd) -> str | None:
    """A partner's refusal may be secret: at most the public code is kept in clear."""
    if operation.secret and isinstance(end, Declined):
        return None
    match end:
        case Declined(_, public_code):
            return public_code
        case Deferred(reason, _):
            return reason
        case Contested(code) | NotDone(code) | Unknown(code=code):
            return code
        case _:
            return None


def _measure(step: PreparedStep, end: AttemptEnd, duration_s: float, kind: str, engine: Engine) -> None:
    labels = (step.operation.destination, step.operation.name)
    result = RESULTS[type(end)]
    counter = engine.metrics.attempts if kind == "call" else engine.metrics.inquiries
    bound(counter, *labels, result).inc()
    bound(engine.metrics.delivery, *labels).observe(duration_s)
    if not isinstance(end, NotDone | Unknown):
        bound(engine.metrics.last_success, step.operation.destination).set_to_current_time()
    else:
        log.info(
            "attempt",
            action=f"{kind}_{result}",
            message_id=step.context.message_id,
            destination=labels[0],
            operation=labels[1],
            code=end.code,
            duration_s=round(duration_s, 4),
        )
