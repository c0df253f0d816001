"""The one HTTP client: one POST, one total deadline, and the knowledge of whether anything was sent.

No redirects, no cookies, no proxies from the environment, no decompression.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_random,
)

from gateway.errors import Unavailable
from gateway.http.connection import Connection, HttpReply
from gateway.http.errors import CAUGHT, meaning
from gateway.http.tls import partner_context
from gateway.ports import Clock

_CONNECT_ATTEMPTS: Final = 3
_PORTS: Final = {"http": 80, "https": 443}
_HEADERS: Final = (("User-Agent", "umrah-gateway"), ("Accept-Encoding", "identity"))
_PLAIN: Final = re.compile(r"[\x21-\x7e]+").fullmatch
_LINE: Final = re.compile(r"[\x20-\x7e]*").fullmatch


class Origin(NamedTuple):
    """Where connections go to; they are shared by all requests to it."""

    host: str
    port: int
    tls: bool


class HttpClient:
    """Connections to partners. Safe for concurrent use in one loop, between `start` and `close`.

    An unused connection is closed after `idle_s`, which is shorter than the partner's own limit: one that
    the partner closes under a request makes its outcome uncertain. How many are open at once is the caller's
    bulkhead.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        idle_s: float,
        tls: ssl.SSLContext | None = None,
        pins: Collection[str] = (),
    ) -> None:
        """With `pins` (SHA-256 in lower-case hex) a partner shows one of these, or is sent nothing."""
        self._clock = clock
        self._idle_s = idle_s
        self._tls = tls
        self._pins = frozenset(pins)
        self._started = False
        #: Unused connections, the one used last at the end, where the next request takes it.
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._sweep_timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Make the pool; connects nowhere yet."""
        self._started = True

    async def close(self) -> None:
        """Give back the connections; those in use, when their exchange ends. Safe to call twice."""
        self._started = False
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        for connection in (one for pool in self._idle.values() for one in pool):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

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
        Raises `Unavailable` when provably nothing was sent, or what was sent not read; else `Uncertain`.
        """
        if not self._started:
            raise RuntimeError("HttpClient is not started")
        if deadline_s <= 0:
            raise Unavailable("not_sent")
        deadline = asyncio.get_running_loop().time() + deadline_s
        try:
            origin, head = _request_head(url, tuple(headers.items()))
            connection = self._unused(origin) or await self._connected(origin, deadline, connect_timeout_s)
        except CAUGHT as error:
            raise meaning(error, sent=False) from error
        # From here to the write nothing waits.
        try:
            if self._clock.boottime_s() > send_by_boottime_s:
                raise Unavailable("send_by_passed")
            request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
            return await connection.exchange(request, deadline, max_reply_bytes)
        except CAUGHT as error:
            raise meaning(error, sent=True, proven=connection.has_answered) from error
        finally:
            self._give_back(origin, connection)

    def _unused(self, origin: Origin) -> Connection | None:
        pool = self._idle[origin]
        while pool:
            connection = pool.pop()
            if connection.is_usable() and not self._is_old(connection):
                return connection
            connection.abort()
        return None

    def _is_old(self, connection: Connection) -> bool:
        return self._clock.boottime_s() - connection.idle_since_s >= self._idle_s

    def _give_back(self, origin: Origin, connection: Connection) -> None:
        if not self._started or not connection.has_ended_well():
            connection.abort()
            return
        connection.idle_since_s = self._clock.boottime_s()
        self._idle[origin].append(connection)
        if self._sweep_timer is None:
            self._sweep_timer = asyncio.get_running_loop().call_later(self._idle_s, self._sweep)

    def _sweep(self) -> None:
        """Close what nobody has used for its time. One timer for all, since most are used again at once."""
        self._sweep_timer = None
        for pool in self._idle.values():
            while pool and (self._is_old(pool[0]) or not pool[0].is_usable()):
                pool.pop(0).abort()
        oldest = [pool[0].idle_since_s for pool in self._idle.values() if pool]
        if oldest:
            wait_s = min(oldest) + self._idle_s - self._clock.boottime_s()
            self._sweep_timer = asyncio.get_running_loop().call_later(max(wait_s, 0.001), self._sweep)

    async def _connected(self, origin: Origin, deadline: float, timeout_s: float) -> Connection:
        """A new connection. tenacity is entered after a first failure only: it costs more than a request."""
        async with asyncio.timeout_at(deadline):
            try:
                return await self.connect(origin, timeout_s)
            except ssl.SSLError:
                raise
            except OSError:
                async for attempt in _retrying():
                    with attempt:
                        return await self.connect(origin, timeout_s)
        raise AssertionError("unreachable: tenacity raises the last error")

    async def connect(self, origin: Origin, timeout_s: float) -> Connection:
        tls = self._tls_context() if origin.tls else None
        async with asyncio.timeout(timeout_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, origin.host, origin.port, ssl=tls
            )
        if not connection.is_usable():
            connection.abort()
            raise ConnectionAbortedError
        if self._pins and connection.certificate_sha256() not in self._pins:
            connection.abort()
            raise Unavailable("certificate_not_pinned")
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = partner_context(None, Path())
        return self._tls


def _retrying() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(OSError) & retry_if_not_exception_type(ssl.SSLError),
        stop=stop_after_attempt(_CONNECT_ATTEMPTS - 1),
        wait=wait_random(0.02, 0.1),
        reraise=True,
    )


@lru_cache(maxsize=256)
def _request_head(url: str, headers: tuple[tuple[str, str], ...]) -> tuple[Origin, bytes]:
    """Everything before the length of the body. Raises `ValueError` for what can't stand in a request."""
    parts = urlsplit(url)
    if not _PLAIN(url) or parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an address of HTTP")
    lines = (("Host", parts.netloc), *_HEADERS, *headers)
    if not all(_PLAIN(name) and _LINE(value) for name, value in lines):
        raise ValueError("not a header")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    start = f"POST {target} HTTP/1.1\r\n{head}Content-Length: "
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    return Origin(parts.hostname, port, parts.scheme == "https"), start.encode("ascii")
