"""The fault proxy does what it is told, and nothing else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from tests.faults.proxy import Cut, FaultProxy, Weather

_received: list[bytes] = []


class _Echo(BaseRequestHandler):
    def handle(self) -> None:
        while piece := self.request.recv(65_536):
            _received.append(piece)
            self.request.sendall(piece)


class _EchoServer(ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A reset is what is wanted."""


@pytest.fixture
def received() -> list[bytes]:
    """What the server got."""
    _received.clear()
    return _received


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with _EchoServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with FaultProxy(server.server_address[1]) as running:
            yield running
        server.shutdown()


async def _said(proxy: FaultProxy, text: bytes, timeout_s: float = 5) -> bytes:
    """What comes back of `text`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(text)
        return await asyncio.wait_for(reader.readexactly(len(text)), timeout_s)
    finally:
        writer.close()


async def test_in_good_weather_everything_passes_unchanged(proxy: FaultProxy) -> None:
    text = bytes(range(256)) * 4_000
    assert await _said(proxy, text) == text
    assert proxy.connections == 1


async def test_a_reset_breaks_the_connections_that_are_open_and_no_later_one(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"before")
    assert await reader.readexactly(6) == b"before"
    assert await asyncio.to_thread(proxy.reset) == 1
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()
    assert await _said(proxy, b"after") == b"after"


async def test_refused_connections_are_reset(proxy: FaultProxy) -> None:
    proxy.weather = Weather(refuse=True)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await _said(proxy, b"anybody there?")


@pytest.mark.parametrize("way", ["drop_to_server", "drop_to_client"])
async def test_dropped_bytes_never_arrive_while_the_connection_stays(proxy: FaultProxy, way: str) -> None:
    setattr(proxy.weather, way, True)
    with pytest.raises(TimeoutError):
        await _said(proxy, b"lost", timeout_s=0.1)
    proxy.clear()
    assert await _said(proxy, b"not lost") == b"not lost"


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_cut_breaks_one_connection_at_a_text_that_arrives_or_not(
    proxy: FaultProxy, received: list[bytes], arrives: bool
) -> None:
    proxy.cut = Cut(b"COMMIT", arrives)
    assert await _said(proxy, b"BEGIN") == b"BEGIN"
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await _said(proxy, b"COMMIT")
    assert (b"COMMIT" in received) is arrives
    assert await _said(proxy, b"COMMIT AGAIN") == b"COMMIT AGAIN"
    assert proxy.cuts == 1


async def test_latency_and_slices_make_a_reply_drip(proxy: FaultProxy) -> None:
    proxy.weather = Weather(latency_s=0.01, slice_bytes=1)
    began = time.monotonic()
    assert await _said(proxy, b"0123456789") == b"0123456789"
    assert time.monotonic() - began >= 0.1


async def test_garbage_stands_for_the_answer(proxy: FaultProxy) -> None:
    proxy.weather = Weather(garbage=b"%%%%")
    assert await _said(proxy, b"text") == b"%%%%"
