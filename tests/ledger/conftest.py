"""The contract suite runs on every backend; a backend says here what opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ledger.port import Ledger
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sqlite.ledger import SqliteLedger
from tests.doubles import ManualClock
from tests.ledger.records import REFERENCE
from tests.postgresql import postgresql_server

__all__ = ["postgresql_server"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


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
