"""`Ledger` on SQLite: the transactions of this folder behind the port."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.clock import micros
from gateway.errors import Unavailable
from gateway.ledger import port
from gateway.ledger.sqlite import carrying, intake, operating, reading, sweeping
from gateway.ledger.sqlite.connection import (
    Connection,
    DatabaseError,
    ProcessLock,
    migrate,
    open_reader,
    open_writer,
)
from gateway.ledger.sqlite.writer import GroupCommitWriter, Transaction
from gateway.message import BatchFacts, BatchId, MessageId, Micros, PartyId
from gateway.ports import Clock
from gateway.states import PublicState

T = TypeVar("T")
_READERS = 2


class SqliteLedger:
    """See `gateway.ledger.port.Ledger`. `path` is the database file; its lock file stands beside it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = ProcessLock(path.with_suffix(".lock"))
        self._cursor = carrying.LaneCursor()
        self._book = carrying.ReferenceBook()
        self._writer = GroupCommitWriter(self._connect, self._now, on_rollback=self._book.forget)
        self._readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None

    # life

    async def open(self) -> None:
        """Raises `Misconfigured` when another process has the directory or the file is a newer one's."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.take()
        try:
            await asyncio.to_thread(self._writer.start)
        except Exception:
            self._lock.release()
            raise
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="ledger-reader")
        for _ in range(_READERS):
            self._readers.put(open_reader(self._path))
        # This process holds the lock, so every lease and every open intake is a dead process's.
        await self._write(partial(sweeping.sweep, now=self._now(), release=500, all_leases=True))

    async def close(self) -> None:
        await self._writer.stop()
        if self._pool is not None:
            self._pool.shutdown()
        while not self._readers.empty():
            self._readers.get().close()
        self._lock.release()

    async def ready(self) -> bool:
        try:
            await self._write(lambda tx: tx.run("UPDATE batch SET lines = lines WHERE id = ''"))
        except Unavailable:
            return False
        return True

    def _connect(self) -> Connection:
        connection = open_writer(self._path)
        migrate(connection)
        return connection

    def _now(self) -> Micros:
        return micros(self._clock.now())

    async def _write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        return await self._writer.run(work, durable=durable)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        if self._pool is None:
            raise Unavailable("ledger_closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._query, query)

    def _query(self, query: Callable[[Connection], T]) -> T:
        reader = self._readers.get()
        try:
            return query(reader)
        except DatabaseError as error:
            raise Unavailable("ledger_unavailable", type(error).__name__) from error
        finally:
            self._readers.put(reader)

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
        )

    async def accept_batch(self, acceptance: port.Acceptance) -> None:
        await self._write(lambda tx: intake.accept_batch(tx, acceptance))

    async def abandon_batch(self, batch_id: BatchId, intake_token: str) -> None:
        await self._write(lambda tx: intake.abandon_batch(tx, batch_id, intake_token))

    # carrying

    async def claim(
        self, worker: str, limit: int, *, now: Micros, lease_until: Micros
    ) -> Sequence[port.Claimed]:
        # A claim that a power cut takes back leaves the message ready: nothing was sent under it yet.
        return await self._write(
            lambda tx: carrying.claim(tx, self._cursor, worker, limit, now, lease_until), durable=False
        )

    async def apply(self, move: port.Move) -> port.Applied | port.GateClosed | port.CancelAsked:
        today = self._clock.today()
        return await self._write(lambda tx: carrying.apply(tx, move, self._book, today))

    async def keep_late_answer(
        self, message: port.Claimed, attempt: port.AttemptRecord, *, now: Micros
    ) -> None:
        await self._write(lambda tx: carrying.keep_late_answer(tx, message, attempt, now))

    async def attempts(self, message_id: MessageId) -> Sequence[port.AttemptRecord]:
        return await self._read(lambda reader: reading.attempts(reader, message_id))

    async def sweep(self, *, now: Micros, release: int) -> port.Swept:
        return await self._write(lambda tx: sweeping.sweep(tx, now, release), durable=False)

    # what parties and operators ask for

    async def cancel(self, message_id: MessageId, *, actor: str, now: Micros) -> port.MessageRow:
        return await self._write(lambda tx: operating.cancel(tx, message_id, actor, now))

    async def add_message(self, message: port.NewMessage, *, actor: str) -> MessageId:
        return await self._write(lambda tx: operating.add_message(tx, message, actor))

    async def confirm_batch(self, batch_id: BatchId, *, now: Micros) -> None:
        await self._write(lambda tx: operating.confirm_batch(tx, batch_id, now))

    async def hurry(self, message_id: MessageId, *, actor: str, reason: str, now: Micros) -> port.MessageRow:
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
            lambda tx: operating.confirm_resolution(tx, message_id, operator, now, settle)
        )

    async def use_token(
        self, party: PartyId, jti: str, idempotency_key: str, *, expires_at: Micros, now: Micros
    ) -> bool:
        return await self._write(
            lambda tx: operating.use_token(tx, party, jti, idempotency_key, expires_at, now)
        )

    async def put_reference(self, records: Sequence[port.ReferenceRecord]) -> None:
        def put(tx: Transaction) -> None:
            operating.put_reference(tx, records, tx.now)
            self._book.forget()

        await self._write(put)

    # reading

    async def reference(self, kind: str, id: str) -> port.ReferenceRecord | None:
        return await self._read(lambda reader: reading.reference(reader, kind, id))

    async def closed_by(self, party: PartyId, facts: BatchFacts, *, now: Micros) -> str | None:
        today = self._clock.today()
        return await self._read(lambda reader: reading.closed_by(reader, party, facts, today))

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
