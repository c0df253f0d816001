"""A gateway that runs in this process, asked for its metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.inventory import Inventory, inventory
from tests.pipeline.world import open_world
from tests.web.site import open_site


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Inventory]:
    """What a gateway exports: the families of its registry, and what a scrape of it shows."""
    world = await open_world(tmp_path)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        site = await open_site(world, tmp_path, session)
        await site.submit()
        await world.carry_until_rest()
        scrape = await site.get("/metrics", admin=True, token="")
        yield inventory(world.engine.metrics.registry, scrape.body.decode())
        await site.host.stop()
    await world.engine.ledger.close()
