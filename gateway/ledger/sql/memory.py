"""Records as the database holds them, kept in memory once read."""

from __future__ import annotations

from typing import Any

from gateway.ledger.books import Record
from gateway.ledger.sql import rows
from gateway.ledger.sql.transaction import Transaction

RECORD = "SELECT * FROM record WHERE kind = ? AND id = ? AND in_force = 1"


class BookMemory:
    """Used by the writer thread only: its connection is the one that changes records, and it forgets
    what it knew when it does (or when a group of transactions is undone).
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Record | None] = {}

    def forget(self) -> None:
        self._known.clear()

    def record(self, tx: Transaction, kind: str, id: str) -> Record | None:
        """The record in force."""
        key = (kind, id)
        try:
            return self._known[key]
        except KeyError:
            row: Any = tx.one(RECORD, key)
            found = self._known[key] = None if row is None else rows.record(row)
            return found
