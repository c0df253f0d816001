"""What operations people watch, behind the port (`gateway.ledger.watching.Watching`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from gateway.ledger.sql.access import Access
from gateway.ledger.sql.transaction import Connection
from gateway.ledger.watching import OpenBatches, Undelivered
from gateway.message import Micros

T = TypeVar("T")


class WatchingQueries(Access):
    """Reads only, given how the ledger reads."""

    async def open_batches(self) -> Sequence[OpenBatches]:
        return await self._read(_open_batches)

    async def undelivered(self, channels: Collection[str]) -> Sequence[Undelivered]:
        return await self._read(lambda reader: _undelivered(reader, tuple(channels)))


def _open_batches(reader: Connection) -> Sequence[OpenBatches]:
    found = reader.execute(
        "SELECT state, count(*) AS n, min(created_at) AS oldest FROM batch"
        " WHERE state <> 'completed' GROUP BY state ORDER BY state"
    )
    return [OpenBatches(row["state"], row["n"], Micros(row["oldest"])) for row in found]


def _undelivered(reader: Connection, channels: tuple[str, ...]) -> Sequence[Undelivered]:
    marks = ", ".join("?" * len(channels))
    found = reader.execute(
        "SELECT receiver, channel, (SELECT created_at FROM outbox"
        " WHERE outbox.receiver = position.receiver AND outbox.seq > position.seq"
        f" ORDER BY outbox.seq LIMIT 1) AS oldest FROM position WHERE channel IN ({marks})"
        " ORDER BY receiver, channel",
        channels,
    )
    return [
        Undelivered(row["receiver"], row["channel"], None if row["oldest"] is None else Micros(row["oldest"]))
        for row in found
    ]
