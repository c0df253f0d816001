"""The ledger's port: what the gateway asks of its store, whichever database serves it.

Every method that writes is one transaction, durable when it returns (group commit shares the disk flush
with others). Methods may be called concurrently from one event loop. Calling a write again after a crash
is safe where its docstring says so. `tests/ledger` holds the contract suite that every backend passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.message import BatchFacts, BatchId, MessageId, Micros, PartyId
from gateway.states import Outcome, PublicState, State

# --- intake -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BatchOpening:
    """A batch about to be received: holds (party, idempotency key) until `intake_until`."""

    batch_id: BatchId
    party: PartyId
    idempotency_key: str
    intake_token: str
    intake_until: Micros
    mode: str
    data_key: bytes
    now: Micros


@dataclass(frozen=True, slots=True)
class Opened:
    """The key is ours; lines may be added."""


@dataclass(frozen=True, slots=True)
class AlreadyAccepted:
    """This key was accepted before: compare `payload_sha`, then give the first answer again."""

    batch_id: BatchId
    payload_sha: bytes
    data_key: bytes
    sealed_receipt: bytes


@dataclass(frozen=True, slots=True)
class BeingReceived:
    """Another request is receiving this key right now."""

    retry_after_s: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as it is recorded first. `state` is accepted, or completed for a rejected line."""

    id: MessageId
    kind: str
    party: PartyId
    facts: BatchFacts
    reference: str
    lane: str
    state: State
    received_at: Micros
    data_key: bytes
    sealed_payload: bytes
    #: Versions of schema, itinerary, policy and controls that the decision was taken under.
    versions: str
    batch_id: BatchId | None = None
    line: int | None = None
    parent_id: MessageId | None = None
    idempotency_key: str | None = None
    outcome: Outcome | None = None
    code: str | None = None
    next_at: Micros | None = None
    deadline_at: Micros | None = None
    person_key: bytes | None = None
    sealed_progress: bytes | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The commit behind a 202: the batch, whole, with the receipt that its repetitions get."""

    batch_id: BatchId
    intake_token: str
    facts: BatchFacts
    payload_sha: bytes
    lines: int
    sealed_receipt: bytes
    now: Micros


# --- carrying --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message leased to this worker, as the ledger holds it. `token` fences every later write."""

    id: MessageId
    kind: str
    state: State
    party: PartyId
    facts: BatchFacts
    reference: str
    batch_id: BatchId | None
    line: int | None
    parent_id: MessageId | None
    token: int
    attempts: int
    received_at: Micros
    deadline_at: Micros | None
    cancel_requested_at: Micros | None
    open_step: str | None
    send_by: Micros | None
    #: When somebody last asked to try at once.
    hurried_at: Micros | None
    data_key: bytes
    sealed_payload: bytes
    sealed_progress: bytes | None
    progress_revision: int
    versions: str


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt. Recorded whole when finished; an open one is recorded by its intent."""

    step: str
    action: str
    kind: str
    repeatable: bool
    started_at: Micros
    send_by: Micros
    outcome: str
    policy: str
    finished_at: Micros | None = None
    code: str | None = None
    #: The result of an answer that came too late to be used, as evidence.
    sealed_result: bytes | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be asked of a partner that must not be asked twice."""

    step: str
    destination: str
    request_reference: str
    send_by: Micros


@dataclass(frozen=True, slots=True)
class Progress:
    """The sealed results of a message's steps; `revision` is the one it was sealed for."""

    sealed: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Move:
    """One state move of one leased message and all that goes with it, in one transaction."""

    message: Claimed
    to: State
    now: Micros
    action: str
    actor: str
    outcome: Outcome | None = None
    code: str | None = None
    next_at: Micros | None = None
    progress: Progress | None = None
    attempts: Sequence[AttemptRecord] = ()
    #: Set for the commit before a call that must not be repeated; the gate is looked at again with it.
    intent: Intent | None = None
    #: The open intent has ended: `done` (the effect exists) or `free` (proven not done).
    intent_ends: str | None = None
    lease_until: Micros | None = None
    send_by: Micros | None = None
    #: Called in the transaction when a cancellation was asked for meanwhile and this move issues.
    cancellation: Callable[[], NewMessage] | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The move is durable. `cancel_requested` tells that somebody asked for a cancellation meanwhile."""

    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class GateClosed:
    """Nothing was written: the intent may not be recorded, for the reason `code`."""

    code: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Nothing was written: a cancellation was asked for before the intent."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep set right, for metrics and logs."""

    released: int = 0
    woken: int = 0
    expired: int = 0
    leases_ended: int = 0
    abandoned_batches: int = 0

    @property
    def anything_due(self) -> bool:
        return bool(self.released or self.woken or self.leases_ended)


# --- views -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as its center may ask for it."""

    id: BatchId
    party: PartyId
    state: str
    revision: int
    facts: BatchFacts
    lines: int
    created_at: Micros
    accepted_at: Micros | None
    completed_at: Micros | None
    confirmed_at: Micros | None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message for views: the center's pages and results, the operators' lists."""

    id: MessageId
    kind: str
    party: PartyId
    facts: BatchFacts
    batch_id: BatchId | None
    line: int | None
    parent_id: MessageId | None
    reference: str
    state: State
    public_state: PublicState
    outcome: Outcome | None
    code: str | None
    attempts: int
    next_at: Micros | None
    deadline_at: Micros | None
    cancel_requested_at: Micros | None
    lease_token: int
    lease_until: Micros | None
    open_step: str | None
    send_by: Micros | None
    revision: int
    received_at: Micros
    updated_at: Micros
    completed_at: Micros | None
    data_key: bytes
    sealed_payload: bytes
    sealed_progress: bytes | None
    progress_revision: int
    versions: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry of the audit log."""

    seq: int
    at: Micros
    message_id: str | None
    batch_id: str | None
    action: str
    from_state: str | None
    to_state: str | None
    actor: str
    code: str | None


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages an operator means. All given conditions hold together."""

    state: State | None = None
    kind: str | None = None
    party: PartyId | None = None
    batch_id: BatchId | None = None
    #: Not updated since.
    older_than: Micros | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """Non-final messages of one kind and state, and when the oldest was received."""

    kind: str
    state: State
    count: int
    oldest_received_at: Micros


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """A licensee, service_center, agent, mission, package or group as it stands."""

    kind: str
    id: str
    version: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resolution:
    """A proposed end of a review: of the one that the message was in at `revision`."""

    message_id: MessageId
    revision: int
    decision: str
    sealed_visa: bytes | None
    reason: str
    proposed_by: str
    proposed_at: Micros


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a confirmed resolution writes beside the new state."""

    progress: Progress
    #: A cancellation that was asked for meanwhile, now that the visa is known to be issued.
    cancellation: NewMessage | None = None


class Ledger(Protocol):
    """The store. See the module's docstring for what holds of every method."""

    async def open(self) -> None:
        """Migrate, take the process lock where one process is the rule, end earlier leases."""

    async def close(self) -> None:
        """Finish what is queued, then release everything."""

    async def ready(self) -> bool:
        """True when a write commits now."""

    # intake
    async def begin_batch(self, opening: BatchOpening) -> Opened | AlreadyAccepted | BeingReceived:
        """Take (party, key), discarding an abandoned earlier attempt. Safe to call again after a crash."""

    async def holders(self, person_keys: Sequence[bytes]) -> Mapping[bytes, BatchId | None]:
        """Which of these persons have a live application, and in which batch."""

    async def add_lines(
        self,
        batch_id: BatchId,
        intake_token: str,
        lines: Sequence[NewMessage],
        duplicate: Callable[[NewMessage], NewMessage],
        *,
        intake_until: Micros,
    ) -> Sequence[NewMessage]:
        """Record lines of a batch being received, renewing its lease; returns them as recorded.

        A line whose person has a live application elsewhere is recorded as `duplicate(line)` instead.
        Raises `LeaseLost` when the intake lease is no longer ours.
        """

    async def accept_batch(self, acceptance: Acceptance) -> None:
        """The commit behind the 202. Raises `LeaseLost`."""

    async def abandon_batch(self, batch_id: BatchId, intake_token: str) -> None:
        """Remove a batch that was being received, with its lines. Safe to call again."""

    # carrying
    async def claim(self, worker: str, limit: int, *, now: Micros, lease_until: Micros) -> Sequence[Claimed]:
        """Lease due messages: inquiries first, then lanes in turn, each with its fair share."""

    async def apply(self, move: Move) -> Applied | GateClosed | CancelAsked:
        """Commit a move. Raises `LeaseLost` when the fencing token is no longer the message's own."""

    async def keep_late_answer(self, message: Claimed, attempt: AttemptRecord, *, now: Micros) -> None:
        """The answer of a worker that lost its lease: kept as evidence, and the inquiry is woken."""

    async def attempts(self, message_id: MessageId) -> Sequence[AttemptRecord]:
        """All attempts of a message, oldest first."""

    async def sweep(self, *, now: Micros, release: int) -> Swept:
        """Release accepted lines, wake what waits, expire what is too late, end dead leases."""

    # what parties and operators ask for
    async def cancel(self, message_id: MessageId, *, actor: str, now: Micros) -> MessageRow:
        """Cancel now (before an intent), or mark the wish. Returns the row as it stands after.

        Raises `Conflict` (`already_settled`, `not_cancellable`) when there is nothing to cancel.
        """

    async def add_message(self, message: NewMessage, *, actor: str) -> MessageId:
        """Record a message that is not a line, ready at once. The same (party, key) gives the first's id."""

    async def confirm_batch(self, batch_id: BatchId, *, now: Micros) -> None:
        """The center has fetched the results. Safe to call again."""

    async def hurry(self, message_id: MessageId, *, actor: str, reason: str, now: Micros) -> MessageRow:
        """`retry`: make a waiting message due now. An uncertain or reviewed one is only inquired about.

        Raises `Conflict` (`already_settled`).
        """

    async def propose(self, resolution: Resolution) -> None:
        """Put forward how a review ends.

        Raises `Conflict`: `state_changed` unless under review at that revision, `nothing_was_sent` when it
        is said to be issued and no intent was ever recorded.
        """

    async def confirm_resolution(
        self,
        message_id: MessageId,
        *,
        operator: str,
        now: Micros,
        settle: Callable[[MessageRow, Resolution], Resolved],
    ) -> MessageRow:
        """Apply a proposal by another operator. `settle` seals the result inside the transaction.

        Raises `Conflict` (`state_changed`, `same_operator`, `nothing_proposed`).
        """

    async def use_token(
        self, party: PartyId, jti: str, idempotency_key: str, *, expires_at: Micros, now: Micros
    ) -> bool:
        """Take a token id. False when it was used before for another idempotency key."""

    async def put_reference(self, records: Sequence[ReferenceRecord]) -> None:
        """Replace reference records; messages held for them are looked at again."""

    # reading
    async def reference(self, kind: str, id: str) -> ReferenceRecord | None: ...

    async def closed_by(self, party: PartyId, facts: BatchFacts, *, now: Micros) -> str | None:
        """The gate: the code that closes it for this licensee, center, agent and mission, or None."""

    async def batch(self, batch_id: BatchId) -> BatchRow | None: ...

    async def message(self, message_id: MessageId) -> MessageRow | None: ...

    async def lines(
        self, batch_id: BatchId, *, after_line: int, limit: int, state: PublicState | None = None
    ) -> Sequence[MessageRow]:
        """Lines in order, from the one after `after_line`."""

    async def messages(self, wanted: MessageFilter, *, after_id: str, limit: int) -> Sequence[MessageRow]: ...

    async def audit(self, message_id: MessageId) -> Sequence[AuditRow]: ...

    async def resolution(self, message_id: MessageId) -> Resolution | None: ...

    async def gauges(self) -> Sequence[Gauge]: ...

    async def uncertain(self) -> Mapping[str, int]:
        """Open uncertain calls by step name."""

    async def audit_head(self) -> int:
        """The latest audit sequence number."""
