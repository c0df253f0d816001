"""What is meant for parties, written once a commit group, in the order in which it becomes true.

Receivers read the outbox from where they left off, so an entry must never appear before one that they have
read already. Where several processes write, the entries' numbers are therefore given under a lock that is
held from here to the commit, and for no longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gateway.ledger.sql.transaction import Transaction, Work

_COLUMNS: Final = (
    "receiver", "kind", "message_id", "batch_id", "revision", "created_at", "event_id", "subject",
    "classification", "correlation_id", "data_key", "sealed",
)  # fmt: skip
_INSERT: Final = (
    f"INSERT INTO outbox ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    " ON CONFLICT DO NOTHING"
)


class OutboxPage:
    """Collects the entries of one transaction; `numbered` gives what writes them."""

    def __init__(self) -> None:
        self._entries: list[tuple[Any, ...]] = []

    def put(self, **columns: Any) -> None:
        """An entry, in order. A `batch.completed` of a revision that was told before is told once."""
        self._entries.append(tuple(columns.get(name) for name in _COLUMNS))

    def numbered(self, tx: Transaction) -> Work:
        """What writes them; no other statement may follow before the commit."""
        entries, self._entries = self._entries, []
        return [*tx.locking_outbox(), (_INSERT, entries)] if entries else ()
