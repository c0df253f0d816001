"""`gateway.http`: what was provably not sent, and what is in doubt."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from httptools.parser import errors as parser_errors

from gateway.clock import SystemClock
from gateway.errors import Unavailable, Uncertain
from gateway.http import HttpClient, HttpReply, meaning
from gateway.http.errors import CAUGHT, MEANINGS
from tests.doubles import ManualClock
from tests.soap.partners import raw_server, serving

HEADERS = {"Content-Type": "text/xml; charset=utf-8"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/xml\r\n\r\nok"


@asynccontextmanager
async def client(clock: Any = None, idle_s: float = 5.0) -> AsyncIterator[HttpClient]:
    started = HttpClient(clock or SystemClock(), idle_s=idle_s)
    await started.start()
    try:
        yield started
    finally:
        await started.close()


async def post(through: HttpClient, url: str, **changes: Any) -> HttpReply:
    limits: dict[str, Any] = {
        "deadline_s": 2.0,
        "connect_timeout_s": 1.0,
        "max_reply_bytes": 1_000,
        "send_by_boottime_s": float("inf"),
    }
    return await through.post(url, HEADERS, b"<request/>", **{**limits, **changes})


def test_an_error_is_certain_before_anything_was_sent_and_in_doubt_after() -> None:
    for error in (*(cls() for cls in errors_of_the_libraries()), RuntimeError()):
        assert isinstance(meaning(error, sent=False), Unavailable)
        assert isinstance(meaning(error, sent=True), Uncertain)


def test_every_error_of_the_libraries_has_a_meaning() -> None:
    for cls in errors_of_the_libraries():
        assert issubclass(cls, CAUGHT)
        assert meaning(cls(), sent=False).code != "not_sent"


def test_a_code_says_what_happened() -> None:
    codes = {cls: (meaning(cls(), sent=False).code, meaning(cls(), sent=True).code) for cls in MEANINGS}
    assert codes[socket.gaierror] == ("name_not_resolved", "connection_lost")
    assert codes[ssl.SSLCertVerificationError] == ("certificate_refused", "connection_lost")
    assert codes[TimeoutError] == ("connect_timeout", "reply_timeout")
    assert meaning(ConnectionResetError(), sent=True).code == "connection_lost"
    assert meaning(ssl.SSLEOFError(), sent=False).code == "tls_failed"


def errors_of_the_libraries() -> set[type[BaseException]]:
    """What connecting, TLS, reading and parsing can raise."""
    parsing = [cls for cls in vars(parser_errors).values() if isinstance(cls, type)]
    roots: list[type[BaseException]] = [OSError, UnicodeError, ValueError, *parsing]
    # Such as UnicodeDecodeError, which is not made without its five facts.
    return {cls for root in roots for cls in (root, *subclasses(root)) if is_of_the_libraries(cls)}


def is_of_the_libraries(cls: type[BaseException]) -> bool:
    own = cls.__module__ in ("builtins", "socket", "ssl", "httptools.parser.errors")
    return own and not issubclass(cls, UnicodeDecodeError | UnicodeEncodeError | UnicodeTranslateError)


def subclasses(of: type[BaseException]) -> Iterator[type[BaseException]]:
    for cls in of.__subclasses__():
        yield cls
        yield from subclasses(cls)


async def test_a_reply_comes_whole() -> None:
    async def respond(body: bytes, writer: asyncio.StreamWriter) -> None:
        assert body == b"<request/>"
        writer.write(OK)

    async with raw_server(respond) as url, client() as through:
        reply = await post(through, url)
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "text/xml", b"ok")


async def test_nothing_is_followed_kept_or_asked_compressed() -> None:
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=302, headers={"Location": "/other", "Set-Cookie": "a=b"})

    async with serving([web.route("*", "/{path:.*}", handle)]) as address, client() as through:
        url = address.replace("127.0.0.1", "localhost")
        assert (await post(through, url + "/a")).status == 302
        await post(through, url + "/b")
    assert [request.path for request in seen] == ["/a", "/b"]
    assert all("Cookie" not in request.headers for request in seen)
    assert {request.headers["Accept-Encoding"] for request in seen} == {"identity"}


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async def respond(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async with raw_server(respond) as url, client() as through:
        assert (await post(through, url)).status == 200


async def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    async with client() as through:
        with pytest.raises(Unavailable, match=r"name_not_resolved|not_connected"):
            await post(through, "http://partner.invalid/")


async def test_a_partner_that_comes_up_within_the_deadline_is_reached() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    served = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        await reader.readuntil(b"<request/>")
        writer.write(OK)
        writer.close()

    async with client() as through:
        calling = asyncio.create_task(post(through, f"http://127.0.0.1:{port}/"))
        await asyncio.sleep(0.005)
        server = await asyncio.start_server(handle, "127.0.0.1", port)
        try:
            assert (await calling).status == 200
        finally:
            server.close()
            await server.wait_closed()
    assert served == 1


@pytest.mark.parametrize(("deadline_s", "connect_timeout_s"), [(0.15, 5.0), (5.0, 0.05)])
async def test_no_connection_in_time_is_not_sent(deadline_s: float, connect_timeout_s: float) -> None:
    with socket.socket() as full:
        # Takes no connection: its queue is filled by the first.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        blockers = [socket.socket() for _ in range(4)]
        for blocker in blockers:
            blocker.setblocking(False)
            blocker.connect_ex(full.getsockname())
        async with client() as through:
            started = time.monotonic()
            with pytest.raises(Unavailable, match="connect_timeout"):
                await post(through, url, deadline_s=deadline_s, connect_timeout_s=connect_timeout_s)
            assert time.monotonic() - started < 1.0
        for blocker in blockers:
            blocker.close()


async def test_a_deadline_after_the_request_was_sent_is_in_doubt() -> None:
    async def silence(_: bytes, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)

    async with raw_server(silence) as url, client() as through:
        with pytest.raises(Uncertain, match="reply_timeout"):
            await post(through, url, deadline_s=0.1)


async def test_a_worker_that_wakes_up_too_late_does_not_send() -> None:
    clock = ManualClock()
    reached = []

    async def respond(body: bytes, writer: asyncio.StreamWriter) -> None:
        reached.append(body)
        writer.write(OK)

    async with raw_server(respond) as url, client(clock) as through:
        with pytest.raises(Unavailable, match="send_by_passed"):
            await post(through, url, send_by_boottime_s=clock.boottime_s() - 0.001)
        assert (await post(through, url, send_by_boottime_s=clock.boottime_s())).status == 200
    assert reached == [b"<request/>"]


async def test_a_connection_that_the_partner_closed_is_noticed_before_sending() -> None:
    reached = []

    async def once(body: bytes, writer: asyncio.StreamWriter) -> None:
        # Says that it keeps the connection, and closes it.
        reached.append(body)
        writer.write(OK)

    async with raw_server(once) as url, client() as through:
        for _ in range(5):
            # The second call finds a connection that is closed already, perhaps unnoticed by the loop.
            assert (await post(through, url)).status == 200
    assert len(reached) == 5


async def test_a_close_that_the_loop_has_not_seen_yet_is_noticed_before_sending() -> None:
    served = []

    def serve_and_close(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _address = listener.accept()
            with connection:
                served.append(connection.recv(65_536))
                connection.sendall(OK)
                time.sleep(0.02)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        serving_thread = threading.Thread(target=serve_and_close, args=(listener,), daemon=True)
        serving_thread.start()
        async with client() as through:
            assert (await post(through, url)).status == 200
            # The process is frozen: the partner closes meanwhile, and nothing here can notice.
            time.sleep(0.05)
            assert (await post(through, url)).status == 200
        serving_thread.join(timeout=1)
    assert len(served) == 2


async def test_an_unused_connection_is_closed_after_its_time() -> None:
    ports = set()

    async def handle(request: web.Request) -> web.Response:
        assert request.transport
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(text="ok")

    async with serving([web.post("/", handle)]) as url, client(idle_s=0.05) as through:
        await post(through, url)
        await post(through, url)
        assert len(ports) == 1
        await asyncio.sleep(0.15)
        await post(through, url)
    assert len(ports) == 2


async def test_an_error_names_no_address_and_no_content() -> None:
    async with client() as through:
        with pytest.raises(Unavailable) as caught:
            await post(through, "http://127.0.0.1:1/secret-path")
    assert str(caught.value) == "not_connected"
