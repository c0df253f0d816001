"""What a caller may cost before it is known who calls: connections, heads, and bodies that crawl."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.settings.transport import Connections
from gateway.values import replace
from gateway.web.acceptor import _address
from gateway.web.body import BodyLimits
from gateway.web.connection import MAX_HEAD_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES
from tests.pipeline.world import World
from tests.web.site import NDJSON, Site, open_site

HOST = b"Host: x\r\n"


def code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode().partition('"code": "')[2].partition('"')[0]


@asynccontextmanager
async def few(world: World, folder: Path, most: int) -> AsyncIterator[Site]:
    """A site that takes so many connections of one address."""
    settings = world.engine.settings
    gateway = settings.gateway.model_copy(update={"connections": Connections(max_per_address=most)})
    world.engine = replace(world.engine, settings=settings.model_copy(update={"gateway": gateway}))
    async with aiohttp.ClientSession() as session:
        site = await open_site(world, folder, session)
        yield site
        await site.host.stop()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(30):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


# --- connections ---------------------------------------------------------------------------------


async def test_one_address_has_so_many_connections_and_gets_them_back(world: World, tmp_path: Path) -> None:
    async with few(world, tmp_path, 4) as site:
        held = [await site.connect() for _ in range(4)]
        reader, refused = await site.connect()
        assert await is_cut(reader)
        refused.close()
        assert (await site.get("/livez", admin=True, token="")).status == 200  # the other listener
        for _, writer in held:
            writer.transport.abort()
        async with asyncio.timeout(30):
            while site.host._public.acceptor._open:  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
        assert (await site.submit()).status == 202
        metrics = (await site.get("/metrics", admin=True)).body.decode()
    assert 'code="too_many_connections",kind="connection",party=""} 1.0' in metrics


async def test_another_address_is_not_shut_out(world: World, tmp_path: Path) -> None:
    async with few(world, tmp_path, 2) as site:
        held = [await site.connect() for _ in range(2)]
        port = int(site.host.public_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        writer.write(b"GET /docs HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        async with asyncio.timeout(30):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        for each in (writer, *(one for _, one in held)):
            each.close()


async def test_a_connection_that_resets_at_once_is_counted_no_longer(world: World, tmp_path: Path) -> None:
    async with few(world, tmp_path, 4) as site:
        for _ in range(20):
            _, writer = await site.connect()
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            writer.transport.abort()
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            while site.host._public.acceptor._open:  # type: ignore[union-attr]
                await asyncio.sleep(0.01)


def test_a_network_of_one_subscriber_counts_as_one_address() -> None:
    assert _address("2001:db8:1:2:a::1") == _address("2001:db8:1:2:b::2") != _address("2001:db8:1:3::1")
    assert _address("fe80::1%eth0") == "fe80::/64"
    assert _address("192.0.2.1") == "192.0.2.1"


# --- heads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /" + b"a" * MAX_URL_BYTES + b" HTTP/1.1\r\n" + HOST, (414, "url_too_long")),
        (b"GET /?" + b"a" * MAX_URL_BYTES + b" HTTP/1.1\r\n" + HOST, (414, "url_too_long")),
        (b"GET /" + b"a" * (MAX_URL_BYTES - 1) + b" HTTP/1.1\r\n" + HOST, (404, "not_found")),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEADER_BYTES + b"\r\n", (431, "headers_too_large")),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * (MAX_HEADERS + 1), (431, "headers_too_large")),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * (MAX_HEADERS - 1), (404, "not_found")),
    ],
    ids=["url", "query", "longest url", "header", "headers", "most headers"],
)
async def test_a_head_has_its_limits(site: Site, sent: bytes, expected: tuple[int, str]) -> None:
    answer = await _ask(site, sent)
    assert code(answer) == expected
    assert b"aaaa" not in answer
    assert (await site.submit()).status == 202


async def _ask(site: Site, head: bytes) -> bytes:
    """The answer to a head. Reads as much as its length says: not every connection is closed after it."""
    reader, writer = await site.connect()
    writer.write(head + b"\r\n")
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in answer.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        answer += await reader.readexactly(length)
    writer.close()
    return answer


async def test_all_of_a_head_together_has_a_limit(site: Site) -> None:
    """In pieces, as it would come over a network; each header by itself is small enough."""
    reader, writer = await site.connect()
    writer.write(b"GET /docs HTTP/1.1\r\n" + HOST)
    for number in range(5):
        writer.write(b"X-%d: " % number + b"a" * (MAX_HEADER_BYTES - 100) + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        answer = await reader.read()
    assert code(answer) == (431, "headers_too_large")
    assert b"aaaa" not in answer
    writer.close()
    assert 5 * (MAX_HEADER_BYTES - 100) > MAX_HEAD_BYTES


async def test_a_second_head_on_a_connection_has_that_limit_too_and_a_long_body_none(site: Site) -> None:
    reader, writer = await site.connect()
    body = site.batch(200)
    assert len(body) > 2 * MAX_HEAD_BYTES
    head = (
        f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token()}\r\n"
        f"Content-Type: {NDJSON}\r\nIdempotency-Key: k\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode())
    for start in range(0, len(body), 10_000):
        writer.write(body[start : start + 10_000])
        await asyncio.sleep(0.002)
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 202 ")
        writer.write(b"GET /docs HTTP/1.1\r\n" + HOST)
        for number in range(5):
            writer.write(b"X-%d: " % number + b"a" * (MAX_HEADER_BYTES - 100) + b"\r\n")
            await asyncio.sleep(0.01)
        assert b" 431 " in await reader.read()
    writer.close()


# --- bodies --------------------------------------------------------------------------------------


def test_a_body_has_to_come_at_a_pace() -> None:
    limits = BodyLimits(max_bytes=10**9, silence_s=10, total_s=300, pace_bytes_per_s=500, pace_after_s=20)
    assert limits.patience_s(0) == 20
    assert limits.patience_s(20 * 500) == 20
    assert limits.patience_s(60 * 500) == 60
    assert limits.patience_s(10**9) == 300


async def test_a_body_that_crawls_loses_its_place_long_before_the_deadline(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never silent, and there are 300 seconds for the whole body: the pace is what ends it."""
    shipped = BodyLimits.patience_s
    monkeypatch.setattr(
        BodyLimits, "patience_s", lambda self, got: shipped(replace(self, pace_after_s=0.3), got)
    )
    async with aiohttp.ClientSession() as session:
        site = await open_site(world, tmp_path, session)
        reader, writer = await site.connect()
        head = (
            f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token()}\r\n"
            f"Content-Type: {NDJSON}\r\nIdempotency-Key: k\r\nContent-Length: 5000\r\n\r\n"
        )
        writer.write(head.encode())

        async def drip() -> None:
            while True:
                writer.write(b" ")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(30):
            assert b" 408 " in await reader.readline()
        dripping.cancel()
        writer.close()
        assert (await site.submit(key="other")).status == 202
        await site.host.stop()


@pytest.mark.parametrize("what", ["empty blocks", "a name in the header"])
async def test_a_gzip_body_that_unpacks_to_nothing_is_cut_off_too(
    world: World, tmp_path: Path, what: str
) -> None:
    """Stored blocks without a byte, and an endless file name (RFC 1951, 3.2.4; RFC 1952, 2.3)."""
    begin = {
        "empty blocks": gzip.compress(b"")[:10],
        "a name in the header": b"\x1f\x8b\x08\x08\0\0\0\0\0\xff",
    }[what]
    piece = {"empty blocks": b"\0\0\0\xff\xff" * 2_000, "a name in the header": b"a" * 10_000}[what]
    assert zlib.decompressobj(-15).decompress(b"\0\0\0\xff\xff" * 10) == b""

    async def endless() -> AsyncIterator[bytes]:
        yield begin
        for _ in range(100):
            yield piece

    async with aiohttp.ClientSession(auto_decompress=False) as session:
        site = await open_site(world, tmp_path, session, max_batch_bytes=200_000)
        answer = await site.submit(endless(), headers={"Content-Encoding": "gzip"})
        assert (answer.status, answer.code) == (413, "batch_too_large")
        assert (await site.submit(key="other")).status == 202
        await site.host.stop()
