"""`Ledger` on SQLite: one file, one process or the processes of one group, nothing to install."""

from __future__ import annotations

import asyncio
import os
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.clock import micros
from gateway.errors import Unavailable
from gateway.ledger.copying import Told
from gateway.ledger.sql import sweeping
from gateway.ledger.sql.ledger import SqlLedger
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.sqlite.backup import copy
from gateway.ledger.sqlite.connection import (
    Connection,
    DatabaseError,
    ProcessLock,
    migrate,
    open_reader,
    open_writer,
)
from gateway.ledger.sqlite.sharing import Membership
from gateway.ledger.sqlite.writer import GroupCommitWriter
from gateway.ports import Clock

T = TypeVar("T")
_READERS = 2


class SqliteLedger(SqlLedger):
    """See `gateway.ledger.port.Ledger`. `path` is the database file; its lock file stands beside it.

    `shared`: this is one of a group's processes; their supervisor holds the lock file for all of them.
    """

    def __init__(self, path: Path, clock: Clock, *, shared: bool = False) -> None:
        super().__init__(clock)
        self._path = path
        self._lock = None if shared else ProcessLock(path.with_suffix(".lock"))
        self._member: Membership | None = None
        #: How far the records had come when they were last looked at.
        self._seen = -1
        self._writer: GroupCommitWriter
        self._readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()

    # life

    async def open(self) -> None:
        """Raises `Misconfigured` when another process has the directory or the file is a newer one's."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is not None:
            self._lock.take()
        try:
            await asyncio.to_thread(self._start)
        except Exception:
            self._let_go()
            raise
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="ledger-reader")
        for _ in range(_READERS):
            self._readers.put(open_reader(self._path))
        if self._member is None or self._member.first:
            await self._clear_up()
        if self._member is not None:
            await asyncio.to_thread(self._member.settle_in)

    def _start(self) -> None:
        if self._lock is not None:
            self._writer = GroupCommitWriter(self._connect, self._now, self._memory.forget)
            self._writer.start()
            return
        self._member = Membership(self._path)
        self._writer = GroupCommitWriter(
            self._connect, self._now, self._memory.forget, self._member.turns, self._look_at_records
        )
        self._writer.start(self._member.chain_of_its_own())

    async def _clear_up(self) -> None:
        """No other process is at the file: every duty, lease and open intake is a dead one's."""
        await self._write(lambda tx: tx.run("DELETE FROM duty"), durable=False)
        by_date = micros(self._clock.business_now())
        await self._write(
            partial(sweeping.sweep, now=self._now(), release=500, business_now=by_date, all_leases=True)
        )

    def _look_at_records(self, tx: Transaction) -> None:
        """Records that another process changed are read again."""
        head = tx.journal.records(tx)
        if head != self._seen:
            self._memory.forget()
            self._seen = head

    async def close(self) -> None:
        await self._writer.stop()
        if self._pool is not None:
            self._pool.shutdown()
        while not self._readers.empty():
            self._readers.get().close()
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.release()
        if self._member is not None:
            self._member.close()

    # copies

    @property
    def folder(self) -> Path:
        return self._path.parent

    async def copy_to(self, path: Path, told: Told) -> None:
        await asyncio.to_thread(copy, self._path, path, told)

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
        try:
            return await self._writer.run(work, durable=durable, quick=quick)
        except Unavailable as error:
            self._refused(error)
            raise

    async def free_bytes(self) -> int | None:
        return await asyncio.to_thread(_free_bytes, self._path.parent)

    async def size_bytes(self) -> int:
        return await asyncio.to_thread(_size_bytes, self._path)

    def _query(self, query: Callable[[Connection], T]) -> T:
        reader = self._readers.get()
        try:
            return query(reader)
        except DatabaseError as error:
            raise Unavailable("ledger_unavailable", type(error).__name__) from error
        finally:
            self._readers.put(reader)


def _free_bytes(folder: Path) -> int:
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise Unavailable("ledger_unavailable", type(error).__name__) from error
    return 0 if disk.f_flag & os.ST_RDONLY else disk.f_bavail * disk.f_frsize


def _size_bytes(path: Path) -> int:
    """The file, and what SQLite keeps beside it."""
    try:
        return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    except OSError as error:
        raise Unavailable("ledger_unavailable", type(error).__name__) from error
