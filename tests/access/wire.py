"""HTTP/1.1 by hand: what is written is what is sent, down to the byte, and what comes back is kept whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Longer than any answer of the gateway may take here.
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its target as it goes over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def written(self, host: str) -> bytes:
        length = [("Content-Length", str(len(self.body)))] if self.body or self.method in _WITH_BODY else []
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *length)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers as they came, and the body read whole."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def head(self) -> bytes:
        """The headers, as text in which something could be told."""
        return "\n".join(f"{name}: {value}" for name, value in self.headers).encode("latin-1")

    def header(self, name: str) -> str:
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")


class Wire:
    """One connection, opened again when the other side has closed it. For one request at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Answer:
        """The answer. A kept connection that turns out to be closed is tried once more, on a new one."""
        async with asyncio.timeout(_PATIENCE_S):
            kept = self._streams is not None
            try:
                return await self._exchange(request)
            except (ConnectionError, asyncio.IncompleteReadError):
                await self.close()
                if not kept:
                    raise
                return await self._exchange(request)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, request: Request) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request.written(f"{self._host}:{self._port}"))
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        headers = tuple((name, value.strip()) for name, _, value in pairs)
        known = {name.lower(): value.lower() for name, value in headers}
        status = int(first.split(" ")[1])
        body = b"" if request.method == "HEAD" or status in (204, 304) else await _body(reader, known)
        if known.get("connection") == "close":
            await self.close()
        return Answer(status, headers, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(pieces)
