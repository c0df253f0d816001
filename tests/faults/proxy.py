"""A TCP proxy that misbehaves on demand: latency, slices, silence, garbage, refusals, resets.

It runs in a thread with an event loop of its own; every control may be used from any thread, while
connections pass through. What it does to a connection holds from the next bytes on.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

_READ_BYTES: Final = 65_536
#: Closing with this option set sends a reset in place of an orderly end.
_RESET: Final = struct.pack("ii", 1, 0)

#: For a piece that is still to arrive before a connection is cut.
_ARRIVES_S: Final = 0.02


@dataclass(slots=True)
class Weather:
    """What happens to bytes, towards the server and towards the client alike unless named."""

    #: Before each piece is passed on.
    latency_s: float = 0.0
    #: Pieces of this size, `latency_s` apart; 0: as they come.
    slice_bytes: int = 0
    #: Swallowed, while the connection stays open.
    drop_to_server: bool = False
    drop_to_client: bool = False
    #: New connections are reset at once.
    refuse: bool = False
    #: Sent in place of whatever the server would have answered; the server is not asked.
    garbage: bytes = b""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one connection breaks: at the next of the client's pieces that holds `text`.

    Whether that piece still arrives or not, the client hears nothing more: it can't know.
    """

    text: bytes
    arrives: bool


@dataclass(slots=True)
class _Pair:
    """What both directions of one connection share."""

    cut: bool = False


@dataclass
class FaultProxy:
    """Listens on `port` of the loopback interface while used with `with`."""

    target_port: int
    port: int = 0
    weather: Weather = field(default_factory=Weather)
    #: Connections taken so far, and reset by `reset`.
    connections: int = 0
    resets: int = 0
    #: Used once; the next one may be set when it is None again.
    cut: Cut | None = None
    cuts: int = 0
    #: What clients said and the weather swallowed, since somebody cleared it.
    swallowed: bytearray = field(default_factory=bytearray)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def clear(self) -> None:
        """Good weather for everything from now on."""
        self.weather = Weather()

    def reset(self) -> int:
        """Reset every open connection, both ways; how many there were."""
        return asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result(10)

    # --- in the thread

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _reset(self) -> int:
        count = 0
        for writer in list(self._open):
            _abort(writer)
            count += 1
        self._open.clear()
        self.resets += count // 2
        return count // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.weather.refuse:
            _abort(writer)
            return
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            _abort(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.weather.garbage:
            await reader.read(_READ_BYTES)
            writer.write(self.weather.garbage)
            await writer.drain()
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        ends, pair = {writer, server_writer}, _Pair()
        self._open |= ends
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, server_writer, pair, to_server=True))
                both.create_task(self._pass_on(server_reader, writer, pair, to_server=False))
        except* (OSError, RuntimeError):  # one side is gone: so is the other
            for end in ends:
                _abort(end)
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pair: _Pair, *, to_server: bool
    ) -> None:
        while piece := await source.read(_READ_BYTES):
            weather = self.weather
            if to_server and self.cut is not None and self.cut.text in piece:
                await self._cut(sink, pair, piece)
            if pair.cut:
                continue
            if to_server and weather.drop_to_server:
                self.swallowed += piece
                continue
            if not to_server and weather.drop_to_client:
                continue
            if not to_server and weather.garbage:
                piece = weather.garbage
            for slice_ in _slices(piece, weather.slice_bytes):
                if weather.latency_s:
                    await asyncio.sleep(weather.latency_s)
                sink.write(slice_)
                await sink.drain()
        with suppress(OSError, RuntimeError):
            sink.write_eof()

    async def _cut(self, sink: asyncio.StreamWriter, pair: _Pair, piece: bytes) -> None:
        cut, self.cut, pair.cut = self.cut, None, True
        self.cuts += 1
        if cut is not None and cut.arrives:
            sink.write(piece)
            await sink.drain()
            await asyncio.sleep(_ARRIVES_S)
        raise ConnectionResetError("cut")


def _slices(piece: bytes, size: int) -> list[bytes]:
    return [piece[start : start + size] for start in range(0, len(piece), size)] if size else [piece]


def _abort(writer: asyncio.StreamWriter) -> None:
    """A reset: whatever was on its way is lost."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
