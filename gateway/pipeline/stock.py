"""What the gateway holds, read for each scrape (`gateway.observe.stock`)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from typing import Final

from gateway.flows.capacity import missions
from gateway.flows.visas import CAPACITY, capacity_quota
from gateway.ledger.books import Books, Quota
from gateway.observe.stock import Ceiling, Room, Stock
from gateway.pipeline.engine import Engine
from gateway.pipeline.webhook_positions import CHANNEL as WEBHOOK

#: Of the outbox: how the ministry's queues and the centers' webhooks are told.
CHANNELS: Final = ("bus", WEBHOOK)


async def stock_of(engine: Engine) -> Stock:
    """Raises `Unavailable` when the ledger can't be read."""
    ledger = engine.ledger
    return Stock(
        ceilings=await ledger.look(_ceilings),
        batches=[(b.state, b.count, b.oldest_at / 1_000_000) for b in await ledger.open_batches()],
        undelivered=[
            (u.receiver, u.channel, None if u.oldest_at is None else u.oldest_at / 1_000_000)
            for u in await ledger.undelivered(CHANNELS)
        ],
        room=await asyncio.to_thread(_room, engine.settings.gateway.data_directory),
    )


def _ceilings(books: Books) -> Sequence[Ceiling]:
    """Of missions that published a capacity and have a window open today."""
    found = ((mission, capacity_quota(mission, books)) for mission in missions(books))
    places = [(mission, books.quota(place)) for mission, place in found if isinstance(place, Quota)]
    return [(CAPACITY, mission, state.ceiling, state.free) for mission, state in places if state is not None]


def _room(directory: str) -> Room | None:
    try:
        usage = shutil.disk_usage(directory)
    except OSError:
        return None
    return Room(size=usage.total, free=usage.free)
