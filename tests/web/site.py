"""A gateway that listens: the real host on free ports, the real ledger, tokens that are really signed."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from adapters.service_centers import MEDIA_TYPES
from adapters.service_centers.sample import sample_batch, write_batch
from cli.bootstrap import FORMATS
from gateway.settings import Settings
from gateway.values import replace
from gateway.web.authentication import PartyKeys
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens, ensure_operator_tokens, operators_directory
from gateway.web.tokens import demo_key_path, ensure_demo_keys, sign_token
from schemas.kinds.xml_layout import to_xml
from tests.pipeline.world import World

CSV, JSON, NDJSON, XML = (MEDIA_TYPES[name] for name in ("csv", "json", "ndjson", "xml"))


@dataclass
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        assert self.headers["Content-Type"].startswith("application/problem+json")
        return str(self.json["code"])


@dataclass
class Site:
    """The host under test and how to call it."""

    world: World
    data: Path
    host: WebHost
    session: aiohttp.ClientSession

    def token(self, party: str = "sc-01", lifetime_s: int = 300) -> str:
        now = self.world.clock.now()
        return sign_token(demo_key_path(self.data, party), party, "umrah-gateway", lifetime_s, now)

    def operator_token(self, name: str = "operator-1") -> str:
        return (operators_directory(self.data) / f"{name}.token").read_text().strip()

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        admin: bool = False,
    ) -> Answer:
        """One request; `token` "" sends none, None a fresh one of sc-01 (operator-1 on the admin side)."""
        chosen = (self.operator_token() if admin else self.token()) if token is None else token
        sent = {**({"Authorization": f"Bearer {chosen}"} if chosen else {}), **(headers or {})}
        url = (self.host.admin_url if admin else self.host.public_url) + path
        async with self.session.request(method, url, headers=sent, data=data) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        return await self.call("POST", path, **options)

    async def admin_post(self, path: str, document: Any, *, operator: str = "operator-1") -> Answer:
        return await self.call(
            "POST",
            path,
            admin=True,
            token=self.operator_token(operator),
            headers={"Content-Type": JSON},
            data=json.dumps(document).encode(),
        )

    def batch(
        self, applications: int | list[dict[str, Any]] = 1, media: str = NDJSON, seed: int = 7
    ) -> bytes:
        """A valid batch of sc-01 in that format."""
        name = next(name for name, known in MEDIA_TYPES.items() if known == media)
        count = applications if isinstance(applications, int) else 1
        header, lines = sample_batch(count, seed, self.world.clock.today(), clean=True)
        out = io.BytesIO()
        write_batch(name, header, lines if isinstance(applications, int) else applications, out)
        return out.getvalue()

    async def submit(
        self,
        body: Any = None,
        *,
        key: str = "key-1",
        media: str = NDJSON,
        query: str = "",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"Content-Type": media, "Idempotency-Key": key, **(headers or {})}
        data = self.batch(media=media) if body is None else body
        return await self.post(f"/v1/batches{query}", token=token, headers=sent, data=data)

    async def message(
        self,
        kind: str,
        body: Any,
        *,
        party: str = "sc-01",
        token: str | None = None,
        media: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One message; a mapping is written as the media type says, bytes go as they are."""
        sent = {"Content-Type": media, **(headers or {})}
        data = written(kind, body, media) if isinstance(body, Mapping) else body
        path = f"/v1/messages/{kind}"
        return await self.post(path, token=token or self.token(party), headers=sent, data=data)

    async def raw(self, data: bytes, *, admin: bool = False, wait_s: float = 2.0) -> bytes:
        """Bytes sent as they are over a fresh connection, and all that comes back until it is closed."""
        reader, writer = await self.connect(admin=admin)
        writer.write(data)
        async with asyncio.timeout(wait_s):
            answer = await reader.read()
        writer.close()
        return answer

    async def connect(self, *, admin: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = urlsplit(self.host.admin_url if admin else self.host.public_url)
        return await asyncio.open_connection(url.hostname, url.port)


def written(kind: str, body: Mapping[str, Any], media: str = JSON) -> bytes:
    """A message's body in that format."""
    return (to_xml(kind, body) if media == XML else json.dumps(body, ensure_ascii=False)).encode()


def with_free_ports(settings: Settings, **intake: Any) -> Settings:
    """The shipped settings on free ports, with other limits of intake."""
    shipped = settings.gateway
    free = {
        name: listener.model_copy(update={"port": 0})
        for name, listener in (("public", shipped.listeners.public), ("admin", shipped.listeners.admin))
    }
    gateway = shipped.model_copy(
        update={
            "listeners": shipped.listeners.model_copy(update=free),
            "intake": shipped.intake.model_copy(update=intake),
        }
    )
    return settings.model_copy(update={"gateway": gateway})


async def open_site(world: World, data: Path, session: aiohttp.ClientSession, **intake: Any) -> Site:
    world.engine = replace(world.engine, settings=with_free_ports(world.engine.settings, **intake))
    settings = world.engine.settings
    ensure_demo_keys(settings, data)
    ensure_operator_tokens(data)
    keys = PartyKeys.load(settings, data)
    host = WebHost(world.engine, FORMATS, keys, OperatorTokens.load(data), grace_s=1.0)
    await host.start()
    return Site(world, data, host, session)
