"""Everything that leaves the gateway, as bytes: a proxy before the partners, sessions that keep answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from aiohttp import web

_ACTION: Final = re.compile(rb"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)")
_CORRELATION: Final = re.compile(rb"<(?:[\w-]+:)?correlation_id>([0-9a-f-]{36})<")
_DROPPED: Final = {"host", "content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True, slots=True)
class Item:
    """Bytes that somebody got, and where."""

    #: partner, answer, webhook, queue, operator, command, log, metrics.
    channel: str
    receiver: str
    what: str
    body: bytes
    #: The message that a partner was called for.
    message_id: str = ""


@dataclass(slots=True)
class Capture:
    """All of it, in the order in which it was seen."""

    items: list[Item] = field(default_factory=list)
    #: What partners answered, to learn what they say of their own.
    replies: list[Item] = field(default_factory=list)

    def add(self, channel: str, receiver: str, what: str, body: bytes, message_id: str = "") -> None:
        self.items.append(Item(channel, receiver, what, body, message_id))

    def of(self, channel: str) -> list[Item]:
        return [item for item in self.items if item.channel == channel]


@asynccontextmanager
async def recording_proxy(
    partners: str, capture: Capture, learn: Callable[[Item], None]
) -> AsyncIterator[str]:
    """Passes every call on to the partners, byte for byte, and their answers back; yields its URL."""
    async with AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=30)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(trust_env=False, auto_decompress=False, timeout=timeout)
        )

        async def passed(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
            destination = request.path.split("/")[1]
            lines = "\r\n".join(f"{name}: {value}" for name, value in request.headers.items())
            action, message_id = _named(request, body)
            whole = f"{request.method} {request.path_qs}\r\n{lines}\r\n\r\n".encode() + body
            capture.add("partner", destination, action, whole, message_id)
            try:
                async with session.request(
                    request.method, partners + request.path_qs, data=body, headers=headers
                ) as reply:
                    content = await reply.read()
                    # Before the gateway has it: nothing that follows from it may come first.
                    item = Item("reply", destination, action, content, message_id)
                    capture.replies.append(item)
                    learn(item)
                    return web.Response(
                        status=reply.status,
                        body=content,
                        headers={"Content-Type": reply.headers.get("Content-Type", "text/plain")},
                    )
            except (aiohttp.ClientError, TimeoutError):
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=502)

        app = web.Application(client_max_size=64_000_000)
        app.add_routes([web.route("*", "/{path:.*}", passed)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"


def _named(request: web.Request, body: bytes) -> tuple[str, str]:
    """The action of a call, and the message that it is made for."""
    if found := _ACTION.search(body):
        correlation = _CORRELATION.search(body)
        return found[1].decode(), correlation[1].decode() if correlation else ""
    return request.path, request.headers.get("Idempotency-Key", "").split("/")[0]


def recording_session(url: str, receiver: str, channel: str, capture: Capture) -> aiohttp.ClientSession:
    """A client session that keeps every answer it reads, whole."""
    trace = aiohttp.TraceConfig()

    async def read(_: aiohttp.ClientSession, __: SimpleNamespace, params: Any) -> None:
        capture.add(channel, receiver, params.url.path_qs, params.chunk)

    async def heads(_: aiohttp.ClientSession, __: SimpleNamespace, params: Any) -> None:
        headers = "\r\n".join(f"{name}: {value}" for name, value in params.response.headers.items())
        capture.add(channel, receiver, f"{params.url.path_qs} (headers)", headers.encode())

    trace.on_response_chunk_received.append(read)
    trace.on_request_end.append(heads)
    # Each party has a session of its own, often idle: never one that the gateway is about to close.
    connector = aiohttp.TCPConnector(force_close=True)
    return aiohttp.ClientSession(url, trust_env=False, trace_configs=[trace], connector=connector)


@dataclass(slots=True)
class Hook:
    """A center's side of its webhook."""

    capture: Capture
    receiver: str
    url: str = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Hook]:
        async def take(request: web.Request) -> web.Response:
            lines = "\r\n".join(f"{name}: {value}" for name, value in request.headers.items())
            self.capture.add(
                "webhook", self.receiver, "notice", lines.encode() + b"\r\n\r\n" + await request.read()
            )
            return web.Response(status=204)

        app = web.Application()
        app.add_routes([web.post("/hook", take)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            yield self
        finally:
            await runner.cleanup()
