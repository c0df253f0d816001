"""`Ledger` on PostgreSQL: many processes on many machines, each with one writing connection."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeVar

from gateway.clock import micros
from gateway.errors import Misconfigured
from gateway.ledger import port
from gateway.ledger.postgresql.connection import (
    CONFLICTS,
    LOCK_CLASS,
    LOST,
    SWEEP,
    Connection,
    connect,
    migrate,
    told_as_ours,
)
from gateway.ledger.postgresql.writer import PostgresTransaction, PostgresWriter
from gateway.ledger.sql import carrying, intake, sweeping
from gateway.ledger.sql.journal import JournalMemory
from gateway.ledger.sql.ledger import SqlLedger
from gateway.ledger.sql.transaction import Transaction
from gateway.message import BatchId, Micros
from gateway.ports import Clock

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
        return await self._postgres.run(work, durable=durable, owns_records=records)

    def _query(self, query: Callable[[Connection], T]) -> T:
        with told_as_ours():
            try:
                return self._queried(query)
            except (*LOST, *CONFLICTS):  # a connection that broke while nobody used it: once more
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
        return database_now if self._by_database_time else micros(self._clock.now())

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
        return await self._write(
            lambda tx: carrying.claim(tx, self._cursor, worker, limit, tx.now, Micros(tx.now + lease)),
            durable=False,
        )

    async def apply(self, move: port.Move) -> port.Applied | port.GateClosed | port.CancelAsked:
        lease = None if move.lease_until is None else move.lease_until - move.now

        def work(tx: Transaction) -> port.Applied | port.GateClosed | port.CancelAsked:
            until = None if lease is None else Micros(tx.now + lease)
            return carrying.apply(tx, replace(move, lease_until=until), self._books(tx))

        return await self._write(work)

    async def sweep(self, *, now: Micros, release: int, business_now: Micros | None = None) -> port.Swept:
        """One process at a time; the others have nothing to do meanwhile."""

        def work(tx: Transaction) -> port.Swept:
            mine = tx.one("SELECT pg_try_advisory_xact_lock(?, ?) AS mine", (LOCK_CLASS, SWEEP))
            if mine is None or not mine["mine"]:
                return port.Swept()
            return sweeping.sweep(tx, tx.now, release, business_now=business_now or now)

        return await self._write(work, durable=False)


def _chain_of_its_own(connection: Connection) -> str:
    """The first chain that no living process holds; held for as long as the connection lives."""
    for number in range(1, _CHAINS + 1):
        row = connection.execute(
            "SELECT pg_try_advisory_lock(?, ?) AS mine", (LOCK_CLASS, _CHAIN_LOCKS + number)
        ).fetchone()
        if row is not None and row["mine"]:
            return f"w{number}"
    return f"w{_CHAINS}"
