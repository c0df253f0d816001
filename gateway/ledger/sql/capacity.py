"""Whether the ledger can take more, behind the port (`gateway.ledger.capacity.Capacity`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gateway.errors import Unavailable
from gateway.ledger.sql.access import Access
from gateway.ledger.sql.transaction import Transaction

T = TypeVar("T")


class CapacityTransactions(Access):
    """What both databases have in common, given how the ledger writes."""

    _tell_refused: Callable[[], None] | None = None

    async def probe(self) -> None:
        await self._write(_probe)

    def when_refused(self, tell: Callable[[], None]) -> None:
        self._tell_refused = tell

    def _refused(self, error: Unavailable) -> None:
        """To be called with what a unit of work came to."""
        if self._tell_refused is not None and error.code == "ledger_unavailable":
            self._tell_refused()


def _probe(tx: Transaction) -> None:
    tx.run(
        "INSERT INTO probe (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at", (tx.now,)
    )
