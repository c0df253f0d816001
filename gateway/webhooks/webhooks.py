"""All webhooks of a gateway: a loop a party, started and drained with it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

from gateway.http import HttpClient
from gateway.message import PartyId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.webhook_positions import webhooks
from gateway.settings.parties import Webhook
from gateway.webhooks.address import GuardedClient, Resolve, system_addresses
from gateway.webhooks.courier import Courier

_IDLE_S: Final = 15.0
#: How soon an event is told of, at most; also how often a receiver that failed is looked at.
_PAUSE_S: Final = 1.0

Secrets = Mapping[PartyId, tuple[bytes, ...]]


class Webhooks:
    """Nothing runs before `start`. `secrets` are those of the engine's settings (`load_webhook_secrets`)."""

    def __init__(
        self,
        engine: Engine,
        secrets: Secrets,
        *,
        pause_s: float = _PAUSE_S,
        resolve: Resolve = system_addresses,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._engine = engine
        self._secrets = secrets
        self._pause_s = pause_s
        self._resolve = resolve
        self._tls = tls
        self._draining = asyncio.Event()
        self._delivering = False
        #: Starts, drains and switches happen one after the other.
        self._changing = asyncio.Lock()
        self._clients: list[HttpClient] = []
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to deliver, each party from where it stands."""
        async with self._changing:
            await self._start()

    async def drain(self) -> None:
        """Let the notices under way end, each within its deadline. Safe to call twice."""
        # Without the lock: a switch under way, too, ends the sooner.
        self._draining.set()
        async with self._changing:
            await self._drain()

    async def use(self, engine: Engine, secrets: Secrets) -> None:
        """Go on under another configuration, once what is under way has ended under this one.

        Where nothing is delivered, because another process does, it is what `start` will begin with.
        """
        async with self._changing:
            delivering = self._delivering
            await self._drain()
            self._engine, self._secrets = engine, secrets
            if delivering:
                await self._start()

    async def _start(self) -> None:
        self._draining.clear()
        self._delivering = True
        for party, webhook in webhooks(self._engine):
            client = self._client(webhook)
            await client.start()
            self._clients.append(client)
            courier = Courier(
                self._engine, party, webhook, self._secrets[party], client, self._draining.is_set
            )
            self._loops.append(asyncio.create_task(self._deliver(courier)))

    async def _drain(self) -> None:
        self._draining.set()
        if self._loops:
            await asyncio.wait(self._loops)
        for client in self._clients:
            await client.close()
        self._loops, self._clients = [], []
        self._delivering = False

    def _client(self, webhook: Webhook) -> HttpClient:
        return GuardedClient(
            self._engine.clock,
            idle_s=_IDLE_S,
            resolve=self._resolve,
            allow_private=webhook.allow_private,
            tls=self._tls,
        )

    async def _deliver(self, courier: Courier) -> None:
        while not self._draining.is_set():
            try:
                await courier.round()
            except Exception:  # the next round may well succeed; nothing is lost meanwhile
                log.exception("webhook_stopped", action="webhook_round_failed", party=courier.party)
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._pause_s):
                await self._draining.wait()
        except TimeoutError:
            return
