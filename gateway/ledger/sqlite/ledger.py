"""`Ledger` on SQLite: one file, one process, nothing to install."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.clock import micros
from gateway.errors import Unavailable
from gateway.ledger.sql import sweeping
from gateway.ledger.sql.ledger import SqlLedger
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.sqlite.connection import (
    Connection,
    DatabaseError,
    ProcessLock,
    migrate,
    open_reader,
    open_writer,
)
from gateway.ledger.sqlite.writer import GroupCommitWriter
from gateway.ports import Clock

T = TypeVar("T")
_READERS = 2


class SqliteLedger(SqlLedger):
    """See `gateway.ledger.port.Ledger`. `path` is the database file; its lock file stands beside it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(clock)
        self._path = path
        self._lock = ProcessLock(path.with_suffix(".lock"))
        self._writer = GroupCommitWriter(self._connect, self._now, on_rollback=self._memory.forget)
        self._readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()

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
        by_date = micros(self._clock.business_now())
        await self._write(
            partial(sweeping.sweep, now=self._now(), release=500, business_now=by_date, all_leases=True)
        )

    async def close(self) -> None:
        await self._writer.stop()
        if self._pool is not None:
            self._pool.shutdown()
        while not self._readers.empty():
            self._readers.get().close()
        self._lock.release()

    def _connect(self) -> Connection:
        connection = open_writer(self._path)
        migrate(connection)
        return connection

    async def _write(
        self,
        work: Callable[[Transaction], T],
        *,
        durable: bool = True,
        quick: bool = False,
        records: bool = False,
    ) -> T:
        return await self._writer.run(work, durable=durable, quick=quick)

    def _query(self, query: Callable[[Connection], T]) -> T:
        reader = self._readers.get()
        try:
            return query(reader)
        except DatabaseError as error:
            raise Unavailable("ledger_unavailable", type(error).__name__) from error
        finally:
            self._readers.put(reader)
