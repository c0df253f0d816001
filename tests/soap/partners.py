"""What the tests of SOAP partners share: a real local server, a partner that calls it, one application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from gateway.clock import SystemClock
from gateway.errors import Unavailable, Uncertain
from gateway.http import HttpClient
from gateway.message import (
    AttemptEnd,
    BatchFacts,
    CallContext,
    Exchange,
    MessageId,
    NotDone,
    Operation,
    Projection,
    Unknown,
)
from gateway.soap import Endpoint, SoapPartner, SoapService, load_contract

MESSAGE = MessageId("0199c0de-0000-7000-8000-000000000001")

#: Every path that an operation of ours may be granted.
APPLICATION: Mapping[str, Any] = {
    "visa_type": "umrah",
    "passport.number": "C4412345",
    "passport.type": "P",
    "passport.issuing_state": "IDN",
    "passport.issue_date": "2023-04-01",
    "passport.expiry_date": "2033-04-01",
    "name.given": "Siti",
    "name.father": None,
    "name.grandfather": None,
    "name.family": "Rahmawati",
    "name_ar.given": "سيتي",
    "name_ar.father": None,
    "name_ar.grandfather": None,
    "name_ar.family": "رحمواتي",
    "birth_date": "1990-02-28",
    "birth_country": "IDN",
    "nationality": "IDN",
    "sex": "F",
    "travel.arrival_date": "2026-12-20",
    "travel.departure_date": "2026-12-30",
    "travel.entry_port": "JED",
    "batch.mission_id": "MSN-IDN-JKT",
    "batch.group_number": "GRP-4001",
}


def application(**changes: Any) -> Projection:
    """A projection of one application; `passport__number="…"` changes `passport.number`."""
    changed = {path.replace("__", "."): value for path, value in changes.items()}
    return Projection({**APPLICATION, **changed})


def context(
    reference: str = f"{MESSAGE}/visa_issuance",
    *,
    partner_reference: str | None = None,
    earlier: Mapping[str, Mapping[str, Any]] | None = None,
) -> CallContext:
    return CallContext(
        message_id=MESSAGE,
        request_reference=reference,
        batch=BatchFacts("B-1", "LIC-1001", "AGT-2001", "MSN-IDN-JKT", 1448, group_number="GRP-4001"),
        partner_reference=partner_reference,
        earlier=earlier or {},
    )


@asynccontextmanager
async def serving(routes: list[web.RouteDef]) -> AsyncIterator[str]:
    """An aiohttp server on a free port; yields its base URL."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(
    respond: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A TCP server that reads one request (its body is given) and writes whatever `respond` does."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await respond(await reader.readexactly(size), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone: that is what some of the tests are about
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def partner(
    service: SoapService,
    url: str,
    *,
    deadline_s: float = 2.0,
    max_reply_bytes: int = 262_144,
) -> AsyncIterator[SoapPartner]:
    """A started partner."""
    clock = SystemClock()
    endpoint = Endpoint(url, deadline_s, min(1.0, deadline_s), max_reply_bytes)
    started = SoapPartner(load_contract(service), endpoint, HttpClient(clock, idle_s=5), clock)
    await started.start()
    try:
        yield started
    finally:
        await started.close()


async def attempt(
    through: SoapPartner,
    operation: Operation,
    exchange: Exchange | None = None,
    *,
    projection: Projection | None = None,
    call_context: CallContext | None = None,
    send_within_s: float = 5.0,
) -> AttemptEnd:
    """What the pipeline makes of one attempt."""
    exchange, call_context = exchange or operation.call, call_context or context()
    values = exchange.request(projection or application(), call_context)
    request = through.prepare(exchange.action, values, call_context)
    send_by = SystemClock().boottime_s() + send_within_s
    try:
        return exchange.reply(await through.send(request, send_by_boottime_s=send_by), call_context)
    except Unavailable as error:
        return NotDone(error.code)
    except Uncertain as error:
        return Unknown(error.code)
