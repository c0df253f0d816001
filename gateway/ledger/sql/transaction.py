"""What a unit of work sees of the database, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.ledger.sql.counters import BatchCounters
from gateway.ledger.sql.journal import JournalMemory, JournalPage
from gateway.ledger.sql.outbox import OutboxPage
from gateway.ledger.sql.places import PlacesPage
from gateway.message import Micros

#: A connection that executes the ledger's statements; what a query gives is read by name.
Connection = Any
Row = Any


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
        self.journal = JournalPage(journal or JournalMemory())

    def flush(self) -> None:
        """Write what was collected. The outbox last: others' entries may wait from there to the commit."""
        self.places.flush(self)
        self.counters.flush(self)
        self.journal.flush(self)
        self.outbox.flush(self)

    def own_records(self) -> None:
        """Before a record gets another version: nobody decides by the records until this is committed."""

    def lock_batches(self, batch_ids: list[str]) -> None:
        """Before looking whether these batches are complete."""

    def skip_outbox(self, by: int) -> None:
        """Entries of the outbox are numbered on from far behind the last one."""
        self.run(
            "INSERT INTO outbox (seq, receiver, kind, created_at)"
            " SELECT coalesce(max(seq), 0) + ?, '', 'restored', ? FROM outbox",
            (by, self.now),
        )

    def lock_outbox(self) -> None:
        """Before entries of the outbox get their numbers."""

    def run(self, sql: str, values: Any = ()) -> int:
        """Execute; the number of rows changed."""
        count: int = self._connection.execute(sql, values).rowcount
        return count

    def run_many(self, sql: str, values: Sequence[Any]) -> int:
        """Execute for each of these; the number of rows changed by all of them."""
        count: int = self._connection.executemany(sql, values).rowcount
        return count

    def one(self, sql: str, values: Any = ()) -> Row | None:
        return self._connection.execute(sql, values).fetchone()

    def all(self, sql: str, values: Any = ()) -> list[Row]:
        rows: list[Row] = self._connection.execute(sql, values).fetchall()
        return rows
