"""The one HTTP client: one POST, one total deadline, and the knowledge of whether anything was sent.

No redirects, no cookies, no proxies from the environment, no decompression.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from gateway.errors import Unavailable, Uncertain
from gateway.http.errors import CAUGHT, meaning
from gateway.ports import Clock

_CONNECT_ATTEMPTS: Final = 3
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "umrah-gateway"}


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole reply. Header names are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _NotSentError(Exception):
    """The request was held back at the last moment."""


class _WatchedBody(BytesPayload):
    """The request's body. Its first write carries the headers along, so nothing leaves before it."""

    def __init__(self, body: bytes, content_type: str, clock: Clock, send_by_boottime_s: float) -> None:
        super().__init__(body, content_type=content_type)
        self._clock = clock
        self._send_by = send_by_boottime_s
        self.sent = False
        self.passed = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.passed = self._clock.boottime_s() > self._send_by
        if self.passed or _is_stale(writer):
            raise _NotSentError
        self.sent = True
        await super().write_with_length(writer, content_length)


class HttpClient:
    """Connections to partners. Safe for concurrent use in one loop, between `start` and `close`.

    An unused connection is closed after `idle_s`, which is shorter than the partner's own limit: one that
    the partner closes under a request makes its outcome uncertain.
    """

    def __init__(self, clock: Clock, *, idle_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the pool; connects nowhere yet."""
        self._session = aiohttp.ClientSession(
            # How many are open at once is the caller's bulkhead.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=self._idle_s, ssl=True if self._tls is None else self._tls
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers=_HEADERS,
        )

    async def close(self) -> None:
        """Give back the connections. Safe to call twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        deadline_s: float,
        connect_timeout_s: float,
        max_reply_bytes: int,
        send_by_boottime_s: float,
    ) -> HttpReply:
        """One request, sent at most once, and its whole reply.

        A connection that could not be made, or was found closed, is replaced shortly as long as the
        deadline allows.
        Raises `Unavailable` when provably nothing was sent, and `Uncertain` otherwise.
        """
        watched = _WatchedBody(body, headers["Content-Type"], self._clock, send_by_boottime_s)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._connect_and_post(url, headers, watched, timeout, max_reply_bytes)
        except CAUGHT as error:
            raise _mapped(error, watched) from error

    async def _connect_and_post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: _WatchedBody,
        timeout: aiohttp.ClientTimeout,
        max_reply_bytes: int,
    ) -> HttpReply:
        try:
            return await self._post_once(url, headers, body, timeout, max_reply_bytes)
        except aiohttp.ClientConnectionError:
            if body.sent or body.passed:
                raise
            async for attempt in _retrying(body):
                with attempt:
                    return await self._post_once(url, headers, body, timeout, max_reply_bytes)
        raise AssertionError("unreachable: tenacity raises the last error")

    async def _post_once(
        self,
        url: str,
        headers: Mapping[str, str],
        body: _WatchedBody,
        timeout: aiohttp.ClientTimeout,
        max_reply_bytes: int,
    ) -> HttpReply:
        if self._session is None:
            raise RuntimeError("HttpClient is not started")
        request = self._session.post(url, data=body, headers=headers, allow_redirects=False, timeout=timeout)
        async with request as response:
            _check_coding(response.headers)
            return HttpReply(response.status, response.headers, await _read(response, max_reply_bytes))


def _is_stale(writer: AbstractStreamWriter) -> bool:
    """Whether the partner has already closed a connection that looks open.

    Before a request is sent there is nothing to read but the end. With TLS there may be: not asked.
    """
    transport = getattr(writer, "transport", None)
    if transport is None or transport.is_closing():
        return True
    if transport.get_extra_info("ssl_object") is not None:
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _retrying(body: _WatchedBody) -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, aiohttp.ClientConnectionError) and not (body.sent or body.passed)
        ),
        stop=stop_after_attempt(_CONNECT_ATTEMPTS - 1),
        wait=wait_random(0.02, 0.1),
        reraise=True,
    )


def _check_coding(headers: Mapping[str, str]) -> None:
    # Asked for identity: anything else may be a bomb, and is not opened.
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Uncertain("reply_compressed")


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if (response.content_length or 0) > max_bytes:
        response.close()
        raise Uncertain("reply_too_large")
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            response.close()
            raise Uncertain("reply_too_large")
        pieces.append(piece)
    return b"".join(pieces)


def _mapped(error: BaseException, body: _WatchedBody) -> Unavailable | Uncertain:
    kind, code = meaning(error)
    if body.passed:
        return Unavailable("send_by_passed")
    if not body.sent:
        return Unavailable(code if kind is Unavailable else "not_sent")
    return Uncertain(code if kind is Uncertain else "connection_lost")
