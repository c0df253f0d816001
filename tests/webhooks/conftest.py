from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flows.office import World, open_office
from tests.webhooks.receiver import Receiver, receiving


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    opened = await open_office(tmp_path)
    yield opened
    await opened.engine.ledger.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened
