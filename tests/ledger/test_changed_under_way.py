"""A newer version changes a table while older processes have statements of it prepared."""

from __future__ import annotations

import asyncio

import psycopg

from gateway.ledger.postgresql.ledger import PostgresLedger
from tests.doubles import ManualClock
from tests.ledger.records import accepted_batch, claim, opening
from tests.postgresql import Server

#: psycopg prepares a statement that it has seen so often.
_OFTEN = 12


async def test_older_processes_go_on_when_a_column_is_added(
    postgresql_server: Server, clock: ManualClock
) -> None:
    url = postgresql_server.emptied()
    ledger = PostgresLedger(url, clock)
    await ledger.open()
    try:
        batch = await accepted_batch(ledger, clock, 2)
        for number in range(_OFTEN):
            await asyncio.gather(*(ledger.batch(batch.batch_id) for _ in range(4)))
            await ledger.begin_batch(opening(clock, key=f"k{number}"))
        async with await psycopg.AsyncConnection.connect(postgresql_server.url, autocommit=True) as newer:
            await newer.execute("ALTER TABLE batch ADD COLUMN next_version INTEGER")
            await newer.execute("ALTER TABLE message ADD COLUMN next_version INTEGER")
        found = await asyncio.gather(*(ledger.batch(batch.batch_id) for _ in range(4)))
        assert [row is not None and row.state for row in found] == ["processing"] * 4
        await ledger.begin_batch(opening(clock, key="k0"))
        assert len(await claim(ledger, clock)) == 2
    finally:
        await ledger.close()
