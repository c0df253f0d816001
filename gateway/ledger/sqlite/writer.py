"""The group-commit writer: one thread, one connection, many callers, one disk flush for all of them.

A caller hands in a unit of work: a function of the transaction that may run more than once but commits
once. The thread takes whatever is queued, runs it in one transaction and commits; it never waits for more.
A unit refuses with a `GatewayError`, before it writes anything. When one fails in any other way, the group is
rolled back and every unit runs again alone, so that a fault stays its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.errors import GatewayError, Unavailable
from gateway.ledger.sqlite.connection import Connection, DatabaseError, IntegrityError, Row
from gateway.ledger.sqlite.counters import BatchCounters
from gateway.message import Micros

T = TypeVar("T")
_GROUP = 512


class Transaction:
    """What a unit of work sees of the database."""

    def __init__(self, connection: Connection, now: Micros) -> None:
        self._connection = connection
        self.now = now
        self.counters = BatchCounters()

    def run(self, sql: str, values: Any = ()) -> int:
        """Execute; the number of rows changed."""
        count: int = self._connection.execute(sql, values).rowcount
        return count

    def run_many(self, sql: str, values: list[Any]) -> None:
        self._connection.executemany(sql, values)

    def one(self, sql: str, values: Any = ()) -> Row | None:
        return self._connection.execute(sql, values).fetchone()

    def all(self, sql: str, values: Any = ()) -> list[Row]:
        rows: list[Row] = self._connection.execute(sql, values).fetchall()
        return rows


@dataclass(slots=True)
class _Unit:
    work: Callable[[Transaction], Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class GroupCommitWriter:
    """Owns the writing connection. `run` is safe from any event loop."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        now: Callable[[], Micros],
        on_rollback: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_rollback` is told when a group is undone, for what units keep in memory."""
        self._connect = connect
        self._now = now
        self._on_rollback = on_rollback
        self._queue: deque[_Unit] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._flushes = True
        self._thread = threading.Thread(target=self._serve, name="ledger-writer", daemon=True)
        self._connection: Connection = None

    def start(self) -> None:
        """Open the connection and begin to serve."""
        self._connection = self._connect()
        self._thread.start()

    async def stop(self) -> None:
        """Finish what is queued, then close the connection."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    async def run(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in a transaction; returns its result once that is durable.

        Without `durable` the commit survives the death of this process, and after a power cut it is there if
        any later durable one is: the log is flushed in order.

        Raises what `work` raises (its changes are undone), and `Unavailable("ledger_unavailable")` when
        the database does not take the commit (disk full, I/O error).
        """
        loop = asyncio.get_running_loop()
        unit = _Unit(work, durable, loop, loop.create_future())
        with self._wake:
            if self._stopping:
                raise Unavailable("ledger_closed")
            self._queue.append(unit)
            self._wake.notify()
        result: T = await unit.future
        return result

    def _serve(self) -> None:
        while group := self._next_group():
            self._commit_together(group)
            _answer(group)

    def _next_group(self) -> list[_Unit]:
        with self._wake:
            while not self._queue and not self._stopping:
                self._wake.wait()
            return [self._queue.popleft() for _ in range(min(len(self._queue), _GROUP))]

    def _commit_together(self, group: list[_Unit]) -> None:
        try:
            self._commit(group)
        except Exception as error:
            if len(group) == 1:
                group[0].error = _as_gateway_error(error)
                return
            for unit in group:
                self._commit_together([unit])

    def _commit(self, group: list[_Unit]) -> None:
        self._flush_on_commit(any(unit.durable for unit in group))
        transaction = Transaction(self._connection, self._now())
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for unit in group:
                _run(unit, transaction)
            transaction.counters.flush(transaction)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._on_rollback()
            raise

    def _flush_on_commit(self, flush: bool) -> None:
        """FULL flushes the log with each commit; NORMAL leaves it to the next one that does."""
        if flush is not self._flushes:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
            self._flushes = flush


def _run(unit: _Unit, transaction: Transaction) -> None:
    """Run one unit. One that refuses (a `GatewayError`) has written nothing, and costs the others nothing."""
    unit.error = None
    try:
        unit.result = unit.work(transaction)
    except GatewayError as refusal:
        unit.error = refusal


def _as_gateway_error(error: Exception) -> Exception:
    """A database that can't commit is unavailable; a violated constraint is a fault of the program."""
    if isinstance(error, DatabaseError) and not isinstance(error, IntegrityError):
        failure = Unavailable("ledger_unavailable", type(error).__name__)
        failure.__cause__ = error
        return failure
    return error


def _answer(group: list[_Unit]) -> None:
    """Wake the callers, one hop into each event loop for the whole group."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Unit]] = {}
    for unit in group:
        by_loop.setdefault(unit.loop, []).append(unit)
    for loop, units in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, units)


def _resolve(units: list[_Unit]) -> None:
    for unit in units:
        if unit.future.done():  # the caller was cancelled; the commit stands
            continue
        if unit.error is not None:
            unit.future.set_exception(unit.error)
        else:
            unit.future.set_result(unit.result)
