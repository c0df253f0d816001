"""What the leader among an installation's processes does beside carrying (`gateway.pipeline.leadership`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.bus.bus import Bus
from gateway.message import PartyId
from gateway.pipeline.day import turn_days
from gateway.pipeline.engine import Engine
from gateway.pipeline.upkeep import keep_up
from gateway.webhooks import Webhooks


@dataclass(slots=True)
class LeadersWork:
    """The ministry's network, webhooks, the business day, keys: begun and ended as a whole."""

    in_force: Callable[[], Engine]
    webhooks: Webhooks
    #: None without a broker.
    bus: Bus | None
    _tasks: tuple[asyncio.Task[None], ...] = field(default=(), init=False)

    async def begin(self) -> None:
        """Returns once everything is under way; nothing waits for the broker."""
        await self.webhooks.start()
        if self.bus is not None:
            await self.bus.start()
        beside = (turn_days(self.in_force), keep_up(self.in_force))
        self._tasks = tuple(asyncio.create_task(each) for each in beside)

    async def end(self) -> None:
        """Let what is under way end, each within its deadline. Safe to call again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = ()
        await self.webhooks.drain()
        if self.bus is not None:
            await self.bus.stop()

    async def use(self, engine: Engine, secrets: Mapping[PartyId, tuple[bytes, ...]]) -> None:
        """Go on under another configuration."""
        await self.webhooks.use(engine, secrets)
