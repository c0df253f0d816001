"""A center's side of a webhook: a real server that answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.message import PartyId
from gateway.pipeline.engine import Engine
from gateway.settings.parties import Webhook
from gateway.values import replace
from gateway.webhooks.address import GuardedClient, Resolve, system_addresses
from gateway.webhooks.courier import Courier
from tests.flows.office import CENTER

SECRET = b"0123456789abcdef0123456789abcdef"


@dataclass
class Receiver:
    """`answers` are statuses, one a notice; the last one for ever."""

    answers: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    #: Done before it answers.
    during: Callable[[], Awaitable[None]] | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def cursors(self) -> list[int]:
        return [int(notice["data"]["cursor"]) for notice in self.notices]

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((request.headers.copy(), await request.read()))
        self.arrived.set()
        if self.during is not None:
            await self.during()
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, headers=self.headers)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    await runner.cleanup()


def telling(engine: Engine, url: str, *, party: PartyId = CENTER, allow_private: bool = True) -> Engine:
    """The engine, with a webhook of that party."""
    webhook = Webhook(url=url, allow_private=allow_private)
    parties = tuple(
        each.model_copy(update={"webhook": webhook}) if each.id == party else each
        for each in engine.settings.parties
    )
    return replace(engine, settings=engine.settings.model_copy(update={"parties": parties}))


@asynccontextmanager
async def courier(
    engine: Engine,
    url: str,
    *,
    allow_private: bool = True,
    resolve: Resolve = system_addresses,
    secrets: tuple[bytes, ...] = (SECRET,),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Courier]:
    """What delivers to that address, a round at a time."""
    engine = telling(engine, url, allow_private=allow_private)
    client = GuardedClient(engine.clock, idle_s=15, resolve=resolve, allow_private=allow_private, tls=tls)
    await client.start()
    webhook = Webhook(url=url, allow_private=allow_private)
    yield Courier(engine, CENTER, webhook, secrets, client, lambda: False)
    await client.close()
