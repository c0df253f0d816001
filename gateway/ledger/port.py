"""The ledger's port: what the gateway asks of its store, whichever database serves it.

Every method that writes is one transaction, durable when it returns (group commit shares the disk flush
with others). Methods may be called concurrently from one event loop. Calling a write again after a crash
is safe where its docstring says so. `tests/ledger` holds the contract suite that every backend passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar

from gateway.ledger.books import Books, QuotaState, Record
from gateway.ledger.capacity import Capacity
from gateway.ledger.duties import Duties
from gateway.ledger.journal import Entry, Head
from gateway.ledger.keeping import Keeping
from gateway.ledger.partners import Partners
from gateway.ledger.records import (
    Acceptance,
    AlreadyAccepted,
    Applied,
    AttemptRecord,
    AuditRow,
    BatchOpening,
    BatchRow,
    BeingReceived,
    CancelAsked,
    Checkpoint,
    Claimed,
    Disclosed,
    Doubt,
    EntriesWanted,
    FlowRow,
    GateClosed,
    Gauge,
    Intent,
    Involved,
    JournalRow,
    MessageFilter,
    MessageRow,
    Move,
    NewMessage,
    Note,
    Opened,
    Position,
    Progress,
    ReferenceRecord,
    Resolution,
    Resolved,
    SeasonTotals,
    StoredEvent,
    Swept,
    Taken,
    Tally,
)
from gateway.ledger.restoring import Restoring
from gateway.ledger.watching import Watching
from gateway.message import BatchId, Disclosure, MessageId, Micros, PartyId
from gateway.states import PublicState

__all__ = [
    "Acceptance",
    "AlreadyAccepted",
    "Applied",
    "AttemptRecord",
    "AuditRow",
    "BatchOpening",
    "BatchRow",
    "BeingReceived",
    "CancelAsked",
    "Checkpoint",
    "Claimed",
    "Disclosed",
    "Doubt",
    "EntriesWanted",
    "FlowRow",
    "GateClosed",
    "Gauge",
    "Intent",
    "Involved",
    "JournalRow",
    "Ledger",
    "MessageFilter",
    "MessageRow",
    "Move",
    "NewMessage",
    "Note",
    "Opened",
    "Position",
    "Progress",
    "ReferenceRecord",
    "Resolution",
    "Resolved",
    "SeasonTotals",
    "StoredEvent",
    "Swept",
    "Taken",
    "Tally",
]

T = TypeVar("T")


class Ledger(Keeping, Duties, Partners, Restoring, Watching, Capacity, Protocol):
    """The store. See the module's docstring for what holds of every method.

    What it does about keys and retention is `gateway.ledger.keeping.Keeping`.
    """

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

    async def reject_lines(
        self,
        batch_id: BatchId,
        intake_token: str,
        lines: Sequence[int],
        code: str,
        seal: Callable[[MessageRow], bytes],
        *,
        intake_until: Micros,
        now: Micros,
    ) -> None:
        """Turn recorded lines of a batch being received into rejected ones, renewing its lease.

        Their persons are free again. `seal` gives what is kept of a line's rejection, as revision 1. A line
        that is rejected already stays as it is. Raises `LeaseLost`.
        """

    async def accept_batch(
        self,
        batch_id: BatchId,
        intake_token: str,
        last: Sequence[NewMessage],
        duplicate: Callable[[NewMessage], NewMessage],
        acceptance: Callable[[Sequence[NewMessage]], Acceptance],
    ) -> Sequence[NewMessage]:
        """The commit behind the 202: the last lines, recorded as `add_lines` does, and the batch with them.

        `acceptance` is made of those lines as they will be recorded; nothing was written yet, so it may
        refuse. It may be asked more than once. Raises `LeaseLost`, and what `acceptance` raises.
        """

    async def abandon_batch(self, batch_id: BatchId, intake_token: str) -> None:
        """Remove a batch that was being received, with its lines. Safe to call again."""

    # carrying
    async def claim(self, worker: str, limit: int, *, now: Micros, lease_until: Micros) -> Sequence[Claimed]:
        """Lease due messages: inquiries first, then lanes in turn, of each its share of the most urgent."""

    async def apply(self, move: Move) -> Applied | GateClosed | CancelAsked:
        """Commit a move. Raises `LeaseLost` when the fencing token is no longer the message's own."""

    async def keep_late_answer(self, message: Claimed, attempt: AttemptRecord, *, now: Micros) -> None:
        """The answer of a worker that lost its lease: kept as evidence, and the inquiry is woken."""

    async def attempts(self, message_id: MessageId) -> Sequence[AttemptRecord]:
        """All attempts of a message, oldest first."""

    async def doubt(self, message_id: MessageId) -> Doubt:
        """What is known of the open call of a message; its times may be compared with each other."""

    async def sweep(self, *, now: Micros, release: int, business_now: Micros | None = None) -> Swept:
        """Release accepted lines, wake what waits, expire what is too late, end dead leases.

        A deadline has passed by the business instant; that is `now` unless another one is given.
        """

    # what parties and operators ask for
    async def cancel(
        self,
        message_id: MessageId,
        *,
        actor: str,
        now: Micros,
        why: Note | None = None,
        cancellation: Callable[[MessageRow], NewMessage] | None = None,
    ) -> MessageRow:
        """Cancel now (before an intent), or mark the wish. Returns the row as it stands after.

        `cancellation` makes, of an application that was issued, the message that sees to the wish: both are
        recorded together or not at all. It is asked inside the transaction, perhaps more than once.

        Raises `Conflict` (`already_settled`, `not_cancellable`) when there is nothing to cancel.
        """

    async def add_message(self, message: NewMessage, *, actor: str) -> MessageId:
        """Record a message that is not a line, ready at once. The same (party, key) gives the first's id."""

    async def confirm_batch(self, batch_id: BatchId, *, now: Micros) -> None:
        """The center has fetched the results. Safe to call again."""

    async def hurry(self, message_id: MessageId, *, actor: str, reason: Note, now: Micros) -> MessageRow:
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
        """The initial records: each stands until a message made another version of it."""

    async def take(self, message: NewMessage, work: Callable[[Books], str | None]) -> Taken:
        """Record a message that is not a batch, with all that its flow does to the books.

        The message is kept under the code that `work` returns, if it returns one.
        The same (party, key) and payload gives the first's id and does nothing; another payload raises
        `Conflict` (`idempotency_key_reused`). Raises what `work` raises, and then nothing was written.
        """

    async def work(self, work: Callable[[Books], T]) -> T:
        """One transaction on the books that no message leads to, such as what a new day brings."""

    async def mark(
        self, receiver: PartyId, channel: str, position: Position, *, after: int | None = None
    ) -> bool:
        """How far a receiver has come. A position never goes back by this.

        With `after` it moves only from there: False, and nothing is changed, when it was moved meanwhile.
        """

    async def rewind(
        self, receiver: PartyId, channel: str, seq: int, *, actor: str, reason: Note, now: Micros
    ) -> Position:
        """Tell a receiver again what follows `seq`, at once: an operator's wish, kept in the audit log.

        Raises `Conflict` (`not_delivered_yet`) when the receiver has not come so far.
        """

    # the journal
    async def note(self, entry: Entry, *, disclosed: Sequence[Disclosure] = ()) -> None:
        """Something that happened outside any move: a look, a disclosure, a refusal, an operator's action."""

    async def configured(self, texts: Mapping[str, tuple[str, str]], entry: Entry) -> None:
        """The configuration that is in force now: digest and text of each file by its name."""

    async def last_configuration(self) -> Entry | None:
        """The latest entry that `configured` made; None before the first."""

    async def put_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """False when another process made the one of that number first."""

    async def journal(self, *, after: int, limit: int) -> Sequence[JournalRow]:
        """Entries in the order of their `seq`, from the one after `after`."""

    async def heads(self) -> Mapping[str, Head]:
        """How far each chain has come."""

    async def checkpoints(self, *, after: int, limit: int) -> Sequence[Checkpoint]:
        """Those whose number follows `after`."""

    async def last_checkpoint(self) -> Checkpoint | None: ...

    async def policy_texts(self) -> Mapping[str, tuple[str, str]]:
        """Name and text of every configuration file that was ever in force, by its digest."""

    async def disclosures(self, passports: Sequence[bytes]) -> Sequence[Disclosed]:
        """What was given to whom of the persons behind these passport indices, in that order."""

    async def about(self, passports: Sequence[bytes]) -> Sequence[Involved]:
        """The messages about these persons, in the order in which they came."""

    async def entries(self, wanted: EntriesWanted, *, after: int, span: int) -> Sequence[JournalRow]:
        """Those wanted among the `span` entries (by `seq`) that follow `after`, in order."""

    async def entries_about(self, passports: Sequence[bytes], wanted: EntriesWanted) -> Sequence[JournalRow]:
        """Those wanted of what is known of these persons: of their messages, and of the batches of these."""

    async def configurations(self) -> Sequence[JournalRow]:
        """Each entry that `configured` made, in order."""

    async def scopes(self, numbers: Sequence[int]) -> Mapping[int, Disclosure]:
        """The disclosures that entries name by these numbers (`disclosed` in their detail)."""

    # reading
    async def record(self, kind: str, id: str, *, at: int | None = None) -> Record | None:
        """The record in force, or the one that was when the books stood at `at` (`Record.seq`)."""

    async def look(self, query: Callable[[Books], T]) -> T:
        """Read the books without a transaction: methods that write must not be called."""

    async def visa_flow(self, since: date, until: date) -> Sequence[FlowRow]:
        """What became of the applications of these business days, both included."""

    async def season_totals(self, season: int) -> SeasonTotals: ...

    async def census(self) -> Sequence[Tally]:
        """Everything that passed through, counted by sort: for operators, and for proofs of coverage."""

    async def quotas(self) -> Sequence[QuotaState]:
        """Every quota, with what is taken."""

    async def events(self, receiver: PartyId, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """The outbox of a receiver, in order."""

    async def position(self, receiver: PartyId, channel: str) -> Position: ...

    async def events_of(self, message_id: MessageId) -> Sequence[StoredEvent]:
        """Events with data that a message led to, in the outbox of whomever they are meant for."""

    async def records_of(self, message_id: MessageId) -> Sequence[Record]:
        """The versions of records that a message made."""

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

    # photos
    async def put_photo(
        self, party: PartyId, digest: bytes, *, data_key: bytes, sealed: bytes, now: Micros
    ) -> bool:
        """Keep a party's photo. False when it has one under that digest: the first stays as it is."""

    async def photos_known(self, party: PartyId, digests: Sequence[bytes]) -> frozenset[bytes]:
        """Which of these photos the party has put."""
