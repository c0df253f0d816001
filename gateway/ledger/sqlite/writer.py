"""The group-commit writer: one connection, many callers, one disk flush for all of them.

A caller hands in a unit of work: a function of the transaction that may run more than once but commits
once. Whatever is queued runs in one transaction. Before a group begins, the event loop comes round a few
times: who is about to ask anyway shares the flush. No clock is waited for, so an idle loop begins at once.
A unit refuses with a `GatewayError`, before it writes anything. When one fails in any other way, the group is
rolled back and every unit runs again alone, so that a fault stays its own.

Who runs a group: the commit, which waits for the disk, always belongs to the writer's thread. The statements
of quick units run in the event loop that asked for them: two threads that take turns at the interpreter for
every statement of a few microseconds cost each other more than the statements do. A group with a unit that is
not quick runs in the thread as a whole. The connection belongs to one group at a time.

Where several processes write to the file, a group begins when it is this process's turn (`sharing`). Should
another one write just then, the thread waits for it and then gives the turn to the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, TypeVar

from gateway.errors import Unavailable
from gateway.ledger.sql.journal import JournalMemory
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.sql.unit import Unit, resolve, run_all
from gateway.ledger.sqlite.connection import Connection, DatabaseError, IntegrityError
from gateway.ledger.sqlite.sharing import Alone, WriteTurns
from gateway.message import Micros

T = TypeVar("T")
_GROUP = 512
#: Rounds of the event loop before a group begins. Of a busy loop each brings some units more (decision 0030).
_ROUNDS: Final = 4


@dataclass(slots=True)
class _Unit(Unit):
    quick: bool = False


@dataclass(frozen=True, slots=True)
class _Group:
    """Units for one transaction. `has_run`: their statements are done, only the commit is to come."""

    units: list[_Unit]
    has_run: bool = False


@dataclass(frozen=True, slots=True)
class _TurnFor:
    """Who waits for this process's turn to write: a loop, or the thread itself (None)."""

    loop: asyncio.AbstractEventLoop | None


class GroupCommitWriter:
    """Owns the writing connection. `run` is safe from any event loop."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        now: Callable[[], Micros],
        on_rollback: Callable[[], None] = lambda: None,
        turns: WriteTurns | None = None,
        on_begin: Callable[[Transaction], None] = lambda _: None,
    ) -> None:
        """`on_rollback` is told when a group is undone, for what units keep in memory.

        Of a file that other processes write to, too: `turns` says when this one may, and `on_begin` looks at
        what they changed, at the beginning of each transaction.
        """
        self._journal = JournalMemory()
        self._turns = Alone() if turns is None else turns
        self._on_begin = on_begin
        self._connect = connect
        self._now = now
        self._on_rollback = on_rollback
        self._lock = threading.Lock()
        self._queue: deque[_Unit] = deque()
        #: Some group has the connection, or is about to: whoever ends it sees to the next one.
        self._busy = False
        #: The loop whose turn it is to run the next group, until it has taken it.
        self._turn_of: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._flushes = True
        #: For the thread; None ends it.
        self._handed_over: SimpleQueue[_Group | _TurnFor | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="ledger-writer", daemon=True)
        self._connection: Connection = None

    def start(self, chain: str | None = None) -> None:
        """Open the connection and begin to serve. `chain` is the one of the journal that it writes."""
        if chain is not None:
            self._journal.chain = chain
        with self._turn():
            self._connection = self._connect()
        self._thread.start()

    async def stop(self) -> None:
        """Finish what is queued, then close the connection. Safe to call again."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        await self._enqueue(lambda _: None, durable=True, quick=False)  # all others stand before it
        self._handed_over.put(None)
        await asyncio.to_thread(self._end)

    async def run(self, work: Callable[[Transaction], T], *, durable: bool = True, quick: bool = False) -> T:
        """Run `work` in a transaction; returns its result once that is durable.

        Without `durable` the commit survives the death of this process, and after a power cut it is there if
        any later durable one is: the log is flushed in order.
        `quick` work is a handful of statements by key; it may run in the calling event loop.

        Raises what `work` raises (its changes are undone), and `Unavailable("ledger_unavailable")` when
        the database does not take the commit (disk full, I/O error).
        """
        if self._stopping:
            raise Unavailable("ledger_closed")
        return await self._enqueue(work, durable=durable, quick=quick)

    async def _enqueue(self, work: Callable[[Transaction], T], *, durable: bool, quick: bool) -> T:
        loop = asyncio.get_running_loop()
        unit = _Unit(work, durable, loop, loop.create_future(), quick=quick)
        with self._lock:
            self._queue.append(unit)
            begins = not self._busy
            # Of a loop that is no more. The thread may have taken it already, so it comes from there.
            inherits = self._turn_of is not None and self._turn_of.is_closed()
            if begins or inherits:
                self._busy, self._turn_of = True, loop
        if begins:
            self._gather(loop)
        elif inherits:
            self._handed_over.put(_TurnFor(loop))
        result: T = await unit.future
        return result

    # --- in an event loop ----------------------------------------------------------------------------------

    def _gather(self, loop: asyncio.AbstractEventLoop, rounds: int = _ROUNDS) -> None:
        """Begin a group a few rounds of the loop from now: whoever asks until then is part of it."""
        if rounds > 1:
            loop.call_soon(self._gather, loop, rounds - 1)
        else:
            loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Run the next group here if it is quick and nobody else writes; the thread does the rest."""
        if self._turns.try_take():
            self._run_next()
        else:
            self._handed_over.put(_TurnFor(asyncio.get_running_loop()))

    def _run_next(self) -> None:
        """It is this process's turn."""
        loop = asyncio.get_running_loop()
        units = self._next_units()
        if all(unit.quick and unit.loop is loop for unit in units):
            try:
                self._run_together(units)
            except Exception:  # undone; alone, each will show whose fault it was
                self._handed_over.put(_Group(units))
            else:
                self._handed_over.put(_Group(units, has_run=True))
        else:
            self._handed_over.put(_Group(units))

    def _next_units(self) -> list[_Unit]:
        with self._lock:
            self._turn_of = None
            return [self._queue.popleft() for _ in range(min(len(self._queue), _GROUP))]

    def _answer(self, units: list[_Unit], next_turn: bool) -> None:
        """Tell the callers, and run the next group if its turn is here."""
        resolve(units)
        if next_turn:
            self._gather(asyncio.get_running_loop())

    # --- in the thread -------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while given := self._handed_over.get():
            if isinstance(given, _Group):
                self._end_turn(given)
                continue
            self._turns.take()
            if given.loop is None:
                self._end_turn(_Group(self._next_units()))
            elif not _call(given.loop, self._run_next):
                self._turns.give_back()

    def _end_turn(self, group: _Group) -> None:
        try:
            self._finish(group)
        finally:
            self._turns.give_back()
        self._pass_on(group.units)

    def _finish(self, group: _Group) -> None:
        if not group.has_run:
            self._commit_together(group.units)
            return
        try:
            self._commit()
        except Exception:
            self._commit_together(group.units)

    def _end(self) -> None:
        """Wait for the thread, then close: the last one of all processes to close checkpoints."""
        self._thread.join()
        with self._turn():
            self._connection.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._turns.take()
        try:
            yield
        finally:
            self._turns.give_back()

    def _pass_on(self, done: list[_Unit]) -> None:
        """Tell the callers, one hop into each event loop for all of them, and see to the next group."""
        turn_of = self._next_turn()
        by_loop: dict[asyncio.AbstractEventLoop, list[_Unit]] = {}
        for unit in done:
            by_loop.setdefault(unit.loop, []).append(unit)
        if turn_of is not None:
            by_loop.setdefault(turn_of, [])
        for loop, units in by_loop.items():
            _call(loop, self._answer, units, loop is turn_of)

    def _next_turn(self) -> asyncio.AbstractEventLoop | None:
        """The loop that runs the next group; None when nothing is queued, or it is the thread's own."""
        with self._lock:
            if not self._queue:
                self._busy = False
                return None
            if self._queue[0].quick and not self._queue[0].loop.is_closed():
                self._turn_of = self._queue[0].loop
                return self._turn_of
        self._handed_over.put(_TurnFor(None))
        return None

    def _commit_together(self, units: list[_Unit]) -> None:
        try:
            self._run_together(units)
            self._commit()
        except Exception as error:
            if len(units) == 1:
                units[0].error = _as_gateway_error(error)
                return
            for unit in units:
                self._commit_together([unit])

    # --- of whoever has the connection ---------------------------------------------------------------------

    def _run_together(self, units: list[_Unit]) -> None:
        """All statements of a transaction, up to its commit."""
        self._roll_back()  # what could not be rolled back when it failed
        self._flush_on_commit(any(unit.durable for unit in units))
        transaction = Transaction(self._connection, self._now(), self._journal)
        self._connection.execute("BEGIN IMMEDIATE")
        with self._undoing():
            self._on_begin(transaction)
            run_all(units, transaction)
            transaction.flush()

    def _commit(self) -> None:
        with self._undoing():
            self._connection.execute("COMMIT")

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        """Roll the transaction back when its statements or its commit fail."""
        try:
            yield
        except BaseException:
            # Forgotten first: a disk in trouble may fail this as well.
            self._journal.forget()
            self._on_rollback()
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _flush_on_commit(self, flush: bool) -> None:
        """FULL flushes the log with each commit; NORMAL leaves it to the next one that does."""
        if flush is not self._flushes:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
            self._flushes = flush


def _call(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *given: object) -> bool:
    """Have it called in a loop; False when the loop is closed: nobody waits there any more."""
    try:
        loop.call_soon_threadsafe(call, *given)
    except RuntimeError:
        return False
    return True


def _as_gateway_error(error: Exception) -> Exception:
    """A database that can't commit is unavailable; a violated constraint is a fault of the program."""
    if isinstance(error, DatabaseError) and not isinstance(error, IntegrityError):
        failure = Unavailable("ledger_unavailable", type(error).__name__)
        failure.__cause__ = error
        return failure
    return error
