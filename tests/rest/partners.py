"""What the tests of REST partners share: a small service, and a partner that calls a real local server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from gateway.clock import SystemClock
from gateway.errors import Unavailable, Uncertain
from gateway.http import HttpClient
from gateway.message import (
    Answered,
    AttemptEnd,
    CallContext,
    Exchange,
    NotDone,
    Operation,
    Projection,
    Unknown,
)
from gateway.rest import Endpoint, Message, RestAction, RestPartner, RestService
from tests.soap.partners import context


class Question(Message):
    """Are they open?"""

    who: str
    how_many: int | None = None


class Opening(Message):
    """They are, or not."""

    status: Literal["OPEN", "SHUT"]
    note: str | None = None


SERVICE = RestService(
    party="shop",
    base_path="/v1",
    actions={"Ask": RestAction("/openings/ask", Question, Opening)},
    definite_errors=frozenset({"SERVICE_CLOSED", "TOO_MANY_REQUESTS"}),
)

ASK = Operation(
    name="shop.opening",
    destination="shop",
    repeatable=True,
    needs=frozenset({"who"}),
    call=Exchange("Ask", lambda body, _: {"who": body["who"]}, lambda values, _: Answered(values)),
)


#: The headers of a request, by name in lower case, and its body.
Sent = tuple[Mapping[str, str], bytes]


@asynccontextmanager
async def answering(answer: Callable[[Mapping[str, str]], bytes]) -> AsyncIterator[tuple[str, list[Sent]]]:
    """A TCP server that answers each request with these bytes; yields its URL and what it was sent."""
    sent: list[Sent] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            headers = {name.lower(): value for name, value in headers.items()} | {":start": lines[0]}
            sent.append((headers, await reader.readexactly(int(headers["content-length"]))))
            writer.write(answer(headers))
            await writer.drain()
        except ConnectionError:
            pass  # the client has gone: that is what some of the tests are about
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", sent
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def partner(
    service: RestService,
    url: str,
    *,
    deadline_s: float = 2.0,
    max_reply_bytes: int = 65_536,
) -> AsyncIterator[RestPartner]:
    """A started partner."""
    endpoint = Endpoint(url, deadline_s, min(1.0, deadline_s), max_reply_bytes)
    started = RestPartner(service, endpoint, HttpClient(SystemClock(), idle_s=5))
    await started.start()
    try:
        yield started
    finally:
        await started.close()


async def attempt(
    through: RestPartner,
    operation: Operation = ASK,
    body: Mapping[str, Any] | None = None,
    call_context: CallContext | None = None,
    *,
    send_within_s: float = 5.0,
) -> AttemptEnd:
    """What the pipeline makes of one attempt."""
    exchange, call_context = operation.call, call_context or context()
    values = exchange.request(Projection({"who": "me"} if body is None else body), call_context)
    request = through.prepare(exchange.action, values, call_context)
    send_by = SystemClock().boottime_s() + send_within_s
    try:
        return exchange.reply(await through.send(request, send_by_boottime_s=send_by), call_context)
    except Unavailable as error:
        return NotDone(error.code)
    except Uncertain as error:
        return Unknown(error.code, error.answered)
