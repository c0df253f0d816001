"""One connection of a listener: deadlines for its sender, and an answer to what is not HTTP.

A sender has `header_timeout_s` from the connection (or the end of the answer before) until its headers are
complete; single bytes in between do not prolong it. That is aiohttp's keep-alive timer: in 3.14 it runs from
the first moment and looks only at whether a whole request head has come. A test holds it to that.

aiohttp limits each header and their count, but not all of a head together: that is done here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import _ErrInfo

from gateway.message import new_id
from gateway.observe.log import log
from gateway.settings.certificates import Certificate
from gateway.web.middleware import protection
from gateway.web.problems import Problem, respond
from gateway.web.tls import read_shown

#: Of the path and query of a request.
MAX_URL_BYTES: Final = 4_096
#: Of one header; a token has at most 4,096 (`authentication`). Not the same as the above: an error of the
#: parser tells only the limit that was passed.
MAX_HEADER_BYTES: Final = 8_192
MAX_HEADERS: Final = 64
#: Of the request line and all headers.
MAX_HEAD_BYTES: Final = 32_768
#: aiohttp's text for too many headers; it has no class of its own. A test holds it to that.
_TOO_MANY: Final = "Too many headers received"
#: How long the rest of a body that nobody wants is read, so that the sender gets to see the answer.
_LINGER_S: Final = 5.0


class _Bare(web.Response):
    """An answer outside any application, without aiohttp's `Server`."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Server", None)


class Connection(web.RequestHandler):
    """aiohttp's protocol, with our words for malformed requests: no text of the parser, which quotes."""

    __slots__ = ("_base_url", "_body", "_head_bytes", "_on_end", "_refused", "certificate")

    def __init__(
        self, server: web.Server, base_url: str, on_end: Callable[[], None], **settings: Any
    ) -> None:
        """`on_end` is called once the connection is over."""
        super().__init__(server, **settings)
        self._base_url = base_url
        self._on_end = on_end
        #: That the other side showed in the handshake.
        self.certificate: Certificate | None = None
        self._body: StreamReader | None = None
        #: Received since the last request began.
        self._head_bytes = 0
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop, after the handshake."""
        shown: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        self.certificate = read_shown(shown)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop, once."""
        super().connection_lost(exc)
        self._on_end()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._refused:
            return
        begun = self._request_count
        in_body = self._body is not None and not self._body.is_eof()
        super().data_received(data)
        if self._request_count != begun and self._messages:
            self._body = self._messages[-1][1]
            self._head_bytes = 0
        elif not in_body and not self._messages:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(LineTooLong("", MAX_HEADER_BYTES))

    def _refuse(self, error: BadHttpMessage) -> None:
        """As aiohttp does with what its parser refuses: answered in its turn, and then closed."""
        self._refused = True
        self._messages.append((_ErrInfo(status=400, exc=error, message=""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

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
            headers={**told.headers, **protection(tls=request.secure), "X-Request-Id": request_id},
        )
        response.force_close()
        return response


def _malformed(error: BaseException | None) -> Problem:
    if isinstance(error, LineTooLong):
        limit = error.args[1]
        return Problem(414, "url_too_long") if limit == MAX_URL_BYTES else Problem(431, "headers_too_large")
    if isinstance(error, BadHttpMessage) and error.message == _TOO_MANY:
        return Problem(431, "headers_too_large")
    return Problem(400, "bad_request")


def connections(
    server: web.Server, base_url: str, header_timeout_s: float
) -> Callable[[Callable[[], None]], Connection]:
    """A factory of connections, each with what is to be called at its end."""
    loop = asyncio.get_running_loop()

    def connect(on_end: Callable[[], None]) -> Connection:
        return Connection(
            server,
            base_url,
            on_end,
            loop=loop,
            max_line_size=MAX_URL_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            keepalive_timeout=header_timeout_s,
            lingering_time=min(_LINGER_S, header_timeout_s),
            auto_decompress=False,
            access_log=None,
        )

    return connect
