from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.ledger.signer_file import FileSigner
from gateway.pipeline.notary import Notary
from gateway.values import replace
from tests.audit.exports import KEYS
from tests.pipeline.world import World, open_world
from tests.postgresql import postgresql_server
from tests.web.site import Site, open_site

__all__ = ["postgresql_server"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A gateway without its edges, whose log is signed; the notary is not started."""
    opened = await open_world(tmp_path)
    engine = opened.engine
    notary = Notary(engine.ledger, FileSigner(tmp_path / KEYS), engine.clock, engine.metrics, interval_s=30)
    opened.engine = replace(engine, notary=notary)
    yield opened
    await notary.stop()
    await engine.ledger.close()


@pytest.fixture
async def site(world: World, tmp_path: Path) -> AsyncIterator[Site]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        opened = await open_site(world, tmp_path, session)
        yield opened
        await opened.host.stop()
