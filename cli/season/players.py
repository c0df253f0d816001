"""The parties of the season, each a client of the gateway with its own credential."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from gateway.web.tokens import demo_key_path, sign_token

_LIFE_S = 240
_AT_ONCE = 2


class Unexpected(RuntimeError):
    """The gateway answered something that the season's script did not expect."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Mapping[str, Any]

    @property
    def code(self) -> str | None:
        return self.body.get("code")


class Office(Protocol):
    """A department or the committee, over HTTP or over the ministry's broker."""

    @property
    def id(self) -> str: ...

    async def send(self, kind: str, /, **fields: Any) -> Answer:
        """One message. Raises `Unexpected` unless it is taken."""

    async def notifications(self) -> list[dict[str, Any]]:
        """Everything that was meant for it since it read last: `kind` and `data`."""

    async def get(self, path: str) -> Any:
        """A document."""


@dataclass(frozen=True, slots=True)
class Party:
    """A center, a department or the committee, over HTTP."""

    session: aiohttp.ClientSession
    id: str
    data: Path
    #: The gateway takes only a few of one party at the same time.
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), repr=False)

    async def send(self, kind: str, /, **fields: Any) -> Answer:
        """One message. Raises `Unexpected` unless it is taken."""
        answer = await self.try_to_send(kind, **fields)
        if answer.status not in (200, 202):
            raise Unexpected(f"{self.id} {kind}: {answer.status} {json.dumps(dict(answer.body))[:600]}")
        return answer

    async def try_to_send(self, kind: str, /, **fields: Any) -> Answer:
        """One message, whatever the answer."""
        body = {name: value for name, value in fields.items() if value is not None}
        url = f"/v1/messages/{kind}"
        async with self._turns, self.session.post(url, json=body, headers=self._proof()) as reply:
            return Answer(reply.status, await reply.json())

    async def submit(self, header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> Answer:
        """A batch, whatever the answer."""
        text = b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in (header, *lines))
        headers = {
            **self._proof(),
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": str(header["batch_reference"]),
        }
        async with self._turns, self.session.post("/v1/batches", data=text, headers=headers) as reply:
            return Answer(reply.status, await reply.json())

    async def get(self, path: str) -> Any:
        """A document."""
        async with self.session.get(path, headers=self._proof()) as reply:
            if reply.status != 200:
                raise Unexpected(f"{self.id} GET {path}: {reply.status}")
            return await reply.json()

    async def post(self, path: str) -> Answer:
        """Something to be done."""
        async with self.session.post(path, headers=self._proof()) as reply:
            return Answer(reply.status, await reply.json())

    async def notifications(self) -> list[dict[str, Any]]:
        """Everything meant for it, page by page, confirmed as it goes."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.get("/v1/notifications?limit=1000")
            found += page["notifications"]
            await self.post(f"/v1/notifications/confirm?cursor={page['cursor']}")
            if not page["more"]:
                return found

    def _proof(self) -> dict[str, str]:
        key = demo_key_path(self.data, self.id)
        return {
            "Authorization": f"Bearer {sign_token(key, self.id, 'umrah-gateway', _LIFE_S, datetime.now(UTC))}"
        }


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever watches the gateway."""

    session: aiohttp.ClientSession
    token: str

    async def get(self, path: str) -> Any:
        async with self.session.get(path, headers=self._proof()) as reply:
            if reply.status != 200:
                raise Unexpected(f"operator GET {path}: {reply.status} {(await reply.text())[:300]}")
            return await reply.json()

    async def census(self) -> list[dict[str, Any]]:
        """Everything that passed through, by sort."""
        found: list[dict[str, Any]] = (await self.get("/v1/admin/census"))["census"]
        return found

    async def put(self, path: str, document: Any) -> Any:
        async with self.session.put(path, json=document, headers=self._proof()) as reply:
            if reply.status != 200:
                raise Unexpected(f"operator PUT {path}: {reply.status} {(await reply.text())[:300]}")
            return await reply.json()

    def _proof(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}
