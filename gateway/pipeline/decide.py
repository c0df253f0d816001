"""What comes next for a message: a pure function of its itinerary, its steps' results and the time."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from gateway.message import Micros, Operation
from gateway.pipeline.engine import Stages
from gateway.pipeline.journey import Journey, StepState, StepStatus
from gateway.states import State


class Deliver(Struct, frozen=True):
    """These steps are due, at the same time."""

    operations: tuple[Operation, ...]


class Issue(Struct, frozen=True):
    """Every step is done."""


class Refuse(Struct, frozen=True):
    """A partner refused: final."""

    public_code: str


class Doubt(Struct, frozen=True):
    """A call that must not be repeated has an unknown outcome: inquire."""


class Review(Struct, frozen=True):
    """Only a person can tell."""

    code: str


class Cancel(Struct, frozen=True):
    """Somebody asked for it and nothing irrevocable was sent."""


class Wait(Struct, frozen=True):
    """Nothing is due before `until`."""

    to: State
    until: Micros
    reason: str | None
    #: See `records.Move.waits_for`.
    waits_for: str | None = None
    expected_on: date | None = None
    #: When it may go on, where that is known to the moment.
    expected_at: Micros | None = None


Decision = Deliver | Issue | Refuse | Doubt | Review | Cancel | Wait


def decide(journey: Journey, now: Micros) -> Decision:
    """An unknown outcome first; then a refusal wins; then persons, then wishes, then the next stage."""
    if not journey.steps:  # nothing was tried yet
        return _next_stage(journey, journey.stages, now)
    stages = _stages_ahead(journey)
    by_status = {journey.step(operation).status: operation.name for stage in stages for operation in stage}
    if StepStatus.UNKNOWN in by_status:
        return Doubt()
    if StepStatus.DECLINED in by_status:
        return Refuse(journey.steps[by_status[StepStatus.DECLINED]].public_code or "refused")
    if StepStatus.CONTESTED in by_status:
        return Review(journey.steps[by_status[StepStatus.CONTESTED]].code or "contested")
    return _next_stage(journey, stages, now)


def _stages_ahead(journey: Journey) -> Stages:
    """From the last irrevocable result on. What came before it was judged before its intent, for good."""
    for number in range(len(journey.stages) - 1, -1, -1):
        for operation in journey.stages[number]:
            if not operation.repeatable and journey.step(operation).status is StepStatus.DONE:
                return journey.stages[number:]
    return journey.stages


def _next_stage(journey: Journey, stages: Stages, now: Micros) -> Decision:
    for stage in stages:
        unfinished = [
            (operation, state) for operation in stage if not (state := journey.step(operation)).finished(now)
        ]
        if not unfinished:
            continue
        if journey.message.cancel_requested_at is not None and journey.message.parent_id is None:
            return Cancel()
        due = tuple(operation for operation, state in unfinished if _is_due(journey, state, now))
        return Deliver(due) if due else _wait([state for _, state in unfinished])
    return Issue()


def _is_due(journey: Journey, state: StepState, now: Micros) -> bool:
    """Its time has come, or somebody asked to try at once since it was tried last."""
    hurried_at = journey.message.hurried_at
    hurried = hurried_at is not None and (state.last_at or 0) < hurried_at
    return hurried or (state.not_before or 0) <= now


def _wait(states: list[StepState]) -> Wait:
    until = Micros(min(state.not_before or 0 for state in states))
    if any(state.status is not StepStatus.DEFERRED for state in states):
        return Wait(State.READY, until, None)
    reason = states[0].public_code
    return Wait(State.AWAITING if reason == "answer_pending" else State.HELD, until, reason)
