"""The records that pass between the gateway and its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from gateway.ledger.journal import GIVE_REJECTED, Entry
from gateway.message import BatchFacts, BatchId, Disclosure, MessageId, Micros, PartyId
from gateway.states import Outcome, PublicState, State

if TYPE_CHECKING:
    from gateway.ledger.books import Books

# --- intake -------------------------------------------------------------------------------------------


class BatchOpening(Struct, frozen=True):
    """A batch about to be received: holds (party, idempotency key) until `intake_until`."""

    batch_id: BatchId
    party: PartyId
    idempotency_key: str
    intake_token: str
    intake_until: Micros
    mode: str
    data_key: bytes
    now: Micros


class Opened(Struct, frozen=True):
    """The key is ours; lines may be added."""


class AlreadyAccepted(Struct, frozen=True):
    """This key was accepted before: compare `payload_sha`, then give the first answer again."""

    batch_id: BatchId
    payload_sha: bytes
    data_key: bytes
    sealed_receipt: bytes


class BeingReceived(Struct, frozen=True):
    """Another request is receiving this key right now."""

    retry_after_s: int


class NewMessage(Struct, frozen=True):
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
    #: By which the messages about one passport are found, in any season and whatever became of them.
    passport_key: bytes | None = None
    #: The blind indices of the visas that it names.
    visas_named: tuple[bytes, ...] = ()
    sealed_progress: bytes | None = None
    #: Of the canonical body, where a repetition of the key is told from a reuse by it.
    payload_sha: bytes | None = None
    #: A second idempotency key, of the sender's choice: it stands for one message too.
    sender_key: str | None = None


class Acceptance(Struct, frozen=True):
    """The commit behind a 202: the batch, whole, with the receipt that its repetitions get."""

    facts: BatchFacts
    payload_sha: bytes
    lines: int
    sealed_receipt: bytes
    now: Micros
    #: The business day.
    received_on: date


# --- carrying --------------------------------------------------------------------------------------------


class Claimed(Struct, frozen=True):
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


class Note(Struct, frozen=True):
    """A person's free text, sealed, and what the audit log keeps of it."""

    sealed: bytes
    #: SHA-256 over salt and text, in hexadecimal digits.
    commitment: str


class AttemptRecord(Struct, frozen=True):
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
    #: What the partner was given, unless that was recorded before or it provably was not.
    disclosed: Disclosure | None = None

    @property
    def was_answered(self) -> bool:
        """Whether a reply was read, of whatever kind: nothing of the request is on its way any more."""
        return self.send_by == self.finished_at


class Doubt(Struct, frozen=True):
    """What the ledger knows of a call whose answer was lost, all of it by the same clock."""

    #: The latest instant at which its request may have been sent. None: no call is open.
    send_by: Micros | None
    #: All attempts of its message, oldest first.
    attempts: Sequence[AttemptRecord]


class Intent(Struct, frozen=True):
    """What is about to be asked of a partner that must not be asked twice."""

    step: str
    destination: str
    request_reference: str
    send_by: Micros


class Progress(Struct, frozen=True):
    """The sealed results of a message's steps; `revision` is the one it was sealed for."""

    sealed: bytes
    revision: int


class Move(Struct, frozen=True):
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
    #: Set for the commit before a call that must not be repeated.
    intent: Intent | None = None
    #: The gate, looked at again in the transaction that records the intent.
    gate: Callable[[Books], GateClosed | None] | None = None
    #: What the move leads to beyond its message, written in the same transaction.
    then: Callable[[Books], None] | None = None
    #: What a held message waits for: the name of a quota, or `records` (any change of them).
    waits_for: str | None = None
    #: Its place among those of its lane from now on (`gateway.policies.urgency`); None: as before.
    urgency: Micros | None = None
    #: When what a held message waits for may come, as far as anybody knows; for people only.
    expected_at: Micros | None = None
    #: The open intent has ended: `done` (the effect exists) or `free` (proven not done).
    intent_ends: str | None = None
    lease_until: Micros | None = None
    send_by: Micros | None = None
    #: Called in the transaction when a cancellation was asked for meanwhile and this move issues.
    cancellation: Callable[[], NewMessage] | None = None


class Applied(Struct, frozen=True):
    """The move is durable. `cancel_requested` tells that somebody asked for a cancellation meanwhile."""

    cancel_requested: bool = False


class GateClosed(Struct, frozen=True):
    """Nothing was written: the intent may not be recorded, for the reason `code`."""

    code: str
    #: The business day on which it may open by itself, if that is known.
    expected_on: date | None = None
    #: See `Move.waits_for`.
    waits_for: str = "records"


class CancelAsked(Struct, frozen=True):
    """Nothing was written: a cancellation was asked for before the intent."""


class Swept(Struct, frozen=True):
    """What a sweep set right, for metrics and logs."""

    released: int = 0
    woken: int = 0
    expired: int = 0
    leases_ended: int = 0
    abandoned_batches: int = 0

    @property
    def due(self) -> int:
        """How many messages may be claimed that could not be before."""
        return self.released + self.woken + self.leases_ended


# --- views -----------------------------------------------------------------------------------------------


class BatchRow(Struct, frozen=True):
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


class MessageRow(Struct, frozen=True):
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
    waits_for: str | None
    expected_at: Micros | None
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


class AuditRow(Struct, frozen=True):
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
    #: How far the records had come (`books.Record.seq`): the versions that this was decided under.
    records: int = 0
    detail: Mapping[str, Any] | None = None
    #: An operator's reason, sealed.
    note: bytes | None = None


class JournalRow(Struct, frozen=True):
    """An entry of the journal in its place. `seq` orders what this ledger wrote."""

    seq: int
    chain: str
    number: int
    hash: bytes
    entry: Entry

    @property
    def scopes(self) -> Sequence[int]:
        """The numbers of what was given to somebody: `Ledger.scopes` tells what they stand for."""
        return tuple((self.entry.detail or {}).get("disclosed", ()))


class Checkpoint(Struct, frozen=True):
    """The heads of all chains at one moment, as JSON, and the signature over that text."""

    number: int
    at: Micros
    document: str
    signature: bytes


class Disclosed(Struct, frozen=True):
    """One disclosure, with the entry of the journal that tells of it.

    None: a worker died in the middle, and what it had sent is not known; the call is made again.
    """

    seq: int
    entry: Entry
    disclosure: Disclosure | None


class Involved(Struct, frozen=True):
    """A message about a person: an application, its cancellation, what names its visa, what was decided."""

    id: MessageId
    kind: str
    party: PartyId
    batch_id: BatchId | None
    line: int | None
    state: State
    #: The step whose call may be under way.
    open_step: str | None
    #: At intake.
    rejected: bool = False

    def in_entry(self, entry: Entry) -> bool:
        """Whether a journal's entry is about it: by name, or as a line of the batch that is meant.

        An entry about a batch is about all of its lines, unless it gives the first and the last, or is about
        the rejected ones.
        """
        if entry.message_id is not None:
            return entry.message_id == self.id
        if entry.batch_id is None or entry.batch_id != self.batch_id or self.line is None:
            return False
        if entry.action == GIVE_REJECTED:
            return self.rejected
        first, last = (entry.detail or {}).get("lines", (self.line, self.line))
        return bool(first <= self.line <= last)


class EntriesWanted(Struct, frozen=True):
    """Which entries of the journal are meant. All given conditions hold together."""

    since: Micros
    #: Not itself part of the period.
    until: Micros
    #: Who did it, whose message or batch it is about, or who was given something.
    party: PartyId | None = None


class MessageFilter(Struct, frozen=True):
    """Which messages an operator means. All given conditions hold together."""

    state: State | None = None
    kind: str | None = None
    party: PartyId | None = None
    batch_id: BatchId | None = None
    #: Not updated since.
    older_than: Micros | None = None


class Gauge(Struct, frozen=True):
    """Non-final messages of one kind and state, and when the oldest was received."""

    kind: str
    state: State
    count: int
    oldest_received_at: Micros


class ReferenceRecord(Struct, frozen=True):
    """An initial record, from configuration: in force until a message replaces it."""

    kind: str
    id: str
    version: str
    facts: Mapping[str, Any]
    owner: str = ""


class Resolution(Struct, frozen=True):
    """A proposed end of a review: of the one that the message was in at `revision`."""

    message_id: MessageId
    revision: int
    decision: str
    sealed_visa: bytes | None
    reason: Note
    proposed_by: str
    proposed_at: Micros


class Resolved(Struct, frozen=True):
    """What a confirmed resolution writes beside the new state."""

    progress: Progress
    #: A cancellation that was asked for meanwhile, now that the visa is known to be issued.
    cancellation: NewMessage | None = None
    #: As in `Move`.
    then: Callable[[Books], None] | None = None


class Taken(Struct, frozen=True):
    """A message that is not a batch, durably recorded; `duplicate` when it was before."""

    message_id: MessageId
    received_at: Micros
    duplicate: bool = False
    #: What its flow kept it under: it could not be used as it is yet.
    code: str | None = None


class FlowRow(Struct, frozen=True):
    """Applications of one licensee at one mission, received on one business day, by public state."""

    licensee: str
    mission: str
    day: date
    counts: Mapping[str, int]


class SeasonTotals(Struct, frozen=True):
    """A season in numbers."""

    batches: int
    #: Applications by public state.
    applications: Mapping[str, int]
    #: Visas by presence, by the country of the mission.
    presences: Mapping[str, Mapping[str, int]]


class Tally(Struct, frozen=True):
    """Things of one sort that the ledger holds, and one of them as an example."""

    #: `message`, `code`, `held`, `attempt`, `event`, `record` or `movement`.
    what: str
    #: Kind of message, event or record; step of an attempt.
    name: str
    #: Outcome of a message or attempt, receiver of an event.
    detail: str
    count: int
    #: A message's id.
    example: str | None


class StoredEvent(Struct, frozen=True):
    """An entry of the outbox. Without `sealed` it only names what may be fetched."""

    seq: int
    id: str
    receiver: PartyId
    kind: str
    subject: str
    classification: str
    created_at: Micros
    message_id: str | None
    batch_id: str | None
    revision: int
    correlation_id: str | None
    data_key: bytes | None
    sealed: bytes | None


class Position(Struct, frozen=True):
    """How far a receiver has come on one channel, and when it is tried again after failures."""

    seq: int = 0
    failures: int = 0
    next_at: Micros | None = None
