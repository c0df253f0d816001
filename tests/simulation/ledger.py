"""The ledger's own transactions on one database in memory, executed inside the simulated loop.

Every process has a group-commit writer of its own, as on PostgreSQL: what waits is run in one transaction,
some time passes before the commit and some before its callers hear of it, and a crash may come at any of
these moments. `Database` tells its watcher of every change that a commit made durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cache, partial
from random import Random
from typing import Any, Final, TypeVar

from gateway.clock import micros
from gateway.errors import Unavailable
from gateway.ledger import port
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sql import sweeping
from gateway.ledger.sql.journal import ChainMoved, JournalMemory
from gateway.ledger.sql.ledger import SqlLedger
from gateway.ledger.sql.transaction import Connection, Transaction
from gateway.ledger.sql.unit import Unit, resolve, run_all
from gateway.ledger.sqlite.connection import DatabaseError, IntegrityError, driver, migrate
from gateway.message import Micros
from gateway.ports import Clock
from tests.simulation.clock import VirtualClock
from tests.simulation.loop import OWNER, Owner, VirtualLoop

T = TypeVar("T")


class Gone(BaseException):
    """Raised in what is left of a dead process, so that it does nothing more."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row that a statement changed. `before` is None for a new one."""

    table: str
    key: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


#: What the invariants look at, by table: the key, and the columns that matter.
_WATCHED: Final = {
    "message": (
        "id",
        ("state", "outcome", "lease_token", "lease_until", "open_step", "batch_id", "cancel_requested_at"),
    ),
    "effect": ("request_reference", ("state", "message_id", "token", "operation")),
    "batch": ("id", ("state", "revision", "lines")),
    "quota": ("control || ':' || NEW.scope", ("taken",)),
}
#: Of which tables a new row matters only so.
_NEW_WHEN: Final = {"quota": "NEW.taken > 0"}

#: What is looked at beside them; of an intent, how its message stands at that moment.
_BESIDE: Final = {
    "effect": {
        "kind": "(SELECT kind FROM message WHERE id = NEW.message_id)",
        "holder_state": "(SELECT state FROM message WHERE id = NEW.message_id)",
        "holder_token": "(SELECT lease_token FROM message WHERE id = NEW.message_id)",
        "open_step": "(SELECT open_step FROM message WHERE id = NEW.message_id)",
        "cancel_requested_at": "(SELECT cancel_requested_at FROM message WHERE id = NEW.message_id)",
        "licensee": "(SELECT record.facts FROM record JOIN message ON record.id = message.licensee"
        " WHERE message.id = NEW.message_id AND record.kind = 'licensee' AND record.in_force = 1)",
        "places": "(SELECT count(*) FROM reservation WHERE message_id = NEW.message_id)",
    },
    "quota": {"ceiling": "NEW.ceiling"},
}


class _Connection(driver.Connection):  # type: ignore[misc]
    """Spares SQLite a new plan at each use: with `LIMIT ?` it makes one for every value bound there."""

    def execute(self, sql: str, values: Any = ()) -> Any:
        return super().execute(_planned_once(sql), values)


@cache
def _planned_once(sql: str) -> str:
    return sql.replace("LIMIT ?", "LIMIT (? + 0)")


class Database:
    """One connection in memory, emptied and filled anew for each run."""

    def __init__(self) -> None:
        self.connection: Connection = driver.connect(
            ":memory:", isolation_level=None, cached_statements=512, factory=_Connection
        )
        self.connection.row_factory = driver.Row
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.execute("PRAGMA synchronous = OFF")
        migrate(self.connection)
        self.connection.execute("ATTACH ':memory:' AS initial")
        self._changes: list[Change] = []
        self._tables = self._all_tables()
        self._filled: list[str] = []
        self._watch()

    def keep_as_initial(self) -> None:
        """What stands in the database now is what every run begins with."""
        for table in self._tables:
            if self.connection.execute(f"SELECT 1 FROM main.{table} LIMIT 1").fetchone():
                self.connection.execute(f"CREATE TABLE initial.{table} AS SELECT * FROM main.{table}")
                self._filled.append(table)

    def reset(self) -> None:
        """As at the first start."""
        execute = self.connection.execute
        if self.connection.in_transaction:
            execute("ROLLBACK")
        execute("BEGIN")
        for table in self._tables:
            execute(f"DELETE FROM main.{table}")
        for table in self._filled:
            execute(f"INSERT INTO main.{table} SELECT * FROM initial.{table}")
        execute("COMMIT")
        self._changes.clear()

    def take_changes(self) -> list[Change]:
        """What was changed since it was asked last, oldest first."""
        taken, self._changes = self._changes, []
        return taken

    def rows(self, sql: str, *values: Any) -> list[Any]:
        found: list[Any] = self.connection.execute(sql, values).fetchall()
        return found

    def _all_tables(self) -> list[str]:
        found = self.connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return [row["name"] for row in found.fetchall()]

    def _watch(self) -> None:
        for table, (key, columns) in _WATCHED.items():
            beside = _BESIDE.get(table, {})
            size = 1 + 2 * len(columns) + len(beside)
            self.connection.create_function(f"saw_{table}", size, self._seer(table, columns, tuple(beside)))
            new = ", ".join([*(f"NEW.{name}" for name in columns), *beside.values()])
            old = ", ".join(f"OLD.{name}" for name in columns)
            nothing = ", ".join("NULL" for _ in columns)
            changed = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in columns)
            self.connection.execute(
                f"CREATE TEMP TRIGGER {table}_changed AFTER UPDATE OF {', '.join(columns)} ON main.{table}"
                f" WHEN {changed}"
                f" BEGIN SELECT saw_{table}(NEW.{key}, {old}, {new}); END"
            )
            self.connection.execute(
                f"CREATE TEMP TRIGGER {table}_made AFTER INSERT ON main.{table}"
                f" WHEN {_NEW_WHEN.get(table, 'true')}"
                f" BEGIN SELECT saw_{table}(NEW.{key}, {nothing}, {new}); END"
            )

    def _seer(self, table: str, columns: tuple[str, ...], beside: tuple[str, ...]) -> Callable[..., None]:
        size = len(columns)

        def saw(key: str, *values: Any) -> None:
            before = None if values[0] is None else dict(zip(columns, values[:size], strict=True))
            after = dict(zip((*columns, *beside), values[size:], strict=True))
            self._changes.append(Change(table, key, before, after))

        return saw


@dataclass
class Server:
    """The database as a server that several processes write to: its clock, its moods, who watches it."""

    database: Database
    clock: VirtualClock
    random: Random
    #: Told of each commit: by whom, at which time of the database, what it changed.
    watcher: Callable[[Owner | None, Micros, list[Change]], None]
    #: Until when it refuses to write, and since when it takes its time.
    refuses_until_s: float = 0.0
    slow_until_s: float = 0.0
    commits: int = field(default=0)

    def now(self) -> Micros:
        return self.clock.now_us()


class SimulatedLedger(PostgresLedger):
    """See `gateway.ledger.port.Ledger`: PostgreSQL's rules of time and memory, without PostgreSQL.

    Leases are by the server's clock. The chain of the journal is the process's own.
    """

    #: How many of the groups are with the server already when the process is killed or frozen.
    sent_ahead = 0.2

    def __init__(self, clock: Clock, server: Server, loop: VirtualLoop, chain: str) -> None:
        super().__init__("", clock, by_database_time=True)
        self._server = server
        self._loop = loop
        self._journal = JournalMemory(chain)
        self._waiting: list[Unit] = []
        self._committing = False
        #: Its process died: nothing that is left of it reads or writes.
        self.gone = False

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def _write(
        self,
        work: Callable[[Transaction], T],
        *,
        durable: bool = True,
        quick: bool = False,
        records: bool = False,
    ) -> T:
        if self.gone:
            raise Gone
        unit = Unit(work, durable, self._loop, self._loop.create_future())
        self._waiting.append(unit)
        self._see_to_next()
        result: T = await unit.future
        return result

    async def _read(self, query: Callable[[Connection], T]) -> T:
        if self.gone:
            raise Gone
        await asyncio.sleep(self._server.random.random() * 0.002)
        if self._refuses():
            raise Unavailable("ledger_unavailable")
        return query(self._server.database.connection)

    async def sweep(self, *, now: Micros, release: int, business_now: Micros | None = None) -> port.Swept:
        """As PostgreSQL's, but for the advisory lock: here one transaction follows the other anyway."""
        return await self._write(
            lambda tx: sweeping.sweep(tx, tx.now, release, business_now=business_now or now), durable=False
        )

    # --- the writer

    def _see_to_next(self) -> None:
        """One group at a time: run it, some time later tell its callers, then the next."""
        if self._committing or not self._waiting:
            return
        self._committing = True
        random = self._server.random
        pause = random.random() * (2.0 if self._loop.time() < self._server.slow_until_s else 0.004)
        if random.random() < self.sent_ahead:
            # The server has it already: it is committed, whatever becomes of the process meanwhile.
            units, self._waiting = self._waiting, []
            self._outside(pause, self._commit_sent, units, OWNER.get())
        else:
            self._loop.call_later(pause, self._commit_waiting)

    def _outside(self, pause: float, callback: Callable[..., None], *args: Any) -> None:
        token = OWNER.set(None)
        try:
            self._loop.call_later(pause, callback, *args)
        finally:
            OWNER.reset(token)

    def _commit_waiting(self) -> None:
        units, self._waiting = self._waiting, []
        self._commit(units)
        self._loop.call_later(self._server.random.random() * 0.002, self._answer, units)

    def _commit_sent(self, units: list[Unit], owner: Owner | None) -> None:
        self._commit(units)
        context = copy_context()
        context.run(OWNER.set, owner)
        self._loop.call_soon(self._answer, units, context=context)

    def _answer(self, units: list[Unit]) -> None:
        self._committing = False
        resolve(units)
        self._see_to_next()

    def _refuses(self) -> bool:
        return self._loop.time() < self._server.refuses_until_s

    def _commit(self, units: list[Unit]) -> None:
        if self._refuses():
            for unit in units:
                unit.error = Unavailable("ledger_unavailable")
            return
        try:
            self._run_together(units)
        except ChainMoved:  # a dead process's last group came between: the head is read again
            self._commit(units)
        except Exception as error:
            self._server.database.take_changes()
            if len(units) == 1:
                units[0].error = _as_gateway_error(error)
                return
            for unit in units:
                self._commit([unit])

    def _run_together(self, units: list[Unit]) -> None:
        server, connection = self._server, self._server.database.connection
        tx = Transaction(connection, server.now(), self._journal)
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._look_at_records(tx)  # type: ignore[arg-type]
            run_all(units, tx)
            tx.flush()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._journal.forget()
            self._memory.forget()
            raise
        server.commits += 1
        server.watcher(OWNER.get(), tx.now, server.database.take_changes())


def _as_gateway_error(error: Exception) -> Exception:
    if isinstance(error, DatabaseError) and not isinstance(error, IntegrityError):
        return Unavailable("ledger_unavailable", type(error).__name__)
    return error


class EmbeddedLedger(SimulatedLedger):
    """One process alone, as on SQLite: leases are by its own clock, and its start ends all earlier ones."""

    begin_batch = SqlLedger.begin_batch
    add_lines = SqlLedger.add_lines
    claim = SqlLedger.claim
    _apply_all = SqlLedger._apply_all
    sent_ahead = 0.0

    async def open(self) -> None:
        by_date = micros(self._clock.business_now())
        await self._write(
            partial(sweeping.sweep, now=self._now(), release=500, business_now=by_date, all_leases=True)
        )

    async def sweep(self, *, now: Micros, release: int, business_now: Micros | None = None) -> port.Swept:
        return await SqlLedger.sweep(self, now=now, release=release, business_now=business_now)
