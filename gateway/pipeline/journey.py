"""A message under way: what was claimed, opened, with what each of its steps has come to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from gateway.ledger.port import AttemptRecord, Claimed, MessageRow, Progress
from gateway.ledger.vault import DataKey, Place, Vault, open_progress, payload_place, progress_place
from gateway.message import Body, CallContext, Micros, Operation
from gateway.pipeline.engine import Engine, Stages
from gateway.values import replace


class StepStatus(StrEnum):
    """What a step has come to so far."""

    NEW = "new"
    DONE = "done"
    DECLINED = "declined"
    DEFERRED = "deferred"
    RETRY = "retry"
    CONTESTED = "contested"
    UNKNOWN = "unknown"


class StepState(Struct, frozen=True, omit_defaults=True):
    """One step of an itinerary, as it is kept (sealed) between claims: what is not said there is absent."""

    status: StepStatus
    attempts: int = 0
    first_at: Micros | None = None
    last_at: Micros | None = None
    not_before: Micros | None = None
    #: The partner's code. May be secret: it never leaves the sealed column.
    code: str | None = None
    #: The code that the center is shown.
    public_code: str | None = None
    #: The partner's reference for a follow-up call.
    reference: str | None = None
    result: Mapping[str, Any] | None = None
    valid_until: Micros | None = None

    def finished(self, now: Micros) -> bool:
        """True when the step has a result that is still good."""
        return self.status is StepStatus.DONE and (self.valid_until is None or self.valid_until > now)


NEW: Final = StepState(StepStatus.NEW)


class Journey(Struct, frozen=True):
    """Immutable: each step of the pipeline returns the next one."""

    message: Claimed
    key: DataKey
    body: Body
    stages: Stages
    steps: Mapping[str, StepState]
    #: Finished attempts that no commit has recorded yet.
    unsaved: tuple[AttemptRecord, ...] = ()

    def step(self, operation: Operation) -> StepState:
        return self.steps.get(operation.name, NEW)

    def context(self, operation: Operation) -> CallContext:
        """What there is beside the projection, before the need-to-know lists are asked."""
        return CallContext(
            message_id=self.message.id,
            request_reference=request_reference(self.message.id, operation),
            batch=self.message.facts,
            partner_reference=self.step(operation).reference,
            earlier=self.body.get("earlier", {}),
        )

    def with_step(self, operation: Operation, state: StepState, *tried: AttemptRecord) -> Journey:
        """With the step's new state, and the attempt that led to it still to be recorded."""
        return Journey(
            self.message,
            self.key,
            self.body,
            self.stages,
            {**self.steps, operation.name: state},
            (*self.unsaved, *tried),
        )

    def sealed(self, vault: Vault) -> Progress:
        """The steps, sealed for the next revision of their column."""
        return seal_steps(vault, self.key, self.message, self.steps)


def request_reference(message_id: str, operation: Operation) -> str:
    """The same in every repetition and inquiry, so that the partner can recognise it."""
    return f"{message_id}/{operation.name.rpartition('.')[2]}"


def begin(message: Claimed, engine: Engine) -> Journey:
    """Open a claimed message. Raises `vault.Unsealable` when its ciphertext was damaged."""
    key = engine.vault.data_key(message.id, message.data_key)
    body = engine.vault.open(key, message.sealed_payload, place=payload_place(message))
    steps = _by_our_clock(open_steps(engine.vault, key, message), engine.now())
    return Journey(message, key, body, engine.stages(message.kind), steps)


def _by_our_clock(steps: Mapping[str, StepState], now: Micros) -> Mapping[str, StepState]:
    """What was tried later than now was put off by another clock: the ledger says that it is due."""
    if all((state.last_at or 0) <= now for state in steps.values()):
        return steps
    return {
        name: replace(state, not_before=None) if (state.last_at or 0) > now else state
        for name, state in steps.items()
    }


def late_place(message: Claimed) -> Place:
    """Of an answer that came after the lease was lost."""
    return Place(message.party, message.id, "late_answer", message.token)


def open_steps(vault: Vault, key: DataKey, message: Claimed | MessageRow) -> Mapping[str, StepState]:
    if message.sealed_progress is None:
        return {}
    return msgspec.convert(open_progress(vault, key, message).get("steps", {}), dict[str, StepState])


def seal_steps(
    vault: Vault, key: DataKey, message: Claimed | MessageRow, steps: Mapping[str, StepState]
) -> Progress:
    revision = message.progress_revision + 1
    sealed = vault.seal(key, {"steps": steps}, place=progress_place(message, revision))
    return Progress(sealed, revision)
