"""The contract suite runs on every backend; a backend says here what opens it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.ledger.port import Ledger
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sqlite.ledger import SqliteLedger
from tests import postgresql
from tests.doubles import ManualClock
from tests.ledger.records import REFERENCE


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    if not postgresql.available():
        if os.environ.get("GATEWAY_REQUIRE_SERVICES") == "1":
            pytest.fail("PostgreSQL is not installed (make services)")
        pytest.skip("PostgreSQL is not installed (make services)")
    with postgresql.server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    opened: Ledger
    if request.param == "sqlite":
        opened = SqliteLedger(tmp_path / "ledger.db", clock)
    else:
        url = request.getfixturevalue("postgresql_server").emptied()
        opened = PostgresLedger(url, clock, by_database_time=False)
    await opened.open()
    await opened.put_reference(REFERENCE)
    yield opened
    await opened.close()
