"""What stands in the journal, for tests."""

from __future__ import annotations

from gateway.ledger.journal import Entry
from gateway.ledger.port import Ledger


async def noted(ledger: Ledger, action: str) -> list[Entry]:
    """Every entry of that action, in order."""
    rows = await ledger.journal(after=0, limit=100_000)
    return [row.entry for row in rows if row.entry.action == action]
