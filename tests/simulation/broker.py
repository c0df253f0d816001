"""What carries hints between processes and notices to centers: it loses some, and says others twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

from gateway.errors import Unavailable, Uncertain
from gateway.http.connection import HttpReply
from gateway.message import PartyId
from gateway.pipeline.hints import Hints
from gateway.settings.parties import Webhook
from tests.simulation.loop import VirtualLoop

CENTERS: Final = (PartyId("sc-01"), PartyId("sc-02"))
#: Of these centers one wants to be told; the other asks.
WEBHOOKS: Final = {CENTERS[0]: Webhook(url="https://center.example/notices")}


class LossyHints:
    """See `gateway.ports.WorkHints`. A hint reaches this process, others, nobody, or comes again later."""

    def __init__(self, loop: VirtualLoop, random: Random, others: Callable[[], Sequence[LossyHints]]) -> None:
        self._own = Hints()
        self._loop = loop
        self._random = random
        self._others = others

    def notify(self, count: int = 1, ids: Sequence[str] = ()) -> None:
        chance = self._random.random()
        if chance < 0.2:
            return
        self._own.notify(count)
        if chance > 0.6:
            for other in self._others():
                self._loop.call_later(self._random.random(), other.hear, count)

    def hear(self, count: int) -> None:
        self._own.notify(count)

    async def wait(self, timeout_s: float) -> None:
        await self._own.wait(timeout_s)


class Receivers:
    """The centers' own servers, which take notices."""

    def __init__(self, random: Random, roughness: Callable[[], float], noted: Callable[..., None]) -> None:
        self._random = random
        self._roughness = roughness
        self._noted = noted
        #: By center: ids of notices, in the order in which they came.
        self.taken: dict[PartyId, list[str]] = {party: [] for party in WEBHOOKS}

    def client(self, party: PartyId) -> Client:
        return Client(party, self)

    async def post(self, party: PartyId, headers: Mapping[str, str], body: bytes) -> HttpReply:
        await asyncio.sleep(self._random.random() * 0.05)
        chance = self._random.random() if self._random.random() < self._roughness() else 1.0
        if chance < 0.3:
            raise Unavailable("not_connected")
        if chance < 0.5:
            return HttpReply(503, {}, b"")
        self.taken[party].append(headers["webhook-id"])
        self._noted("notice", party, headers["webhook-id"], json.loads(body)["data"].get("kind"))
        await asyncio.sleep(self._random.random() * 0.05)
        if chance < 0.8:
            raise Uncertain("connection_lost")
        return HttpReply(204, {}, b"")


class Client:
    """As much of `gateway.http.HttpClient` as the courier needs."""

    def __init__(self, party: PartyId, receivers: Receivers) -> None:
        self._party = party
        self._receivers = receivers

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, **_: Any) -> HttpReply:
        return await self._receivers.post(self._party, headers, body)
