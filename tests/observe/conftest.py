from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.observe import tracing
from gateway.observe.spans import Spans
from tests.pipeline.world import open_world
from tests.web.site import Site, open_site


@pytest.fixture
def kept() -> Iterator[InMemorySpanExporter]:
    """Traces are on, and spans stay in memory."""
    exporter = InMemorySpanExporter()
    tracing.use(Spans(SimpleSpanProcessor(exporter)))
    yield exporter
    tracing.stop()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    world = await open_world(tmp_path)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        opened = await open_site(world, tmp_path, session)
        yield opened
        await opened.host.stop()
    await world.engine.ledger.close()
