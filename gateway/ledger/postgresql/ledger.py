"""`Ledger` on PostgreSQL: many processes on many machines, each with one writing connection."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from gateway.errors import Misconfigured, Unavailable
from gateway.ledger import port
from gateway.ledger.partners import Change, PartnerState
from gateway.ledger.postgresql.connection import (
    CONFLICTS,
    LOCK_CLASS,
    LOST,
    SWEEP,
    Connection,
    connect,
    told_as_ours,
)
from gateway.ledger.postgresql.database_time import (
    attempt_by_process,
    by_database,
    by_process,
    doubt_by_process,
    partner_by_process,
)
from gateway.ledger.postgresql.migrating import migrate
from gateway.ledger.postgresql.writer import PostgresTransaction, PostgresWriter
from gateway.ledger.sql import carrying, duties, intake, moving, partners, sweeping
from gateway.ledger.sql.journal import JournalMemory
from gateway.ledger.sql.ledger import SqlLedger
from gateway.ledger.sql.transaction import Transaction
from gateway.message import BatchId, MessageId, Micros
from gateway.ports import Clock
from gateway.values import replace

T = TypeVar("T")
_READERS: Final = 2
#: Chains of the journal that processes may hold at the same time; more share one and wait for each other.
_CHAINS: Final = 64
_CHAIN_LOCKS: Final = 1_000


class PostgresLedger(SqlLedger):
    """See `gateway.ledger.port.Ledger`. Leases and due times are measured by the database's clock."""

    def __init__(self, url: str, clock: Clock, *, by_database_time: bool = True) -> None:
        """`by_database_time=False` measures by `clock`, which is for tests that turn it."""
        super().__init__(clock)
        self._url = url
        self._by_database_time = by_database_time
        self._seen = -1
        #: By how much the database's clock was ahead of ours when it was looked at last.
        self._known_ahead = 0
        self._journal = JournalMemory()
        self._postgres = PostgresWriter(
            lambda: connect(url), self._journal, self._time, self._look_at_records, self._memory.forget
        )
        self._connections: queue.SimpleQueue[Connection] = queue.SimpleQueue()

    # life

    async def open(self) -> None:
        """Raises `Misconfigured` when the server does not answer or the schema is a newer one's."""
        try:
            connection = await asyncio.to_thread(self._opened)
        except LOST as error:
            raise Misconfigured(
                ["gateway.yaml:1:1: database_url: the database does not answer, or lets nobody in"]
            ) from error
        await asyncio.to_thread(self._postgres.start, connection)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="ledger-reader")

    def _opened(self) -> Connection:
        connection = connect(self._url)
        migrate(connection)
        self._journal.chain = _chain_of_its_own(connection)
        return connection

    async def close(self) -> None:
        await self._postgres.stop()
        if self._pool is not None:
            self._pool.shutdown()
        while not self._connections.empty():
            self._connections.get().close()

    async def _write(
        self,
        work: Callable[[Transaction], T],
        *,
        durable: bool = True,
        quick: bool = False,
        records: bool = False,
    ) -> T:
        try:
            return await self._postgres.run(work, owns_records=records)
        except Unavailable as error:
            self._refused(error)
            raise

    async def probe(self) -> None:
        """Every transaction of ours writes its mark (`last_commit`), and no two processes the same row."""
        await self._write(lambda _: None)

    async def free_bytes(self) -> int | None:
        return None

    async def size_bytes(self) -> int:
        return await self._read(_size_bytes)

    def _query(self, query: Callable[[Connection], T]) -> T:
        with told_as_ours():
            while not self._connections.empty():
                # One that broke, or whose plans went stale, while nobody used it: the next, at last a new.
                with suppress(*LOST, *CONFLICTS):
                    return self._queried(query)
            return self._queried(query)

    def _queried(self, query: Callable[[Connection], T]) -> T:
        try:
            reader = self._connections.get_nowait()
        except queue.Empty:
            reader = connect(self._url, readonly=True)
        try:
            found = query(reader)
        except BaseException:
            reader.close()
            raise
        self._connections.put(reader)
        return found

    # time, and what others change

    def _time(self, database_now: Micros) -> Micros:
        return database_now if self._by_database_time else self._clock.now_us()

    def _ahead(self, tx: Transaction) -> int:
        """By how much the database's clock is ahead of ours: never more than it is."""
        self._known_ahead = tx.now - self._now()
        return self._known_ahead

    def _look_at_records(self, tx: PostgresTransaction) -> None:
        """Records that another process changed are read again. Nobody changes one until we have committed."""
        head = tx.journal.records(tx)
        if head != self._seen:
            self._memory.forget()
            self._seen = head

    # leases by the transaction's own time

    async def begin_batch(
        self, opening: port.BatchOpening
    ) -> port.Opened | port.AlreadyAccepted | port.BeingReceived:
        def work(tx: Transaction) -> port.Opened | port.AlreadyAccepted | port.BeingReceived:
            until = Micros(tx.now + opening.intake_until - opening.now)
            return intake.begin_batch(tx, replace(opening, intake_until=until, now=tx.now))

        return await self._write(work, durable=False)

    async def add_lines(
        self,
        batch_id: BatchId,
        intake_token: str,
        lines: Sequence[port.NewMessage],
        duplicate: Callable[[port.NewMessage], port.NewMessage],
        *,
        intake_until: Micros,
    ) -> Sequence[port.NewMessage]:
        lease = intake_until - self._now()
        return await self._write(
            lambda tx: intake.add_lines(tx, batch_id, intake_token, lines, duplicate, Micros(tx.now + lease)),
            durable=False,
        )

    async def claim(
        self, worker: str, limit: int, *, now: Micros, lease_until: Micros
    ) -> Sequence[port.Claimed]:
        lease = lease_until - now

        def work(tx: Transaction) -> Sequence[port.Claimed]:
            found = carrying.claim(tx, self._cursor, worker, limit, tx.now, Micros(tx.now + lease))
            return [by_process(claimed, self._ahead(tx)) for claimed in found]

        return await self._write(work, durable=False)

    async def attempts(self, message_id: MessageId) -> Sequence[port.AttemptRecord]:
        return [attempt_by_process(each, self._known_ahead) for each in await super().attempts(message_id)]

    async def doubt(self, message_id: MessageId) -> port.Doubt:
        return doubt_by_process(await super().doubt(message_id), self._known_ahead)

    def _apply_all(self, tx: Transaction, moves: Sequence[port.Move]) -> Sequence[moving.End]:
        ahead = self._ahead(tx)
        return super()._apply_all(tx, [by_database(move, tx.now, ahead) for move in moves])

    async def stand(self, duty: str, candidate: str, *, now: Micros, until: Micros) -> str:
        lease = until - now
        return await self._write(
            lambda tx: duties.stand(tx, duty, candidate, tx.now, Micros(tx.now + lease)), durable=False
        )

    async def sweep(self, *, now: Micros, release: int, business_now: Micros | None = None) -> port.Swept:
        """One process at a time; the others have nothing to do meanwhile."""

        def work(tx: Transaction) -> port.Swept:
            mine = tx.one("SELECT pg_try_advisory_xact_lock(?, ?) AS mine", (LOCK_CLASS, SWEEP))
            if mine is None or not mine["mine"]:
                return port.Swept()
            return sweeping.sweep(tx, tx.now, release, business_now=business_now or now)

        return await self._write(work, durable=False)

    # circuits

    async def partners(self, *, now: Micros) -> Sequence[PartnerState]:
        ahead = self._known_ahead
        found = await super().partners(now=Micros(now + ahead))
        return [partner_by_process(state, ahead) for state in found]

    async def change_circuit(self, name: str, change: Change) -> tuple[PartnerState, bool]:
        state, changed = await super().change_circuit(name, change)
        return partner_by_process(state, self._known_ahead), changed

    async def wake_put_off(self, name: str, most: int, *, now: Micros) -> int:
        return await self._write(lambda tx: partners.wake(tx, name, most, tx.now), durable=False)


def _size_bytes(reader: Connection) -> int:
    row = reader.execute("SELECT pg_database_size(current_database()) AS size").fetchone()
    return 0 if row is None else int(row["size"])


def _chain_of_its_own(connection: Connection) -> str:
    """The first chain that no living process holds; held for as long as the connection lives."""
    for number in range(1, _CHAINS + 1):
        row = connection.execute(
            "SELECT pg_try_advisory_lock(?, ?) AS mine", (LOCK_CLASS, _CHAIN_LOCKS + number)
        ).fetchone()
        if row is not None and row["mine"]:
            return f"w{number}"
    return f"w{_CHAINS}"
