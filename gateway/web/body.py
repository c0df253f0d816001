"""The decoded body of a request, as it arrives: never whole in memory, never longer than allowed.

aiohttp's own limit (`client_max_size`) and its decompression are not used: the one works only on bodies that
are read whole, the other has no limit of ours.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.errors import Refused
from schemas.violation import Violation

_PIECE: Final = 65_536
#: More than this many times the received bytes is no batch of applications: deflate reaches 1,032.
_MAX_RATIO: Final = 200
_RATIO_COUNTS_FROM: Final = 1_048_576
#: Empty members cost time and bring nothing.
_MAX_MEMBERS: Final = 10_000
_GZIP: Final = zlib.MAX_WBITS | 16
_GONE: Final = (web.RequestPayloadError, ConnectionError, EOFError)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may cost."""

    #: Of the body as received, and of the body as decoded.
    max_bytes: int
    #: The longest silence.
    silence_s: float
    #: All waiting for the sender together. Our own work in between does not count.
    total_s: float
    #: After `pace_after_s` of waiting, a body has to have come at this pace: one byte now and then would hold
    #: a place for all of `total_s`.
    pace_bytes_per_s: float = 500.0
    pace_after_s: float = 20.0

    def patience_s(self, received: int) -> float:
        """How long may have been waited in all when so many bytes have come."""
        return min(self.total_s, max(self.pace_after_s, received / self.pace_bytes_per_s))


def check_headers(request: web.Request, limits: BodyLimits) -> None:
    """Refuse what the headers already tell, before anything is read. Raises `Refused`."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", "gzip"):
        raise Refused("unsupported_encoding", status=415)
    if (request.content_length or 0) > limits.max_bytes:
        raise _too_large(limits)
    if not request.can_read_body:
        raise Refused("body_missing", status=400)


async def decoded(request: web.Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """The decoded body in pieces of at most 64 KiB. Call `check_headers` first.

    Raises `Refused`: `batch_too_large` (413), `body_too_slow` (408), `body_incomplete`, `invalid_gzip`.
    """
    await _invite(request)
    zipped = request.headers.get("Content-Encoding", "").strip().lower() == "gzip"
    unpack = _Gzip(limits) if zipped else _Plain(limits)
    async for data in _received(request, limits):
        for piece in unpack.feed(data):
            yield piece
    unpack.close()


async def _invite(request: web.Request) -> None:
    """Tell a sender that waits for it (RFC 9110, 10.1.1) to go on: nothing speaks against its headers."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The answer itself has not begun.
        request.writer.output_size = 0


async def _received(request: web.Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    received, waited_s = 0, 0.0
    while not request.content.at_eof():
        started = loop.time()
        patience_s = max(0.0, limits.patience_s(received) - waited_s)
        try:
            async with asyncio.timeout(min(limits.silence_s, patience_s)):
                data = await request.content.readany()
        except TimeoutError as error:
            raise Refused("body_too_slow", status=408) from error
        except _GONE as error:
            raise Refused("body_incomplete", status=400) from error
        waited_s += loop.time() - started
        received += len(data)
        yield data


class _Plain:
    """Counts."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._size += len(piece)
            if self._size > self._limits.max_bytes:
                raise _too_large(self._limits)
            yield piece

    def close(self) -> None:
        """Nothing can be missing: the framing of HTTP was checked."""


class _Gzip:
    """Unpacks one or more gzip members (RFC 1952, 2.2), a bounded piece at a time."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._member = zlib.decompressobj(_GZIP)
        #: Whether a member has begun and not ended.
        self._open = True
        self._members = 1
        self._received = 0
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._received += len(data)
        if self._received > self._limits.max_bytes:  # headers and empty blocks unpack to nothing
            raise _too_large(self._limits)
        while data:
            if self._member.eof:
                self._next_member()
            try:
                piece = self._member.decompress(data, _PIECE)
            except zlib.error as error:
                raise Refused("invalid_gzip", status=400) from error
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._open = not self._member.eof
            self._count(piece)
            if piece:
                yield piece

    def close(self) -> None:
        """Raises `Refused` when the last member has no end."""
        if self._open:
            raise Refused("body_incomplete", status=400)

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise Refused("invalid_gzip", status=413)
        self._member = zlib.decompressobj(_GZIP)

    def _count(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limits.max_bytes:
            raise _too_large(self._limits)
        if self._size > max(_RATIO_COUNTS_FROM, self._received * _MAX_RATIO):
            raise Refused("invalid_gzip", status=413)


def _too_large(limits: BodyLimits) -> Refused:
    params = {"limit": limits.max_bytes}
    return Refused("batch_too_large", violations=(Violation("batch_too_large", "", params),), status=413)
