"""What counts as a whole reply, what a reply may cost, and when a connection serves a second request."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.errors import Unavailable, Uncertain
from gateway.http import HttpClient, HttpReply
from gateway.http.client import Origin
from gateway.http.connection import MAX_HEAD_BYTES, MAX_HEADERS, Connection
from tests.doubles import ManualClock
from tests.http.test_http_client import OK, client, post

Step = bytes | float | Callable[[asyncio.StreamWriter], None]


@dataclass
class Peer:
    """A server that answers each request with the next script: bytes, pauses in seconds, actions."""

    scripts: list[list[Step]]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await reader.readuntil(b"<request/>")
                self.requests.append(request)
                for step in self.scripts.pop(0) if self.scripts else [OK]:
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                    elif isinstance(step, float):
                        await asyncio.sleep(step)
                    else:
                        step(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def peer(*scripts: list[Step], tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    one = Peer(list(scripts))
    server = await asyncio.start_server(one.handle, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    one.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/p?q=1"
    try:
        yield one
    finally:
        server.close()
        await server.wait_closed()


def reply(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join((*lines, "", "")).encode() + body


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    lingers_not = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingers_not)
    writer.transport.abort()


CHUNKED = reply("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")

WHOLE: dict[str, tuple[list[Step], bytes]] = {
    "sized": ([OK], b"ok"),
    "in pieces": ([OK[:9], 0.001, OK[9:40], 0.001, OK[40:]], b"ok"),
    "chunked": ([CHUNKED + b"1\r\no\r\n", 0.001, b"1;x=y\r\nk\r\n0\r\nTrailer: t\r\n\r\n"], b"ok"),
    "after interim replies": (
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + OK],
        b"ok",
    ),
    "up to the end": ([b"HTTP/1.0 200 OK\r\n\r\nok", close], b"ok"),
    "up to the end, said so": ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\no", 0.001, b"k", close], b"ok"),
    "no content": ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
    "exactly the cap": ([reply("HTTP/1.1 200 OK", "Content-Length: 1000", body=bytes(1000))], bytes(1000)),
    "with bytes after it": ([OK + b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nimpostor!"], b"ok"),
    "with garbage after it": ([OK + b"\x00garbage"], b"ok"),
}

BROKEN: dict[str, tuple[list[Step], str]] = {
    "closed": ([close], "connection_lost"),
    "reset": ([reset], "connection_lost"),
    "closed in the head": ([OK[:30], close], "connection_lost"),
    "closed after an interim reply": ([b"HTTP/1.1 100 Continue\r\n\r\n", close], "connection_lost"),
    "closed in the body": ([OK[:-1], close], "reply_cut_short"),
    "closed between chunks": ([CHUNKED + b"2\r\nok\r\n", close], "reply_cut_short"),
    "closed in the trailers": ([CHUNKED + b"2\r\nok\r\n0\r\n", close], "reply_cut_short"),
    "reset before its end": ([b"HTTP/1.0 200 OK\r\n\r\nok", 0.001, reset], "connection_lost"),
    "no status line": ([b"ok\r\n\r\n"], "reply_not_http"),
    "a request": ([b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok"], "reply_not_http"),
    "bare line feeds": ([OK.replace(b"\r\n", b"\n")], "reply_not_http"),
    "a header continued": (
        [b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok"],
        "reply_not_http",
    ),
    "two sizes": (
        [reply("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 3", body=b"ok!")],
        "reply_not_http",
    ),
    "a size and chunks": (
        [reply("HTTP/1.1 200 OK", "Content-Length: 2", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")],
        "reply_not_http",
    ),
    "a negative size": ([reply("HTTP/1.1 200 OK", "Content-Length: -1")], "reply_not_http"),
    "an endless size": ([reply("HTTP/1.1 200 OK", f"Content-Length: {'9' * 40}")], "reply_not_http"),
    "a bad chunk": ([CHUNKED + b"zz\r\nok\r\n"], "reply_not_http"),
    "another protocol": (
        [reply("HTTP/1.1 101 Switching", "Upgrade: x", "Connection: upgrade", body=b"zz")],
        "reply_not_http",
    ),
    "another transfer coding": (
        [reply("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")],
        "reply_not_http",
    ),
    "compressed": (
        [reply("HTTP/1.1 200 OK", "Content-Encoding: gzip", "Content-Length: 2", body=b"ok")],
        "reply_compressed",
    ),
    "compressed at second sight": (
        [
            reply(
                "HTTP/1.1 200 OK",
                "X:",
                "Content-encoding: identity",
                "content-encoding: br",
                "Content-Length: 0",
            )
        ],
        "reply_compressed",
    ),
    "announced too large": ([reply("HTTP/1.1 200 OK", "Content-Length: 1001")], "reply_too_large"),
    "too large": ([b"HTTP/1.1 200 OK\r\n\r\n", bytes(600), 0.001, bytes(600)], "reply_too_large"),
    "too large in chunks": ([CHUNKED + b"1\r\no\r\n" * 1001], "reply_too_large"),
    "endless trailer": ([CHUNKED + b"0\r\nA: ", *[b"b" * 9_000] * 12], "reply_too_large"),
    "endless chunk extension": ([CHUNKED + b"1;", *[b"b" * 9_000] * 12], "reply_too_large"),
    "endless header": ([b"HTTP/1.1 200 OK\r\nA: ", *[b"b" * 9_000] * 4], "reply_head_too_large"),
    "endless reason": ([b"HTTP/1.1 200 ", *[b"b" * 9_000] * 4], "reply_head_too_large"),
    **{
        f"an interim reply {status} with a body, {head}": (
            [f"HTTP/1.1 {status} X\r\n{head}\r\n\r\n{body}".encode() + OK],
            "reply_not_http",
        )
        for status in (102, 104, 199)
        for head, body in (
            ("Content-Length: 4", "evil"),
            ("Transfer-Encoding: chunked", "4\r\nevil\r\n0\r\n\r\n"),
        )
    },
    "endless interim replies": ([b"HTTP/1.1 100 Continue\r\n\r\n" * 1400], "reply_head_too_large"),
    "a large header that ends": (
        [reply("HTTP/1.1 200 OK", f"A: {'b' * MAX_HEAD_BYTES}", "Content-Length: 0")],
        "reply_head_too_large",
    ),
    "too many headers": (
        [reply("HTTP/1.1 200 OK", *["A: b"] * MAX_HEADERS, "Content-Length: 0")],
        "reply_head_too_large",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_a_whole_reply_is_taken(name: str) -> None:
    script, body = WHOLE[name]
    async with peer(script) as one, client() as through:
        assert (await post(through, one.url)).body == body


@pytest.mark.parametrize("name", BROKEN)
async def test_anything_else_is_in_doubt_and_the_next_request_is_not_harmed(name: str) -> None:
    script, code = BROKEN[name]
    async with peer(script) as one, client() as through:
        with pytest.raises(Uncertain) as caught:
            await post(through, one.url)
        assert caught.value.code == code
        assert (await post(through, one.url)).body == b"ok"
    assert (len(one.requests), one.connections) == (2, 2)


async def test_a_request_leaves_in_one_piece_with_what_it_needs_and_nothing_else() -> None:
    pieces = []
    write = Connection.exchange

    def watched(
        self: Connection, request: bytes, deadline: float, max_bytes: int
    ) -> asyncio.Future[HttpReply]:
        pieces.append(request)
        return write(self, request, deadline, max_bytes)

    async with peer() as one, client() as through:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "exchange", watched)
            await post(through, one.url)
    host = one.url.removeprefix("http://").partition("/")[0]
    assert one.requests == pieces
    assert one.requests[0].decode().split("\r\n") == [
        "POST /p?q=1 HTTP/1.1",
        f"Host: {host}",
        "User-Agent: umrah-gateway",
        "Accept-Encoding: identity",
        "Content-Type: text/xml; charset=utf-8",
        "Content-Length: 10",
        "",
        "<request/>",
    ]


@pytest.mark.parametrize(
    ("script", "connections"),
    [
        ([OK], 1),
        ([CHUNKED + b"2\r\nok\r\n0\r\n\r\n"], 1),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], 1),
        ([b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"], 1),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], 2),
        ([reply("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 2", body=b"ok")], 2),
        ([OK + OK], 2),
        ([OK + b"x"], 2),
        ([b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"], 2),
    ],
)
async def test_only_a_reply_that_ends_cleanly_leaves_a_usable_connection(
    script: list[Step], connections: int
) -> None:
    async with peer(script) as one, client() as through:
        await post(through, one.url)
        assert (await post(through, one.url)).body == b"ok"
    assert one.connections == connections


async def test_what_comes_unasked_is_never_the_next_answer() -> None:
    async with peer([OK, 0.01, OK.replace(b"ok", b"no")]) as one, client() as through:
        await post(through, one.url)
        await asyncio.sleep(0.03)
        assert (await post(through, one.url)).body == b"ok"
    assert one.connections == 2


async def test_the_connection_used_last_is_used_next() -> None:
    async with peer([0.03, OK], [OK]) as one, client() as through:
        await asyncio.gather(post(through, one.url), post(through, one.url))
        (pool,) = through._idle.values()
        before = list(pool)
        for _ in range(3):
            await post(through, one.url)
        assert pool == before
    assert one.connections == 2


async def test_a_connection_that_grew_old_while_nothing_ran_is_not_used() -> None:
    clock = ManualClock()
    async with peer() as one, client(clock, idle_s=5) as through:
        await post(through, one.url)
        clock.pass_by(seconds=4)
        await post(through, one.url)
        assert one.connections == 1
        clock.pass_by(seconds=5)
        await post(through, one.url)
    assert one.connections == 2


async def test_a_new_connection_that_is_closed_already_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([False])
    is_usable = Connection.is_usable
    monkeypatch.setattr(Connection, "is_usable", lambda self: next(found, True) and is_usable(self))
    async with peer() as one, client() as through:
        assert (await post(through, one.url)).body == b"ok"
    assert (len(one.requests), one.connections) == (1, 2)


async def test_a_new_connection_that_is_always_closed_already_is_sent_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Connection, "is_usable", lambda _: False)
    async with peer() as one, client() as through:
        with pytest.raises(Unavailable, match="not_connected"):
            await post(through, one.url)
    assert (one.requests, one.connections) == ([], 3)


async def test_trailers_are_not_taken_for_headers() -> None:
    script: list[Step] = [
        reply("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Content-Type: text/xml", "A: 1", "a: 2"),
        b"2\r\nok\r\n0\r\nContent-Type: text/html\r\nB: 3\r\n\r\n",
    ]
    async with peer(script) as one, client() as through:
        headers = (await post(through, one.url)).headers
    assert headers == {"transfer-encoding": "chunked", "content-type": "text/xml", "a": "1, 2"}


async def test_headers_of_interim_replies_are_forgotten() -> None:
    async with (
        peer([b"HTTP/1.1 103 Hints\r\nContent-Type: text/html\r\n\r\n" + OK]) as one,
        client() as through,
    ):
        assert (await post(through, one.url)).headers["content-type"] == "text/xml"


class _Alert(ssl.SSLError):
    reason = "SSLV3_ALERT_CERTIFICATE_EXPIRED"


@pytest.mark.parametrize(
    ("answered_before", "means"),
    [(False, (Unavailable, "own_certificate_refused")), (True, (Uncertain, "connection_lost"))],
)
async def test_our_certificate_is_refused_in_the_handshake_or_too_late_to_say_that_nothing_was_done(
    answered_before: bool, means: tuple[type[Exception], str]
) -> None:
    connections: list[Connection] = []

    class Noting(HttpClient):
        async def connect(self, origin: Origin, timeout_s: float) -> Connection:
            connections.append(await super().connect(origin, timeout_s))
            return connections[-1]

    async with peer([OK] if answered_before else [0.5], [0.5]) as one:
        through = Noting(SystemClock(), idle_s=60)
        await through.start()
        if answered_before:
            await post(through, one.url)
        calling = asyncio.create_task(post(through, one.url))
        while len(one.requests) < 1 + answered_before:
            await asyncio.sleep(0)
        connections[-1].connection_lost(_Alert(1, "alert"))
        with pytest.raises(means[0], match=f"^{means[1]}"):
            await calling
        await through.close()


async def test_a_cancelled_call_leaves_no_connection_to_another() -> None:
    async with peer([0.05, OK.replace(b"ok", b"no")]) as one, client() as through:
        calling = asyncio.create_task(post(through, one.url))
        await asyncio.sleep(0.02)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert (await post(through, one.url)).body == b"ok"
    assert one.connections == 2


async def test_a_call_that_is_too_late_leaves_its_connection() -> None:
    async with peer() as one, client() as through:
        await post(through, one.url)
        with pytest.raises(Unavailable, match="send_by_passed"):
            await post(through, one.url, send_by_boottime_s=0.0)
        with pytest.raises(Unavailable, match="not_sent"):
            await post(through, one.url, deadline_s=0.0)
        await post(through, one.url)
    assert (len(one.requests), one.connections) == (2, 1)


async def test_unused_connections_are_closed_without_another_call() -> None:
    async with peer() as one, client(idle_s=0.02) as through:
        await post(through, one.url)
        (connection,) = next(iter(through._idle.values()))
        await asyncio.sleep(0.06)
        assert not any(through._idle.values())
        assert connection._transport.is_closing()


async def test_a_client_that_was_closed_keeps_nothing() -> None:
    async with peer([0.05, OK]) as one:
        async with client() as through:
            calling = asyncio.create_task(post(through, one.url))
            await asyncio.sleep(0.02)
        assert (await calling).body == b"ok"
        assert not any(through._idle.values())
        with pytest.raises(RuntimeError, match="not started"):
            await post(through, one.url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "http:///p",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX: y",
        "http://127.0.0.1/\u0637",
    ],
)
async def test_what_is_no_address_is_not_sent(url: str) -> None:
    async with client() as through:
        with pytest.raises(Unavailable, match="address_invalid"):
            await post(through, url)


async def test_a_name_that_is_too_long_for_dns_is_not_sent() -> None:
    async with client() as through:
        with pytest.raises(Unavailable, match=r"address_invalid|name_not_resolved"):
            await post(through, f"http://{'a' * 64}.example/")


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    async with client() as through:
        with pytest.raises(Unavailable, match="address_invalid"):
            await through.post(
                "http://127.0.0.1:1/",
                {"SOAPAction": "a\r\nX: y"},
                b"",
                deadline_s=1,
                connect_timeout_s=1,
                max_reply_bytes=1,
                send_by_boottime_s=0,
            )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "partner")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


def serving_tls(pair: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)
    return context


async def test_a_trusted_partner_is_called_over_tls_on_one_connection(pair: tuple[Path, Path]) -> None:
    through = HttpClient(SystemClock(), idle_s=5, tls=ssl.create_default_context(cafile=str(pair[0])))
    await through.start()
    async with peer(tls=serving_tls(pair)) as one:
        for _ in range(3):
            assert (await post(through, one.url)).body == b"ok"
        await through.close()
    assert one.connections == 1


async def test_a_partner_with_an_unknown_certificate_is_sent_nothing(pair: tuple[Path, Path]) -> None:
    async with peer(tls=serving_tls(pair)) as one, client() as through:
        with pytest.raises(Unavailable, match="certificate_untrusted"):
            await post(through, one.url)
    assert one.requests == []


async def test_a_partner_that_speaks_no_tls_is_sent_nothing() -> None:
    async with peer() as one, client() as through:
        one_url = one.url.replace("http:", "https:")
        with pytest.raises(Unavailable, match=r"tls_failed|not_connected|connect_timeout"):
            await post(through, one_url, connect_timeout_s=0.2, deadline_s=0.3)
    assert one.requests == []


class _Timer:
    def __init__(self, at: float, run: Callable[[], None]) -> None:
        self.at, self.run, self.cancelled = at, run, False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


class _Loop:
    """Time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[_Timer] = []
        self.real = asyncio.new_event_loop()

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[HttpReply]:
        return self.real.create_future()

    def call_at(self, at: float, run: Callable[..., None], *args: object) -> _Timer:
        self.timers.append(_Timer(at, lambda: run(*args)))
        return self.timers[-1]

    @property
    def armed(self) -> list[float]:
        return [timer.at for timer in self.timers if not timer.cancelled]

    def pass_to(self, now: float) -> None:
        self.now = now
        due = [timer for timer in self.timers if timer.at <= now]
        self.timers = [timer for timer in self.timers if timer.at > now]
        for timer in due:
            if not timer.cancelled:
                timer.run()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Loop]:
    stepped = _Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: stepped)
    yield stepped
    stepped.real.close()


def _connection() -> Connection:
    connection = Connection()
    connection.connection_made(_Transport())
    return connection


def test_one_timer_serves_exchange_after_exchange_and_each_has_its_own_deadline(loop: _Loop) -> None:
    connection = _connection()
    for deadline in (10.0, 12.0, 15.0):
        waiting = connection.exchange(b"", deadline, 1_000)
        if deadline < 15.0:
            connection.data_received(OK)
            assert waiting.result().body == b"ok"
    assert loop.armed == [10.0]
    loop.pass_to(10.0)
    loop.pass_to(14.9)
    assert not waiting.done()
    loop.pass_to(15.0)
    assert isinstance(waiting.exception(), TimeoutError)
    assert not connection.has_ended_well()


def test_an_exchange_with_an_earlier_deadline_than_the_one_before_is_given_up_earlier(loop: _Loop) -> None:
    connection = _connection()
    connection.exchange(b"", 10.0, 1_000)
    connection.data_received(OK)
    waiting = connection.exchange(b"", 5.0, 1_000)
    assert loop.armed == [5.0]
    loop.pass_to(5.0)
    assert isinstance(waiting.exception(), TimeoutError)


def test_a_timer_that_runs_out_between_exchanges_does_no_harm(loop: _Loop) -> None:
    connection = _connection()
    connection.exchange(b"", 10.0, 1_000)
    connection.data_received(OK)
    loop.pass_to(11.0)
    assert connection.has_ended_well()
    assert loop.armed == []
    waiting = connection.exchange(b"", 20.0, 1_000)
    loop.pass_to(20.0)
    assert isinstance(waiting.exception(), TimeoutError)


def test_a_connection_that_ended_leaves_no_timer(loop: _Loop) -> None:
    connection = _connection()
    waiting = connection.exchange(b"", 10.0, 1_000)
    connection.connection_lost(None)
    assert loop.armed == []
    assert isinstance(waiting.exception(), Uncertain)


@given(st.binary(max_size=200), st.lists(st.integers(0, 250), max_size=4), st.booleans())
def test_no_bytes_break_the_reader_and_cutting_them_changes_nothing(
    garbage: bytes, cuts: list[int], after_a_status_line: bool
) -> None:
    data = (b"HTTP/1.1 200 OK\r\n" if after_a_status_line else b"") + garbage
    assert _outcome([data]) == _outcome(_cut(data, cuts))


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if data[start:end]]


def _outcome(pieces: list[bytes]) -> object:
    """What a connection makes of these bytes and the end: the reply, or the kind of failure."""
    loop = asyncio.new_event_loop()
    try:
        connection = Connection()
        connection.connection_made(_Transport())
        connection._begin(1_000)
        reply = connection._reply = loop.create_future()
        for piece in pieces:
            connection.data_received(piece)
        connection.eof_received()
        error = reply.exception()
        return reply.result() if error is None else type(error)
    finally:
        loop.close()


class _Transport(asyncio.Transport):
    def get_extra_info(self, name: str, default: object = None) -> object:
        return object() if name == "ssl_object" else default

    def abort(self) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return False
