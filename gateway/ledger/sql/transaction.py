"""What a unit of work sees of the database, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.ledger.sql.among import among
from gateway.ledger.sql.counters import BatchCounters
from gateway.ledger.sql.journal import JournalMemory, JournalPage
from gateway.ledger.sql.outbox import OutboxPage
from gateway.ledger.sql.places import PlacesPage
from gateway.ledger.sql.visas import VisasPage
from gateway.message import Micros

#: A connection that executes the ledger's statements; what a query gives is read by name.
Connection = Any
Row = Any
#: Statements, each with the rows of values that it is executed for.
Work = Sequence[tuple[str, Sequence[Sequence[Any]]]]


class Transaction:
    """What a unit of work sees of the database.

    One process writes here and nothing runs beside a transaction: rows need no locks. A database that several
    processes write to overrides what is said of them.
    """

    #: What a query ends in whose rows are about to be changed.
    for_update = ""
    #: The same, leaving out rows that another transaction has locked.
    skip_locked = ""

    def __init__(self, connection: Connection, now: Micros, journal: JournalMemory | None = None) -> None:
        """`journal`: what is known of the chain; not needed by those who only read."""
        self._connection = connection
        self.now = now
        self.counters = BatchCounters()
        self.outbox = OutboxPage()
        self.places = PlacesPage()
        self.visas = VisasPage()
        self.journal = JournalPage(journal or JournalMemory())

    def flush(self) -> None:
        """Write what was collected. The outbox last: others' entries may wait from there to the commit."""
        self.places.flush(self)
        self.counters.flush(self)
        self.run_all([*self.journal.linked(self), *self.outbox.numbered(self)])

    def own_records(self) -> None:
        """Before a record gets another version: nobody decides by the records until this is committed."""

    def locking_places(self) -> Work:
        """What is executed before the first lock of a quota's or a partner's row.

        The units of a group want these rows in any order, and a group mixes both kinds.
        """
        return ()

    def own_places(self) -> None:
        """Nobody else reads a quota or a partner, to change it, until this is committed."""
        self.run_all(self.locking_places())

    def locking_batches(self, batch_ids: list[str]) -> Work:
        """What is executed before looking whether these batches are complete."""
        return ()

    def skip_outbox(self, by: int) -> None:
        """Entries of the outbox are numbered on from far behind the last one."""
        self.run(
            "INSERT INTO outbox (seq, receiver, kind, created_at)"
            " SELECT coalesce(max(seq), 0) + ?, '', 'restored', ? FROM outbox",
            (by, self.now),
        )

    def locking_outbox(self) -> Work:
        """What is executed before entries of the outbox get their numbers."""
        return ()

    def run(self, sql: str, values: Any = ()) -> int:
        """Execute; the number of rows changed."""
        count: int = self._connection.execute(sql, values).rowcount
        return count

    def run_many(self, sql: str, values: Sequence[Any]) -> int:
        """Execute for each of these; the number of rows changed by all of them."""
        count: int = self._connection.executemany(sql, values).rowcount
        return count

    def run_all(self, work: Work) -> list[int]:
        """Execute several statements, in order; the number of rows changed by each."""
        return [self.run_many(sql, values) for sql, values in work]

    def among(self, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """See `among.among`."""
        return among(values)

    def one(self, sql: str, values: Any = ()) -> Row | None:
        return self._connection.execute(sql, values).fetchone()

    def all(self, sql: str, values: Any = ()) -> list[Row]:
        rows: list[Row] = self._connection.execute(sql, values).fetchall()
        return rows
