"""Bodies over a real connection: decoding, caps, deadlines, framing."""

from __future__ import annotations

import asyncio
import gzip
import io
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.pipeline.world import World
from tests.web.site import NDJSON, Answer, Site, open_site

ZIPPED = {"Content-Encoding": "gzip"}


@pytest.fixture
async def strict(world: World, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with small limits and short patience."""
    async with aiohttp.ClientSession() as session:
        opened = await open_site(
            world,
            tmp_path,
            session,
            max_batch_bytes=2_000_000,
            header_timeout_s=0.2,
            body_timeout_s=0.3,
            max_concurrent_batches=1,
            wait_for_place_s=0.0,
        )
        yield opened
        await opened.host.stop()


def head(site: Site, *lines: str, key: str = "k", path: str = "/v1/batches") -> bytes:
    fixed = [
        f"POST {path} HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {site.token()}",
        f"Content-Type: {NDJSON}",
        f"Idempotency-Key: {key}",
    ]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


async def test_a_body_in_several_gzip_members_is_one_body(site: Site) -> None:
    body = site.batch(3)
    members = b"".join(gzip.compress(body[n : n + 500]) for n in range(0, len(body), 500))
    answer = await site.submit(members + gzip.compress(b""), headers=ZIPPED)
    assert (answer.status, answer.json["counts"]["total"]) == (202, 3)


@pytest.mark.parametrize("cut", [1, 9, 30])
async def test_a_cut_gzip_body_is_refused_and_records_nothing(site: Site, cut: int) -> None:
    packed = gzip.compress(site.batch(3))
    answer = await site.submit(packed[:-cut], headers=ZIPPED)
    assert (answer.status, answer.code) == (400, "body_incomplete")
    assert (await site.submit(packed, headers=ZIPPED)).status == 202


@pytest.mark.parametrize("tail", [b"garbage", b"\x00" * 8])
async def test_what_is_no_gzip_is_refused(site: Site, tail: bytes) -> None:
    for body in (site.batch(1), gzip.compress(site.batch(1)) + tail):
        answer = await site.submit(body, headers=ZIPPED)
        assert (answer.status, answer.code) == (400, "invalid_gzip")


async def test_a_gzip_bomb_costs_little_and_is_refused(site: Site) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(150)) + packer.flush()
    tracemalloc.start()
    answer = await site.submit(bomb, headers=ZIPPED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.status, answer.code) == (413, "invalid_gzip")
    assert peak < 8_000_000
    assert (await site.submit()).status == 202


async def test_a_million_empty_gzip_members_are_refused(site: Site) -> None:
    answer = await site.submit(gzip.compress(b"") * 50_000, headers=ZIPPED)
    assert (answer.status, answer.code) == (413, "invalid_gzip")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_another_encoding_is_refused_unread(site: Site, encoding: str) -> None:
    answer = await site.submit(headers={"Content-Encoding": encoding})
    assert (answer.status, answer.code) == (415, "unsupported_encoding")


async def test_a_body_over_the_limit_is_refused_by_its_announced_length(strict: Site) -> None:
    answer = await strict.raw(head(strict, "Content-Length: 2000001"), wait_s=7)
    assert status(answer) == 413
    assert b'"limit": 2000000' not in answer
    assert b"2000000 bytes" in answer


async def test_a_body_over_the_limit_is_refused_without_a_length_too(strict: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield strict.batch(1)
        for _ in range(40):
            yield b"\n" * 65_536

    answer = await strict.submit(endless())
    assert (answer.status, answer.code) == (413, "batch_too_large")
    assert (await strict.submit()).status == 202


async def test_a_zipped_body_over_the_limit_when_unpacked_is_refused(strict: Site) -> None:
    filler = b"".join(f"{n:x}".encode() for n in range(500_000))
    packed = gzip.compress(strict.batch(1) + filler)
    answer = await strict.submit(io.BytesIO(packed), headers=ZIPPED)
    assert (answer.status, answer.code) == (413, "batch_too_large")


async def test_a_chunked_body_is_taken(site: Site) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        body = site.batch(3)
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    assert (await site.submit(pieces())).status == 202


async def test_a_request_without_a_body_is_refused(site: Site) -> None:
    answer = await site.raw(head(site, "Content-Length: 0", "Connection: close"))
    assert status(answer) == 400
    assert b"body_missing" in answer


async def test_silence_in_the_middle_of_a_body_ends_it(world: World, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        site = await open_site(world, tmp_path, session, header_timeout_s=0.2, body_timeout_s=300.0)
        answer = await site.raw(head(site, "Content-Length: 5000") + b"{")
        await site.host.stop()
    assert status(answer) == 408
    assert b"body_too_slow" in answer


async def test_a_dripping_body_ends_at_the_total_deadline(strict: Site) -> None:
    reader, writer = await strict.connect()
    writer.write(head(strict, "Content-Length: 5000"))

    async def drip() -> None:
        while True:
            writer.write(b"{")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(2):
        assert status(await reader.readline()) == 408
    dripping.cancel()
    writer.close()


async def test_a_body_cut_by_its_sender_records_nothing_and_frees_its_key(strict: Site) -> None:
    _, writer = await strict.connect()
    body = strict.batch(3)
    writer.write(head(strict, f"Content-Length: {len(body)}", key="cut") + body[:-50])
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    for _ in range(50):
        answer = await strict.submit(body, key="cut")
        if answer.status not in (409, 429):
            break
        await asyncio.sleep(0.02)
    assert (answer.status, answer.json["counts"]["total"]) == (202, 3)


async def test_no_more_batches_are_received_at_once_than_allowed(strict: Site) -> None:
    _, writer = await strict.connect()
    writer.write(head(strict, "Content-Length: 5000", key="slow") + b"{")
    await writer.drain()
    answer: Answer | None = None
    for _ in range(50):
        answer = await strict.submit(key="other")
        if answer.status == 429:
            break
        await asyncio.sleep(0.001)
    assert answer is not None
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "5"
    assert "5" in answer.json["detail"]
    writer.transport.abort()


# --- 100-continue -----------------------------------------------------------------------------------


async def test_a_sender_that_waits_is_told_to_go_on(site: Site) -> None:
    body = site.batch(1)
    reader, writer = await site.connect()
    writer.write(head(site, f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close"))
    async with asyncio.timeout(2):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert status(await reader.read()) == 202
    writer.close()


async def test_a_sender_that_was_told_to_go_on_still_gets_a_refusal(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(head(site, "Content-Length: 9", "Expect: 100-continue", "Connection: close"))
    async with asyncio.timeout(2):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"nonsense\n")
        assert status(await reader.read()) in (400, 422)
    writer.close()


async def test_a_sender_that_waits_and_may_not_send_is_refused_at_once(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
    async with asyncio.timeout(2):
        assert status(await reader.readline()) == 401
    writer.close()


# --- framing and headers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 4", "Content-Length: 5"),
        ("Content-Length: 4", "Content-Length: 4"),
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: chunked, identity",),
        ("Content-Length: +4",),
        ("Content-Length: -4",),
        ("Content-Length : 4",),
        ("Content-Length: 4\r\n folded: x",),
        ("Bad Header: x", "Content-Length: 4"),
        ("Content-Length: 4", "X: a\x00b"),
    ],
)
async def test_ambiguous_framing_is_refused_and_the_connection_closed(
    site: Site, lines: tuple[str, ...]
) -> None:
    smuggled = b"GET /v1/batches/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await site.raw(head(site, *lines) + b"0\r\n\r\n" + smuggled)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.") == 1
    assert b"problem+json" in answer
    assert b'"bad_request"' in answer


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_what_is_not_http_gets_a_problem_that_quotes_nothing(site: Site, data: bytes) -> None:
    answer = await site.raw(data)
    assert status(answer) == 400
    assert b"nonsense" not in answer
    assert b"Server:" not in answer
    assert b"X-Content-Type-Options: nosniff" in answer


@pytest.mark.parametrize(
    ("request_head", "refused"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    ],
)
async def test_too_large_a_head_is_refused(site: Site, request_head: bytes, refused: int) -> None:
    assert status(await site.raw(request_head)) == refused


async def test_too_many_headers_are_refused(site: Site) -> None:
    lines = b"".join(b"X-%d: a\r\n" % n for n in range(1000))
    assert status(await site.raw(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")) in (400, 431)


@pytest.mark.parametrize("admin", [False, True])
async def test_headers_that_do_not_come_are_not_waited_for(strict: Site, admin: bool) -> None:
    started = asyncio.get_running_loop().time()
    assert await strict.raw(b"", admin=admin) == b""
    assert await strict.raw(b"GET / HT", admin=admin) == b""
    assert asyncio.get_running_loop().time() - started < 1


async def test_dripping_headers_are_not_waited_for(strict: Site) -> None:
    reader, writer = await strict.connect()
    writer.write(b"GET / HTTP/1.1\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"X: a\r\n")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(1):
        assert await reader.read() == b""
    dripping.cancel()
    writer.close()


async def test_a_second_request_of_a_connection_has_a_deadline_too(strict: Site) -> None:
    reader, writer = await strict.connect()
    writer.write(b"GET /v1/batches/1 HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
    async with asyncio.timeout(1):
        answer = await reader.read()
    assert status(answer) == 401
    assert answer.count(b"HTTP/1.1 ") == 1
    writer.close()
