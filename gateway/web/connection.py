"""One connection of a listener: deadlines for its sender, and an answer to what is not HTTP.

A sender has `header_timeout_s` from the connection (or the end of the answer before) until its headers are
complete; single bytes in between do not prolong it. That is aiohttp's keep-alive timer: in 3.14 it runs from
the first moment and looks only at whether a whole request head has come. A test holds it to that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.message import new_id
from gateway.observe.log import log
from gateway.web.middleware import PROTECTION
from gateway.web.problems import Problem, respond

#: How long the rest of a body that nobody wants is read, so that the sender gets to see the answer.
_LINGER_S: Final = 5.0


class _Bare(web.Response):
    """An answer outside any application, without aiohttp's `Server`."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Server", None)


class Connection(web.RequestHandler):
    """aiohttp's protocol, with our words for malformed requests: no text of the parser, which quotes."""

    __slots__ = ("_base_url",)

    def __init__(self, server: web.Server, base_url: str, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._base_url = base_url

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionResetError
        problem = _malformed(exc) if status < 500 else Problem(500, "internal_error")
        request_id = new_id()
        log.warning("request_malformed", action="request", request_id=request_id, status=problem.status)
        told = respond(problem, request_id, None, self._base_url)
        response = _Bare(
            status=told.status,
            body=told.body,
            headers={**told.headers, **PROTECTION, "X-Request-Id": request_id},
        )
        response.force_close()
        return response


def _malformed(error: BaseException | None) -> Problem:
    return (
        Problem(431, "headers_too_large") if isinstance(error, LineTooLong) else Problem(400, "bad_request")
    )


def connections(
    server: web.Server, base_url: str, header_timeout_s: float
) -> Callable[[], asyncio.BaseProtocol]:
    """A factory of connections for `loop.create_server`."""
    loop = asyncio.get_running_loop()

    def connect() -> asyncio.BaseProtocol:
        return Connection(
            server,
            base_url,
            loop=loop,
            keepalive_timeout=header_timeout_s,
            lingering_time=min(_LINGER_S, header_timeout_s),
            auto_decompress=False,
            access_log=None,
        )

    return connect
