"""Partners behind TLS that want to see our certificate: real handshakes, real certificates."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.errors import Misconfigured, Unavailable
from gateway.http import HttpClient, HttpReply
from gateway.http.tls import partner_context
from gateway.settings.transport import ClientTls
from tests.web.certificates import LONG_PAST, NOT_YET, Authority, Pair

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Partner:
    """Answers every request with 200, once the handshake is through; knows what it read.

    In a thread, with OpenSSL on the socket itself: asyncio's servers keep the alerts of a failed handshake.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.read = b""
        self.shown: list[bytes | None] = []
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://{host}:{self._listening.getsockname()[1]}/x"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(30)

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            taken.settimeout(30)
            wrapped = self._context.wrap_socket(taken, server_side=True, do_handshake_on_connect=False)
            with wrapped as connection, suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: ssl.SSLSocket) -> None:
        try:
            connection.do_handshake()
        except ssl.SSLError:
            # Whoever closes with something unread resets, and the alert may be lost on its way.
            socket.socket.shutdown(connection, socket.SHUT_WR)
            while socket.socket.recv(connection, 65_536):
                pass
            raise
        self.shown.append(connection.getpeercert(binary_form=True))
        while data := connection.recv(65_536):
            self.read += data
            if data.endswith(b"<request/>"):
                connection.sendall(OK)


@contextmanager
def partner(
    ours: Authority, pair: Pair, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, host: str = "127.0.0.1"
) -> Iterator[Partner]:
    """Wants a certificate of `ours`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(ours.file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = newest
    made = Partner(context, host)
    try:
        yield made
    finally:
        made.close()


def tls(pair: Pair | None, authority: Authority, *pins: str) -> ClientTls:
    shown = {"certificate": str(pair.certificate), "key": str(pair.key)} if pair else {}
    return ClientTls(ca=str(authority.file), pins=pins, **shown)


async def call(made: Partner, how: ClientTls) -> HttpReply:
    client = HttpClient(SystemClock(), idle_s=5, tls=partner_context(how, Path()), pins=how.pins)
    await client.start()
    try:
        return await client.post(
            made.url,
            {},
            b"<request/>",
            deadline_s=30,
            connect_timeout_s=30,
            max_reply_bytes=1_000,
            send_by_boottime_s=float("inf"),
        )
    finally:
        await client.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_our_certificate_is_shown_to_a_partner_that_wants_it(authority: Authority) -> None:
    with partner(authority, authority.pair("partner")) as made:
        reply = await call(made, tls(authority.pair("ours"), authority))
    assert (reply.status, reply.body) == (200, b"ok")
    assert made.shown[0] is not None


@pytest.mark.parametrize(
    ("begins_ends", "host", "code"),
    [
        ({"ends": LONG_PAST}, "127.0.0.1", "certificate_expired"),
        ({"begins": NOT_YET}, "127.0.0.1", "certificate_expired"),
        ({"host": "other.example"}, "127.0.0.1", "certificate_wrong_name"),
        ({"host": "other.example"}, "localhost", "certificate_wrong_name"),
        ({"host": "127.0.0.2"}, "127.0.0.1", "certificate_wrong_name"),
    ],
    ids=["expired", "not yet", "address", "name", "other address"],
)
async def test_a_partner_with_a_wrong_certificate_is_sent_nothing(
    authority: Authority, begins_ends: dict[str, object], host: str, code: str
) -> None:
    wrong = authority.pair("partner", **begins_ends)  # type: ignore[arg-type]
    with partner(authority, wrong, host=host) as made, pytest.raises(Unavailable, match=f"^{code}$"):
        await call(made, tls(authority.pair("ours"), authority))
    assert made.read == b""


async def test_a_partner_of_another_authority_is_sent_nothing(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other")
    with partner(authority, other.pair("partner")) as made:
        with pytest.raises(Unavailable, match=r"^certificate_untrusted$"):
            await call(made, tls(authority.pair("ours"), authority))
        # Nor is the machine's trust asked where the partner's own authority is configured.
        with pytest.raises(Unavailable, match=r"^certificate_untrusted$"):
            await call(made, ClientTls())
    assert made.read == b""


async def test_the_environment_adds_no_trust_and_takes_no_keys(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with partner(authority, authority.pair("partner")) as made:
        with pytest.raises(Unavailable, match=r"^certificate_untrusted$"):
            await call(made, ClientTls())
        assert (await call(made, tls(authority.pair("ours"), authority))).status == 200
    assert not (tmp_path / "keys.log").exists()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", ["none", "ended", "of another authority"])
async def test_a_partner_that_refuses_our_certificate_has_taken_nothing(
    authority: Authority, tmp_path: Path, newest: ssl.TLSVersion, shown: str
) -> None:
    """With TLS 1.3 our request is on its way when the verdict comes; it was not read all the same."""
    (tmp_path / "other").mkdir()
    pairs = {
        "none": None,
        "ended": authority.pair("ours", ends=LONG_PAST),
        "of another authority": Authority(tmp_path / "other", "other").pair("ours"),
    }
    with (
        partner(authority, authority.pair("partner"), newest=newest) as made,
        pytest.raises(Unavailable, match=r"^own_certificate_refused$|^tls_failed$") as raised,
    ):
        await call(made, tls(pairs[shown], authority))
    # TLS 1.2 has no alert of its own for a certificate that is missing.
    nameless = (newest, shown) == (ssl.TLSVersion.TLSv1_2, "none")
    assert nameless or raised.value.code == "own_certificate_refused"
    assert made.read == b""


async def test_a_pinned_partner_shows_that_certificate_or_is_sent_nothing(authority: Authority) -> None:
    pair, ours = authority.pair("partner"), authority.pair("ours")
    coming = authority.pair("coming")
    with partner(authority, pair) as made:
        assert (await call(made, tls(ours, authority, coming.sha256, pair.sha256.upper()))).status == 200
        made.read = b""
        with pytest.raises(Unavailable, match=r"^certificate_not_pinned$"):
            await call(made, tls(ours, authority, coming.sha256))
    assert made.read == b""


async def test_nothing_older_than_tls_1_2_is_spoken(authority: Authority) -> None:
    context = partner_context(tls(authority.pair("ours"), authority), Path())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_files_that_do_not_fit_stop_the_start(authority: Authority) -> None:
    ours = authority.pair("ours")
    with pytest.raises(Misconfigured):
        partner_context(ClientTls(ca="missing.pem"), authority.folder)
    other = authority.pair("other")
    with pytest.raises(Misconfigured):
        partner_context(ClientTls(certificate=str(ours.certificate), key=str(other.key)), Path(os.sep))
