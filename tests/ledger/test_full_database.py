"""A PostgreSQL server that can't write: what it does not take is refused at once, and never in doubt."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from psycopg import errors

from gateway.errors import Unavailable
from gateway.ledger.postgresql.connection import Connection
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.postgresql.writer import PostgresWriter
from gateway.values import replace
from tests import postgresql
from tests.doubles import ManualClock
from tests.faults.disks import SmallDisk, small_server
from tests.ledger.records import REFERENCE, accepted_batch, line, now, opening, rejected


@pytest.fixture
async def ledger(postgresql_server: postgresql.Server, clock: ManualClock) -> AsyncIterator[PostgresLedger]:
    opened = PostgresLedger(postgresql_server.emptied(), clock, by_database_time=False)
    await opened.open()
    await opened.put_reference(REFERENCE)
    yield opened
    await opened.close()


@pytest.fixture
def small(postgresql_server: postgresql.Server) -> Iterator[tuple[postgresql.Server, SmallDisk]]:
    """A server on a small disk."""
    del postgresql_server  # skips where there is no PostgreSQL
    with small_server(90) as (server, disk):
        yield server, disk


async def test_a_database_that_takes_nothing_more_refuses_at_once_and_recovers_on_the_same_connection(
    small: tuple[postgresql.Server, SmallDisk], clock: ManualClock
) -> None:
    told: list[float] = []
    server, disk = small
    ledger = PostgresLedger(server.emptied(), clock, by_database_time=False)
    await ledger.open()
    ledger.when_refused(lambda: told.append(time.monotonic()))
    await ledger.put_reference(REFERENCE)
    batch = await accepted_batch(ledger, clock, 20, "before")
    await asyncio.to_thread(disk.fill)
    with pytest.raises(Unavailable, match="ledger_unavailable"):
        await _more_than_fits(ledger, clock)
    assert told
    disk.free()
    await ledger.probe()
    again = await accepted_batch(ledger, clock, 20, "after")
    for accepted in (batch, again):
        assert len(await ledger.lines(accepted.batch_id, after_line=0, limit=100)) == 20
    await ledger.close()


async def _more_than_fits(ledger: PostgresLedger, clock: ManualClock) -> None:
    half = opening(clock, "half")
    await ledger.begin_batch(half)
    for number in range(200):
        await _large(ledger, half, clock, number)


async def _large(ledger: PostgresLedger, batch: Any, clock: ManualClock, number: int) -> None:
    made = replace(line(batch, number, clock), sealed_payload=os.urandom(500_000))
    await ledger.add_lines(
        batch.batch_id, batch.intake_token, [made], rejected, intake_until=now(clock, s=60)
    )


async def test_a_database_that_became_read_only_refuses_and_nothing_else(ledger: PostgresLedger) -> None:
    told: list[bool] = []
    ledger.when_refused(lambda: told.append(True))
    writer = ledger._postgres._connection
    assert writer is not None
    await ledger.probe()
    writer.execute("SET default_transaction_read_only = on")
    with pytest.raises(Unavailable, match="ledger_unavailable"):
        await ledger.probe()
    assert told == [True]
    assert not await ledger.ready()
    writer.execute("SET default_transaction_read_only = off")
    await ledger.probe()


async def test_a_commit_that_the_server_refused_is_not_in_doubt(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has answered: nobody is asked what became of it, which may fail for the same reason for hours."""
    plain = Connection.execute

    def refusing(self: Connection, sql: str, values: Any = ()) -> Any:
        if sql == "COMMIT":
            plain(self, "ROLLBACK")
            raise errors.DiskFull
        return plain(self, sql, values)

    def asked(self: PostgresWriter, key: str) -> bool:
        raise AssertionError(key)

    monkeypatch.setattr(PostgresWriter, "_was_committed", asked)
    monkeypatch.setattr(Connection, "execute", refusing)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="ledger_unavailable"):
        await ledger.probe()
    assert time.monotonic() - began < 1.0
    monkeypatch.undo()
    await ledger.probe()


async def test_the_size_is_told_and_the_disk_of_another_machine_is_not_known(ledger: PostgresLedger) -> None:
    assert await ledger.free_bytes() is None
    assert await ledger.size_bytes() > 1_000_000
