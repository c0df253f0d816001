"""What comes next for a message: a pure function of its itinerary, its steps' results and the time."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.message import Micros, Operation
from gateway.pipeline.journey import Journey, StepState, StepStatus
from gateway.states import State


@dataclass(frozen=True, slots=True)
class Deliver:
    """These steps are due, at the same time."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Issue:
    """Every step is done."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A partner refused: final."""

    public_code: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call that must not be repeated has an unknown outcome: inquire."""


@dataclass(frozen=True, slots=True)
class Review:
    """Only a person can tell."""

    code: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody asked for it and nothing irrevocable was sent."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before `until`."""

    to: State
    until: Micros
    reason: str | None


Decision = Deliver | Issue | Refuse | Doubt | Review | Cancel | Wait


def decide(journey: Journey, now: Micros) -> Decision:
    """An unknown outcome first; then a refusal wins; then persons, then wishes, then the next stage."""
    by_status = {state.status: name for name, state in journey.steps.items()}
    if StepStatus.UNKNOWN in by_status:
        return Doubt()
    if StepStatus.DECLINED in by_status:
        return Refuse(journey.steps[by_status[StepStatus.DECLINED]].public_code or "refused")
    if StepStatus.CONTESTED in by_status:
        return Review(journey.steps[by_status[StepStatus.CONTESTED]].code or "contested")
    return _next_stage(journey, now)


def _next_stage(journey: Journey, now: Micros) -> Decision:
    for stage in journey.stages:
        states = [(operation, journey.step(operation)) for operation in stage]
        unfinished = [(operation, state) for operation, state in states if not state.finished(now)]
        if not unfinished:
            continue
        if journey.message.cancel_requested_at is not None and journey.message.parent_id is None:
            return Cancel()
        due = tuple(operation for operation, state in unfinished if (state.not_before or 0) <= now)
        return Deliver(due) if due else _wait([state for _, state in unfinished])
    return Issue()


def _wait(states: list[StepState]) -> Wait:
    until = Micros(min(state.not_before or 0 for state in states))
    if any(state.status is not StepStatus.DEFERRED for state in states):
        return Wait(State.READY, until, None)
    reason = states[0].public_code
    return Wait(State.AWAITING if reason == "answer_pending" else State.HELD, until, reason)
