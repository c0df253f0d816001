"""A SOAP service on aiohttp's server: for the stand-ins of partners' systems."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Final

from aiohttp import web

from gateway.soap.contract import Contract
from gateway.soap.publish import published
from gateway.soap.server import Call, SoapAnswer, SoapFault, SoapServer

_POLL_S: Final = 0.1
_SILENCE_POLLS: Final = 600

Handler = Callable[[Call], Awaitable[Mapping[str, Any]]]


class Misbehaviour(Enum):
    """How a partner can fail to answer."""

    #: The connection is cut.
    DROP = "drop"
    #: No answer until the caller goes away, or a minute has passed.
    SILENCE = "silence"


class Instead(Exception):
    """Raised by a handler that answers something other than SOAP, or not at all."""

    def __init__(self, what: web.Response | Misbehaviour) -> None:
        super().__init__()
        self.what = what


def routes(
    path: str, contract: Contract, server: SoapServer, handler: Handler, base_url: str
) -> list[web.RouteDef]:
    """POST for calls, GET for `?wsdl` and the schemas it names. Reads the documents: for start-up."""
    documents = published(contract.service, base_url + path)

    async def call(request: web.Request) -> web.StreamResponse:
        return await _respond(request, server, handler)

    async def document(request: web.Request) -> web.StreamResponse:
        found = documents.get(request.query_string)
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found, content_type="text/xml", charset="utf-8")

    return [web.post(path, call), web.get(path, document)]


async def _respond(request: web.Request, server: SoapServer, handler: Handler) -> web.StreamResponse:
    content_type = request.headers.get("Content-Type", "")
    call = None
    try:
        call = server.receive(content_type, await request.read())
        return _response(server.answer(call, await handler(call)))
    except SoapFault as fault:
        return _response(server.fault(fault, content_type, call))
    except Instead as instead:
        return await _misbehave(request, instead.what)


async def _misbehave(request: web.Request, what: web.Response | Misbehaviour) -> web.StreamResponse:
    if isinstance(what, web.Response):
        return what
    if what is Misbehaviour.SILENCE:
        await _gone(request)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # nobody is there to read it


async def _gone(request: web.Request) -> None:
    # aiohttp tells a handler nothing of its caller's leaving, unless the whole server cancels handlers.
    for _ in range(_SILENCE_POLLS):
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(_POLL_S)


def _response(answer: SoapAnswer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type})
