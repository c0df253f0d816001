"""Commit: before a call that must not be repeated, its intent is durable, under the fencing token.

The same transaction records what the stage before came to, and looks at the gate again.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.errors import Unavailable
from gateway.ledger.books import FORGOTTEN
from gateway.ledger.port import Applied, AttemptRecord, CancelAsked, GateClosed, Intent, Move
from gateway.message import Micros
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.observe.log import log
from gateway.pipeline.consequences import gate_of
from gateway.pipeline.decide import Cancel, Decision, Review, Wait
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey
from gateway.pipeline.prepare import PreparedStep
from gateway.states import State
from gateway.values import replace

#: How soon a message held by the gate is looked at again by itself, at the least; not all at one moment. A
#: changed record or a free place wakes it at once.
_LOOK_AGAIN_S = 3600
#: How soon after the ledger refused an intent, at the least.
_TRY_AGAIN_S = 0.5


class Committed(Struct, frozen=True):
    """The intent is durable (or none was needed). Nothing may be sent after `send_by_boottime_s`."""

    journey: Journey
    send_by_boottime_s: float


async def commit(journey: Journey, steps: tuple[PreparedStep, ...], engine: Engine) -> Committed | Decision:
    """Record the intent of the stage's step that is not repeatable, if it has one."""
    deadline_s = max(engine.destination(step.operation).deadline_s for step in steps)
    # Read before the commit: a process frozen from here on wakes too late to send.
    send_by = engine.clock.boottime_s() + deadline_s
    once_only = next((step for step in steps if not step.operation.repeatable), None)
    if once_only is None:
        return Committed(journey, send_by)
    crash_point("before_intent")
    move = _intent_move(journey, once_only, engine)
    with tracing.of_message(journey.message.id, "commit", operation=once_only.operation.name):
        try:
            applied = await engine.ledger.apply(move)
        except Unavailable as refusal:
            return _put_back(move, refusal, engine)
    match applied:
        case GateClosed(code=code) if code == FORGOTTEN:
            return Review(code)
        case GateClosed(code, expected_on, waits_for):
            wait_s = _LOOK_AGAIN_S * (1 + engine.random.random())
            look_again = Micros(move.now + round(wait_s * 1_000_000))
            return Wait(State.HELD, look_again, code, waits_for, expected_on)
        case CancelAsked():
            return Cancel()
        case Applied():
            crash_point("after_intent")
            return Committed(_committed(journey, move), send_by)


def _put_back(move: Move, refusal: Unavailable, engine: Engine) -> Wait:
    """The ledger has no intent, so nothing was sent: what is known is kept, and all is looked at again."""
    log.warning("commit_refused", action="commit_refused", message_id=move.message.id, code=refusal.code)
    wait_s = _TRY_AGAIN_S * (1 + engine.random.random())
    return Wait(State.READY, Micros(move.now + round(wait_s * 1_000_000)), None)


def _intent_move(journey: Journey, step: PreparedStep, engine: Engine) -> Move:
    now = engine.now()
    deadline_us = round(engine.destination(step.operation).deadline_s * 1_000_000)
    # Sent within one deadline from now, and on its way for at most another.
    send_by = Micros(now + 2 * deadline_us)
    lease_us = round(engine.settings.gateway.carrying.lease_s * 1_000_000)
    opened = AttemptRecord(
        step=step.operation.name,
        action=step.exchange.action,
        kind="call",
        repeatable=False,
        started_at=now,
        send_by=send_by,
        outcome="open",
        policy=engine.need_to_know.version,
        disclosed=step.disclosure,
    )
    return Move(
        message=journey.message,
        to=journey.message.state,
        now=now,
        action="intent",
        actor="worker",
        progress=journey.sealed(engine.vault),
        attempts=(*journey.unsaved, opened),
        intent=Intent(
            step.operation.name, step.operation.destination, step.context.request_reference, send_by
        ),
        lease_until=Micros(now + lease_us),
        gate=gate_of(journey, engine),
    )


def _committed(journey: Journey, move: Move) -> Journey:
    """The journey whose message is as the ledger now holds it."""
    if move.intent is None or move.progress is None:
        return journey
    message = replace(
        journey.message,
        open_step=move.intent.step,
        send_by=move.intent.send_by,
        progress_revision=move.progress.revision,
    )
    return replace(journey, message=message, unsaved=())
