"""The contract suite runs on every backend; a backend says here what opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ledger.port import Ledger
from gateway.ledger.sqlite.ledger import SqliteLedger
from tests.doubles import ManualClock
from tests.ledger.records import REFERENCE


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    opened = {"sqlite": lambda: SqliteLedger(tmp_path / "ledger.db", clock)}[request.param]()
    await opened.open()
    await opened.put_reference(REFERENCE)
    yield opened
    await opened.close()
