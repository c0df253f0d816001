"""The ledger's port on the transactions of this folder; a subclass opens the database and runs them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Final, TypeVar

from gateway.errors import Unavailable
from gateway.ledger import port
from gateway.ledger.books import Books, QuotaState, Record
from gateway.ledger.journal import Entry, Head
from gateway.ledger.sql import (
    auditing,
    carrying,
    disclosing,
    intake,
    moving,
    operating,
    photos,
    reading,
    reporting,
    sweeping,
)
from gateway.ledger.sql.books import SqlBooks
from gateway.ledger.sql.capacity import CapacityTransactions
from gateway.ledger.sql.duties import DutyTransactions
from gateway.ledger.sql.keeping import KeepingTransactions
from gateway.ledger.sql.memory import BookMemory
from gateway.ledger.sql.partners import PartnerTransactions
from gateway.ledger.sql.restoring import RestoringTransactions
from gateway.ledger.sql.transaction import Connection, Transaction
from gateway.ledger.sql.unit import Together
from gateway.ledger.sql.watching import WatchingQueries
from gateway.message import BatchId, Disclosure, MessageId, Micros, PartyId
from gateway.ports import Clock
from gateway.states import PublicState

T = TypeVar("T")

#: So many are inserted in a few milliseconds.
_QUICK_LINES: Final = 256


class SqlLedger(
    CapacityTransactions,
    KeepingTransactions,
    DutyTransactions,
    PartnerTransactions,
    RestoringTransactions,
    WatchingQueries,
):
    """See `gateway.ledger.port.Ledger`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cursor = carrying.LaneCursor()
        self._memory = BookMemory()
        #: Of the readers; None while the ledger is closed.
        self._pool: ThreadPoolExecutor | None = None

    async def _read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a connection that can't write, off the event loop."""
        if self._pool is None:
            raise Unavailable("ledger_closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._query, query)

    @abstractmethod
    def _query(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a reader's connection, in a thread of the pool."""

    async def ready(self) -> bool:
        try:
            await self._write(lambda tx: tx.run("UPDATE batch SET lines = lines WHERE id = ''"))
        except Unavailable:
            return False
        return True

    def _books(self, tx: Transaction) -> SqlBooks:
        return SqlBooks(tx, self._memory, self._clock.today())

    def _now(self) -> Micros:
        return self._clock.now_us()

    # intake

    async def begin_batch(
        self, opening: port.BatchOpening
    ) -> port.Opened | port.AlreadyAccepted | port.BeingReceived:
        # Nobody is told of a batch before `accept_batch`, whose flush covers what came before it.
        return await self._write(lambda tx: intake.begin_batch(tx, opening), durable=False)

    async def holders(self, person_keys: Sequence[bytes]) -> Mapping[bytes, BatchId | None]:
        return await self._write(lambda tx: intake.live_persons(tx, person_keys))

    async def add_lines(
        self,
        batch_id: BatchId,
        intake_token: str,
        lines: Sequence[port.NewMessage],
        duplicate: Callable[[port.NewMessage], port.NewMessage],
        *,
        intake_until: Micros,
    ) -> Sequence[port.NewMessage]:
        return await self._write(
            lambda tx: intake.add_lines(tx, batch_id, intake_token, lines, duplicate, intake_until),
            durable=False,
            quick=len(lines) <= _QUICK_LINES,
        )

    async def reject_lines(
        self,
        batch_id: BatchId,
        intake_token: str,
        lines: Sequence[int],
        code: str,
        seal: Callable[[port.MessageRow], bytes],
        *,
        intake_until: Micros,
        now: Micros,
    ) -> None:
        await self._write(
            lambda tx: intake.reject_lines(tx, batch_id, intake_token, lines, code, seal, intake_until, now),
            durable=False,
        )

    async def accept_batch(
        self,
        batch_id: BatchId,
        intake_token: str,
        last: Sequence[port.NewMessage],
        duplicate: Callable[[port.NewMessage], port.NewMessage],
        acceptance: Callable[[Sequence[port.NewMessage]], port.Acceptance],
    ) -> Sequence[port.NewMessage]:
        return await self._write(
            lambda tx: intake.accept_batch(tx, batch_id, intake_token, last, duplicate, acceptance),
            quick=len(last) <= _QUICK_LINES,
        )

    async def abandon_batch(self, batch_id: BatchId, intake_token: str) -> None:
        await self._write(lambda tx: intake.abandon_batch(tx, batch_id, intake_token))

    # carrying

    async def claim(
        self, worker: str, limit: int, *, now: Micros, lease_until: Micros
    ) -> Sequence[port.Claimed]:
        # A claim that a power cut takes back leaves the message ready: nothing was sent under it yet.
        return await self._write(
            lambda tx: carrying.claim(tx, self._cursor, worker, limit, now, lease_until),
            durable=False,
            quick=True,
        )

    async def apply(self, move: port.Move) -> port.Applied | port.GateClosed | port.CancelAsked:
        work: Together[port.Move, port.Applied | port.GateClosed | port.CancelAsked]
        work = Together(self._apply_all, move)
        return await self._write(work, quick=True)

    def _apply_all(self, tx: Transaction, moves: Sequence[port.Move]) -> Sequence[moving.End]:
        return moving.apply_all(tx, moves, self._books(tx))

    async def keep_late_answer(
        self, message: port.Claimed, attempt: port.AttemptRecord, *, now: Micros
    ) -> None:
        await self._write(lambda tx: moving.keep_late_answer(tx, message, attempt, now))

    async def attempts(self, message_id: MessageId) -> Sequence[port.AttemptRecord]:
        return await self._read(lambda reader: reading.attempts(reader, message_id))

    async def doubt(self, message_id: MessageId) -> port.Doubt:
        return await self._read(lambda reader: reading.doubt(reader, message_id))

    async def sweep(self, *, now: Micros, release: int, business_now: Micros | None = None) -> port.Swept:
        return await self._write(
            lambda tx: sweeping.sweep(tx, now, release, business_now=business_now), durable=False
        )

    # what parties and operators ask for

    async def cancel(
        self,
        message_id: MessageId,
        *,
        actor: str,
        now: Micros,
        why: port.Note | None = None,
        cancellation: Callable[[port.MessageRow], port.NewMessage] | None = None,
    ) -> port.MessageRow:
        return await self._write(lambda tx: operating.cancel(tx, message_id, actor, now, why, cancellation))

    async def add_message(self, message: port.NewMessage, *, actor: str) -> MessageId:
        return await self._write(lambda tx: operating.add_message(tx, message, actor))

    async def confirm_batch(self, batch_id: BatchId, *, now: Micros) -> None:
        await self._write(lambda tx: operating.confirm_batch(tx, batch_id, now))

    async def hurry(
        self, message_id: MessageId, *, actor: str, reason: port.Note, now: Micros
    ) -> port.MessageRow:
        return await self._write(lambda tx: operating.hurry(tx, message_id, actor, reason, now))

    async def propose(self, resolution: port.Resolution) -> None:
        await self._write(lambda tx: operating.propose(tx, resolution))

    async def confirm_resolution(
        self,
        message_id: MessageId,
        *,
        operator: str,
        now: Micros,
        settle: Callable[[port.MessageRow, port.Resolution], port.Resolved],
    ) -> port.MessageRow:
        return await self._write(
            lambda tx: operating.confirm_resolution(tx, message_id, operator, now, settle, self._books(tx)),
            records=True,
        )

    async def use_token(
        self, party: PartyId, jti: str, idempotency_key: str, *, expires_at: Micros, now: Micros
    ) -> bool:
        # A power cut that takes it back takes back what the token was used for as well, which came later.
        return await self._write(
            lambda tx: operating.use_token(tx, party, jti, idempotency_key, expires_at, now), durable=False
        )

    async def put_reference(self, records: Sequence[port.ReferenceRecord]) -> None:
        await self._write(lambda tx: operating.put_reference(tx, records, self._books(tx)), records=True)

    async def take(self, message: port.NewMessage, work: Callable[[Books], str | None]) -> port.Taken:
        return await self._write(lambda tx: operating.take(tx, message, work, self._books(tx)), records=True)

    async def work(self, work: Callable[[Books], T]) -> T:
        return await self._write(lambda tx: work(self._books(tx)), records=True)

    async def mark(
        self, receiver: PartyId, channel: str, position: port.Position, *, after: int | None = None
    ) -> bool:
        # A mark that a power cut takes back only means that something is told twice.
        return await self._write(
            lambda tx: operating.mark(tx, receiver, channel, position, after), durable=False
        )

    async def rewind(
        self, receiver: PartyId, channel: str, seq: int, *, actor: str, reason: port.Note, now: Micros
    ) -> port.Position:
        return await self._write(lambda tx: operating.rewind(tx, receiver, channel, seq, actor, reason, now))

    # the journal

    async def note(self, entry: Entry, *, disclosed: Sequence[Disclosure] = ()) -> None:
        await self._write(lambda tx: auditing.note(tx, entry, disclosed), quick=True)

    async def configured(self, texts: Mapping[str, tuple[str, str]], entry: Entry) -> None:
        await self._write(lambda tx: auditing.configured(tx, texts, entry))

    async def last_configuration(self) -> Entry | None:
        return await self._read(auditing.last_configuration)

    async def put_checkpoint(self, checkpoint: port.Checkpoint) -> bool:
        return await self._write(lambda tx: auditing.put_checkpoint(tx, checkpoint), quick=True)

    async def journal(self, *, after: int, limit: int) -> Sequence[port.JournalRow]:
        return await self._read(lambda reader: auditing.journal(reader, after, limit))

    async def heads(self) -> Mapping[str, Head]:
        return await self._read(auditing.heads)

    async def checkpoints(self, *, after: int, limit: int) -> Sequence[port.Checkpoint]:
        return await self._read(lambda reader: auditing.checkpoints(reader, after, limit))

    async def last_checkpoint(self) -> port.Checkpoint | None:
        return await self._read(auditing.last_checkpoint)

    async def policy_texts(self) -> Mapping[str, tuple[str, str]]:
        return await self._read(auditing.policy_texts)

    async def disclosures(self, passports: Sequence[bytes]) -> Sequence[port.Disclosed]:
        return await self._read(lambda reader: disclosing.disclosures(reader, passports))

    async def about(self, passports: Sequence[bytes]) -> Sequence[port.Involved]:
        return await self._read(lambda reader: disclosing.about(reader, passports))

    async def entries(
        self, wanted: port.EntriesWanted, *, after: int, span: int
    ) -> Sequence[port.JournalRow]:
        return await self._read(lambda reader: disclosing.entries(reader, wanted, after, span))

    async def entries_about(
        self, passports: Sequence[bytes], wanted: port.EntriesWanted
    ) -> Sequence[port.JournalRow]:
        return await self._read(lambda reader: disclosing.entries_about(reader, passports, wanted))

    async def configurations(self) -> Sequence[port.JournalRow]:
        return await self._read(disclosing.configurations)

    async def scopes(self, numbers: Sequence[int]) -> Mapping[int, Disclosure]:
        return await self._read(lambda reader: disclosing.scopes(reader, numbers))

    # reading

    async def record(self, kind: str, id: str, *, at: int | None = None) -> Record | None:
        return await self._read(lambda reader: reading.record(reader, kind, id, at))

    async def look(self, query: Callable[[Books], T]) -> T:
        now = self._now()
        return await self._read(
            lambda reader: query(SqlBooks(Transaction(reader, now), BookMemory(), self._clock.today()))
        )

    async def visa_flow(self, since: date, until: date) -> Sequence[port.FlowRow]:
        return await self._read(lambda reader: reporting.visa_flow(reader, since, until))

    async def season_totals(self, season: int) -> port.SeasonTotals:
        return await self._read(lambda reader: reporting.season_totals(reader, season))

    async def census(self) -> Sequence[port.Tally]:
        return await self._read(reporting.census)

    async def quotas(self) -> Sequence[QuotaState]:
        return await self._read(reporting.quotas)

    async def events(self, receiver: PartyId, *, after: int, limit: int) -> Sequence[port.StoredEvent]:
        return await self._read(lambda reader: reading.events(reader, receiver, after, limit))

    async def position(self, receiver: PartyId, channel: str) -> port.Position:
        return await self._read(lambda reader: reading.position(reader, receiver, channel))

    async def events_of(self, message_id: MessageId) -> Sequence[port.StoredEvent]:
        return await self._read(lambda reader: reading.events_of(reader, message_id))

    async def records_of(self, message_id: MessageId) -> Sequence[Record]:
        return await self._read(lambda reader: reading.records_of(reader, message_id))

    async def batch(self, batch_id: BatchId) -> port.BatchRow | None:
        return await self._read(lambda reader: reading.batch(reader, batch_id))

    async def message(self, message_id: MessageId) -> port.MessageRow | None:
        return await self._read(lambda reader: reading.message(reader, message_id))

    async def lines(
        self, batch_id: BatchId, *, after_line: int, limit: int, state: PublicState | None = None
    ) -> Sequence[port.MessageRow]:
        return await self._read(lambda reader: reading.lines(reader, batch_id, after_line, limit, state))

    async def messages(
        self, wanted: port.MessageFilter, *, after_id: str, limit: int
    ) -> Sequence[port.MessageRow]:
        return await self._read(lambda reader: reading.messages(reader, wanted, after_id, limit))

    async def audit(self, message_id: MessageId) -> Sequence[port.AuditRow]:
        return await self._read(lambda reader: reading.audit(reader, message_id))

    async def resolution(self, message_id: MessageId) -> port.Resolution | None:
        return await self._read(lambda reader: reading.resolution(reader, message_id))

    async def gauges(self) -> Sequence[port.Gauge]:
        return await self._read(reading.gauges)

    async def uncertain(self) -> Mapping[str, int]:
        return await self._read(reading.uncertain)

    async def audit_head(self) -> int:
        return await self._read(reading.audit_head)

    # photos

    async def put_photo(
        self, party: PartyId, digest: bytes, *, data_key: bytes, sealed: bytes, now: Micros
    ) -> bool:
        return await self._write(lambda tx: photos.put_photo(tx, party, digest, data_key, sealed, now))

    async def photos_known(self, party: PartyId, digests: Sequence[bytes]) -> frozenset[bytes]:
        return await self._read(lambda reader: photos.photos_known(reader, party, digests))
