"""One HTTP/1.1 connection to a partner, and one exchange on it at a time (RFC 9112).

llhttp (through httptools) reads the bytes; what this module adds is when to stop, and whether what has come
is a whole reply, after which another request may follow.
"""

from __future__ import annotations

import asyncio
import hashlib
import select
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

from gateway.errors import Uncertain

#: Of the lines before the body, those of interim replies included.
MAX_HEAD_BYTES: Final = 32_768
MAX_HEADERS: Final = 100


class HttpReply(Struct, frozen=True):
    """A whole reply. Header names are in lower case; a repeated header's values are joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@lru_cache(maxsize=256)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


class Connection(asyncio.Protocol):
    """Made by the event loop. The parser calls the `on_…` methods; what they raise ends the exchange."""

    def __init__(self) -> None:
        #: When it was last given back, in seconds of boot time.
        self.idle_since_s = 0.0
        self._transport: asyncio.Transport
        self._poll: select.poll | None = None
        self._parser = HttpResponseParser(self)
        self._keep_alive = True
        #: Whether a whole reply ever came.
        self.has_answered = False
        #: Only while an exchange waits for its reply.
        self._reply: asyncio.Future[HttpReply] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._max_bytes = 0
        self._received = 0
        self._in_head = True
        self._head_size = 0
        self._header_count = 0
        self._headers: dict[str, str] = {}
        self._status = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def is_usable(self) -> bool:
        """Whether a request may be sent: the last reply came whole, and nothing has come since.

        Asks the socket itself, because the loop may not have seen yet that the partner closed. With TLS
        there may be something else to read, such as a session ticket: not asked.
        """
        return self.has_ended_well() and (self._poll is None or not self._poll.poll(0))

    def has_ended_well(self) -> bool:
        """Whether it is worth keeping, by what the loop has seen. `is_usable` is asked before it is used."""
        return self._keep_alive and not self._transport.is_closing()

    def abort(self) -> None:
        """Close at once."""
        self._keep_alive = False
        self._transport.abort()

    def certificate_sha256(self) -> str:
        """Of the certificate that the partner showed, in lower-case hex; "" without TLS."""
        shown = self._transport.get_extra_info("ssl_object")
        der = shown.getpeercert(binary_form=True) if shown is not None else None
        return hashlib.sha256(der).hexdigest() if der else ""

    def exchange(self, request: bytes, deadline: float, max_bytes: int) -> asyncio.Future[HttpReply]:
        """Write the request in one piece, to be answered by a whole reply until `deadline` (loop time).

        `max_bytes` caps the body. Whatever the future raises, the request may have been acted on:
        `Uncertain`, or an error of `errors.MEANINGS`. Unless a whole reply came, the connection is not usable
        afterwards.
        """
        loop = asyncio.get_running_loop()
        self._begin(max_bytes)
        self._reply = reply = loop.create_future()
        self._deadline = deadline
        if self._timer is None or deadline < self._timer.when():
            self._watch(loop)
        self._transport.write(request)
        return reply

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer serves exchange after exchange: it is set anew only when it runs out."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._deadline, self._check_deadline, loop)

    def _check_deadline(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._reply is None:
            return
        if loop.time() >= self._deadline:
            self._fail(TimeoutError())
        else:
            self._watch(loop)

    def _begin(self, max_bytes: int) -> None:
        self._keep_alive = False
        self._max_bytes = max_bytes
        self._received = self._head_size = self._header_count = self._size = 0
        self._in_head = True
        self._headers = {}
        self._pieces = []

    def _fail(self, error: BaseException) -> None:
        """The connection can't be relied on any more. A reply that is already whole stays valid."""
        self.abort()
        reply = self._answered()
        if reply is not None:
            reply.set_exception(error)

    def _succeed(self) -> None:
        self.has_answered = True
        reply = self._answered()
        if reply is not None:
            reply.set_result(HttpReply(self._status, self._headers, b"".join(self._pieces)))

    def _answered(self) -> asyncio.Future[HttpReply] | None:
        """Whoever still waits for the reply, once."""
        reply, self._reply = self._reply, None
        return None if reply is None or reply.done() else reply

    # --- called by the event loop ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("ssl_object") is None:
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._reply is None:
            self._fail(Uncertain("reply_unasked"))
            return
        self._received += len(data)
        # Chunk sizes and trailers are no part of the body, and must not be endless either.
        if self._received > 2 * (self._max_bytes + MAX_HEAD_BYTES):
            self._fail(Uncertain("reply_too_large"))
            return
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError as error:
            self._fail(error.__context__ or error)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(error)
        if self._in_head and self._received > MAX_HEAD_BYTES:
            self._fail(Uncertain("reply_head_too_large"))

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def _end(self, error: Exception | None) -> None:
        self._keep_alive = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if error is None and not self._in_head and not self._announces_its_end():
            self._succeed()
        else:
            self._fail(error or Uncertain("connection_lost" if self._in_head else "reply_cut_short"))

    def _announces_its_end(self) -> bool:
        return "content-length" in self._headers or "transfer-encoding" in self._headers

    # --- called by the parser -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._reply is None or self._reply.done():
            raise Uncertain("reply_unasked")  # it begins in the bytes after a whole one

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        self._header_count += 1
        if self._head_size > MAX_HEAD_BYTES or self._header_count > MAX_HEADERS:
            raise Uncertain("reply_head_too_large")
        if self._in_head:  # and not a trailer
            key, text = _lower(name), value.decode("latin-1")
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if 100 <= self._status < 200:
            self._headers = {}
            return
        self._in_head = False
        # Asked for identity: anything else may be a bomb, and is not opened.
        if self._headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Uncertain("reply_compressed")
        if self._headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
            raise Uncertain("reply_not_http")
        if int(self._headers.get("content-length", 0)) > self._max_bytes:
            raise Uncertain("reply_too_large")

    def on_body(self, piece: bytes) -> None:
        if self._in_head:  # of an interim reply, which has none
            raise Uncertain("reply_not_http")
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise Uncertain("reply_too_large")
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._in_head:  # an interim reply (RFC 9110, section 15.2)
            return
        self._keep_alive = self._parser.should_keep_alive()
        self._succeed()
