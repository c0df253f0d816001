"""Duties behind the port (`gateway.ledger.duties.Duties`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from gateway.ledger.sql.access import Access
from gateway.ledger.sql.transaction import Connection, Transaction
from gateway.message import Micros

T = TypeVar("T")


class DutyTransactions(Access):
    """Leases on duties, given how the ledger reads and writes."""

    async def stand(self, duty: str, candidate: str, *, now: Micros, until: Micros) -> str:
        # A lease that a power cut takes back was everybody's.
        return await self._write(lambda tx: stand(tx, duty, candidate, now, until), durable=False, quick=True)

    async def step_down(self, duty: str, holder: str) -> None:
        await self._write(
            lambda tx: tx.run("DELETE FROM duty WHERE name = ? AND holder = ?", (duty, holder)), durable=False
        )

    async def duties(self) -> Mapping[str, str]:
        return await self._read(_duties)


def stand(tx: Transaction, duty: str, candidate: str, now: Micros, until: Micros) -> str:
    """See `Duties.stand`. Of several that stand at once, the row lets one win."""
    row = tx.one(
        "INSERT INTO duty (name, holder, until) VALUES (?, ?, ?) ON CONFLICT (name)"
        " DO UPDATE SET holder = excluded.holder, until = excluded.until"
        " WHERE duty.holder = excluded.holder OR duty.until <= ? RETURNING holder",
        (duty, candidate, until, now),
    ) or tx.one("SELECT holder FROM duty WHERE name = ?", (duty,))
    return "" if row is None else str(row["holder"])


def _duties(reader: Connection) -> Mapping[str, str]:
    return {row["name"]: row["holder"] for row in reader.execute("SELECT name, holder FROM duty")}
