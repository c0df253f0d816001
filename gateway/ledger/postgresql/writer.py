"""The group-commit writer on PostgreSQL: one connection a process, whatever is queued in one transaction.

As on SQLite, a unit of work may run more than once and commits once; nothing waits for more to come. What
differs: other processes write at the same time. A group that collides with theirs (a deadlock, a
violated constraint) is undone and runs again, at last unit by unit; what still fails then is the unit's own
fault. When the answer to a COMMIT is lost, the server is asked what became of that transaction, for as
long as it takes: nobody is told "done" or "not done" by guess. It is asked by a key that the transaction
wrote: the server's own number of a transaction that a crash took back is given to another one afterwards.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import psycopg
from psycopg.errors import InvalidSqlStatementName

from gateway.errors import Unavailable
from gateway.ledger.postgresql.connection import (
    CONFLICTS,
    FULL,
    LOCK_CLASS,
    LOST,
    OUTBOX,
    PLACES,
    RECORDS,
    VIOLATIONS,
    Connection,
)
from gateway.ledger.postgresql.many import hexadecimal, literal
from gateway.ledger.sql.journal import RECORDS_CAME_TO, ChainMoved, JournalMemory
from gateway.ledger.sql.transaction import Transaction, Work
from gateway.ledger.sql.unit import Unit, resolve, run_all
from gateway.message import Micros, new_id
from gateway.observe.log import log

T = TypeVar("T")
_GROUP: Final = 256
_ATTEMPTS: Final = 6
_RECONNECT_S: Final = 0.2
#: How long units that were not committed are kept from an answer while the server is away.
_PATIENCE_S: Final = 2.0


class NeedsRecords(Exception):
    """A unit wants to change a record in a transaction that does not own them: it runs again, alone."""


class PostgresTransaction(Transaction):
    """A transaction beside others, at READ COMMITTED with the locks that its reading needs.

    Whoever decides by the records shares a lock on them, and who changes one owns it: an intent is never
    recorded under a record that was changed before its commit.
    """

    for_update = " FOR UPDATE"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any, now: Micros, journal: JournalMemory, *, owns_records: bool) -> None:
        super().__init__(connection, now, journal)
        self._owns_records = owns_records
        self._owns_places = False

    def own_records(self) -> None:
        if not self._owns_records:
            raise NeedsRecords

    def locking_places(self) -> Work:
        if self._owns_places:
            return ()
        self._owns_places = True
        return [("SELECT pg_advisory_xact_lock(?, ?) AS locked", [(LOCK_CLASS, PLACES)])]

    def run_all(self, work: Work) -> list[int]:
        counts: list[int] = self._connection.execute_all(work)
        return counts

    def among(self, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """One array: one text, however many there are."""
        array = literal([hexadecimal(one) if isinstance(one, bytes) else one for one in values])
        return super().among(values) if array is None else ("= ANY (?)", [array])

    def locking_batches(self, batch_ids: list[str]) -> Work:
        if not batch_ids:
            return ()
        wanted, values = self.among(batch_ids)
        return [(f"SELECT 1 AS locked FROM batch WHERE id {wanted} ORDER BY id FOR UPDATE", [values])]

    def skip_outbox(self, by: int) -> None:
        self.run_all(self.locking_outbox())
        self.one(
            "SELECT setval(pg_get_serial_sequence('outbox', 'seq'),"
            " (SELECT coalesce(max(seq), 0) FROM outbox) + ?) AS moved",
            (by,),
        )

    def locking_outbox(self) -> Work:
        return [("SELECT pg_advisory_xact_lock(?, ?) AS locked", [(LOCK_CLASS, OUTBOX)])]


@dataclass(slots=True)
class _Unit(Unit):
    owns_records: bool = False


class PostgresWriter:
    """Owns this process's writing connection, in a thread of its own. `run` is safe from any event loop."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        journal: JournalMemory,
        now: Callable[[Micros], Micros] = lambda database_now: database_now,
        on_begin: Callable[[PostgresTransaction], None] = lambda _: None,
        on_rollback: Callable[[], None] = lambda: None,
    ) -> None:
        """`now` gives the time of a transaction by the database's clock.

        `on_begin` and `on_rollback` are for what is kept in memory of the database.
        """
        self._connect = connect
        self._journal = journal
        self._now = now
        self._on_begin = on_begin
        self._on_rollback = on_rollback
        self._queue: SimpleQueue[_Unit | None] = SimpleQueue()
        #: Of this writer alone, never used again.
        self._name = new_id()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="ledger-writer", daemon=True)
        self._connection: Connection | None = None

    def start(self, connection: Connection) -> None:
        """Begin to serve on this connection; when it breaks, another is opened. Raises one of `LOST`."""
        connection.execute("DELETE FROM last_commit WHERE at < now() - INTERVAL '30 days'")
        connection.execute("INSERT INTO last_commit (writer, key, at) VALUES (?, '', now())", (self._name,))
        self._connection = connection
        self._thread.start()

    async def stop(self) -> None:
        """Finish what is queued, then close the connection. Safe to call again."""
        if self._stopping:
            return
        self._stopping = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._connection is not None:
            self._connection.close()

    async def run(
        self,
        work: Callable[[PostgresTransaction], T],
        *,
        owns_records: bool = False,
    ) -> T:
        """Run `work` in a transaction; returns its result once that is committed.

        Every commit is flushed: the server may die while we live and go on with what we believe that it has,
        such as the lines of a batch that is being received, or a fencing token.
        Raises what `work` raises (its changes are undone), and `Unavailable("ledger_unavailable")` when the
        database does not take it.
        """
        if self._stopping:
            raise Unavailable("ledger_closed")
        loop = asyncio.get_running_loop()
        unit = _Unit(work, True, loop, loop.create_future(), owns_records=owns_records)
        self._queue.put(unit)
        result: T = await unit.future
        return result

    # --- in the thread -------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while units := self._next_units():
            self._commit(units)
            _answer(units)

    def _next_units(self) -> list[_Unit]:
        first = self._queue.get()
        units = [] if first is None else [first]
        while units and len(units) < _GROUP and not self._queue.empty():
            another = self._queue.get()
            if another is None:
                self._queue.put(None)
                break
            units.append(another)
        return units

    def _commit(self, units: list[_Unit]) -> None:
        """Those that own the records alone after all others: they wait for everybody."""
        shared = [unit for unit in units if not unit.owns_records]
        owning = [unit for unit in units if unit.owns_records]
        for group, owns in ((shared, False), (owning, True)):
            if group:
                self._commit_group(group, owns_records=owns)

    def _commit_group(self, units: list[_Unit], *, owns_records: bool) -> None:
        give_up_at = time.monotonic() + _PATIENCE_S
        attempt = violations = 0
        while True:
            attempt += 1
            try:
                return self._try(units, owns_records)
            except NeedsRecords:
                return self._one_by_one(units, owns_records=len(units) == 1)
            except (*CONFLICTS, ChainMoved) as error:
                if attempt >= _ATTEMPTS:
                    return self._blame(units, error, owns_records)
                time.sleep(0.002 * attempt)
            except FULL as error:  # a small unit may still be taken; nobody waits for the rest
                if len(units) > 1:
                    return self._one_by_one(units, owns_records)
                return _refuse(units, error)
            except LOST as error:
                if time.monotonic() > give_up_at:
                    return _refuse(units, error)
                time.sleep(_RECONNECT_S)
            except VIOLATIONS as error:
                violations += 1
                if len(units) == 1 and violations >= 2:
                    units[0].error = error
                    return None
                if len(units) > 1:
                    return self._one_by_one(units, owns_records)
            except Exception as error:
                return self._blame(units, error, owns_records)

    def _one_by_one(self, units: list[_Unit], owns_records: bool) -> None:
        for unit in units:
            self._commit_group([unit], owns_records=owns_records)

    def _blame(self, units: list[_Unit], error: Exception, owns_records: bool) -> None:
        """Alone, each will show whose fault it was."""
        if len(units) == 1:
            units[0].error = (
                Unavailable("ledger_busy") if isinstance(error, (*CONFLICTS, ChainMoved)) else error
            )
        else:
            self._one_by_one(units, owns_records)

    def _try(self, units: list[_Unit], owns_records: bool) -> None:
        connection, key, asked = self._open(), new_id(), False
        try:
            self._run_together(connection, units, key, owns_records)
            asked = True
            connection.execute("COMMIT")
        except BaseException as error:
            self._undo(connection, error)
            lost = isinstance(error, LOST) and not isinstance(error, FULL)
            if asked and lost and self._was_committed(key):
                return
            raise

    def _run_together(self, connection: Connection, units: list[_Unit], key: str, owns_records: bool) -> None:
        """All statements of a transaction, up to its commit."""
        lock = "pg_advisory_xact_lock" if owns_records else "pg_advisory_xact_lock_shared"
        begun, records = connection.begin(
            "WITH mark AS (INSERT INTO last_commit (writer, key, at) VALUES (?, ?, now())"
            " ON CONFLICT (writer) DO UPDATE SET key = excluded.key, at = excluded.at)"
            f" SELECT {lock}(?, ?) AS locked,"
            " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now",
            (self._name, key, LOCK_CLASS, RECORDS),
            RECORDS_CAME_TO,
        )
        tx = PostgresTransaction(
            connection, self._now(Micros(begun["now"])), self._journal, owns_records=owns_records
        )
        tx.journal.records_came_to(records["seq"])
        self._on_begin(tx)
        run_all(units, tx)
        tx.flush()

    def _undo(self, connection: Connection, error: BaseException) -> None:
        self._journal.forget()
        self._on_rollback()
        try:
            # Where nothing is as the library believes, there may be no transaction to roll back.
            if isinstance(error, InvalidSqlStatementName):
                connection.close()
            elif connection.usable:
                connection.rollback()
        except psycopg.Error:
            connection.close()

    def _was_committed(self, key: str) -> bool:
        """What became of a transaction whose COMMIT got no answer. Asks until the server says.

        That transaction holds the row, be it there already or not, for as long as it is under way: the answer
        is final. A server that can't write yet, such as one that takes over, has not said anything.
        """
        while True:
            try:
                row = (
                    self._open()
                    .execute(
                        "INSERT INTO last_commit (writer, key, at) VALUES (?, '', now())"
                        " ON CONFLICT (writer) DO UPDATE SET at = excluded.at RETURNING key",
                        (self._name,),
                    )
                    .fetchone()
                )
            except psycopg.Error:
                time.sleep(_RECONNECT_S)
                continue
            committed = row is not None and row["key"] == key
            log.warning(
                "commit_resolved", action="commit_resolved", outcome="kept" if committed else "undone"
            )
            return committed

    def _open(self) -> Connection:
        if self._connection is None or not self._connection.usable:
            self._connection = self._connect()
        return self._connection


def _refuse(units: list[_Unit], error: Exception) -> None:
    for unit in units:
        unit.error = Unavailable("ledger_unavailable", type(error).__name__)
        unit.error.__cause__ = error


def _answer(units: list[_Unit]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Unit]] = {}
    for unit in units:
        by_loop.setdefault(unit.loop, []).append(unit)
    for loop, theirs in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits for an answer
            loop.call_soon_threadsafe(resolve, theirs)
