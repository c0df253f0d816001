"""HTTP and JSON: what a service center, or somebody in its place, can send."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.message import new_id
from gateway.web.tokens import demo_key_path, demo_public_key_path, sign_token
from tests.hostile.row import Act, Row, Told, lines_of, of
from tests.hostile.site import CANARY, CENTER, Gateway, Site, application, batch_request, header, json_batch
from tests.hostile.wire import Answer, answer_in, chunked, exchange, is_whole, request

JSON: Final = "application/json"
_MB: Final = 1_048_576


def _posted(body: Callable[[], bytes], media: str = JSON, **options: Any) -> Callable[[Site], Act]:
    """A batch with that body."""

    def prepare(site: Site) -> Act:
        sent = batch_request(site.gateway, body(), media, **options)
        return lambda: lines_of(site.gateway.send(sent))

    return prepare


def _replaced(old: str, new: bytes) -> Callable[[], bytes]:
    """A good JSON batch, its text changed in one place."""

    def body() -> bytes:
        good = json_batch()
        assert old.encode() in good, old
        return good.replace(old.encode(), new, 1)

    return body


def _spoilt(**changes: Any) -> Callable[[], bytes]:
    return lambda: json_batch(application(**changes))


def _raw(
    make: Callable[[Gateway], Any], *, hasty: bool = False, longest_s: float = 60
) -> Callable[[Site], Act]:
    """Bytes of any kind on the public listener."""

    def prepare(site: Site) -> Act:
        gateway = site.hasty if hasty else site.gateway
        pieces = make(gateway)
        return lambda: of(exchange(gateway.home.ports["public"], pieces, longest_s=longest_s))

    return prepare


# --- keys and batches -------------------------------------------------------------------------------------


def _same_key_other_body(site: Site) -> Act:
    key = f"same-{new_id()}"
    assert site.gateway.batch(json_batch(), JSON, key=key).status == 202
    sent = batch_request(site.gateway, json_batch(), JSON, key=key)
    return lambda: of(site.gateway.send(sent))


def _fifty_at_once(site: Site) -> Act:
    key, body = f"fifty-{new_id()}", json_batch()
    sent = [batch_request(site.gateway, body, JSON, key=key) for _ in range(50)]
    answers: list[Answer] = []

    def act() -> Told:
        threads = [
            threading.Thread(target=lambda one=one: answers.append(site.gateway.send(one))) for one in sent
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = Counter(of(each).answer for each in answers)
        batches = {each.document["batch_id"] for each in answers if each.status == 202}
        known = set(codes) <= {"202", "409 batch_in_progress", "429 rate_limited"}
        told = f"{len(batches)} batch" if known and codes["202"] else str(codes)
        return Told(told, b"".join(each.raw for each in answers))

    return act


def _anothers_batch(site: Site) -> Act:
    batch = site.gateway.batch(json_batch(), JSON).document["batch_id"]
    paths = [f"/v1/batches/{id}{rest}" for rest in ("", "/results", "/rejected") for id in (batch, new_id())]

    def act() -> Told:
        answers = [site.gateway.get(path, party="sc-02") for path in paths]
        blank = {_without_ids(each) for each in answers}
        return Told(f"{of(answers[0]).answer}, as an absent one" if len(blank) == 1 else str(blank))

    return act


def _without_ids(answer: Answer) -> tuple[int, str]:
    document = {name: value for name, value in answer.document.items() if name != "request_id"}
    return answer.status, json.dumps(document, sort_keys=True)


# --- framing ----------------------------------------------------------------------------------------------


def _framed(headers: dict[str, str], body: bytes) -> Callable[[Gateway], bytes]:
    def make(gateway: Gateway) -> bytes:
        return batch_request(gateway, body, JSON, headers=headers)

    return make


def _two_lengths(gateway: Gateway) -> bytes:
    return batch_request(gateway, json_batch(), JSON).replace(
        b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1
    )


def _length_and_chunked(gateway: Gateway) -> bytes:
    return batch_request(gateway, json_batch(), JSON).replace(
        b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 1
    )


def _too_long(gateway: Gateway) -> Iterator[bytes]:
    """Over the limit, its length announced by nobody."""
    head = batch_request(gateway, b"", "application/x-ndjson", headers={"Transfer-Encoding": "chunked"})
    return iter([head, *chunked(repeat(b"\n" * _MB, 10))])


def _too_long_message(gateway: Gateway) -> Iterator[bytes]:
    headers = {
        "Authorization": f"Bearer {gateway.token('licensing')}",
        "Content-Type": JSON,
        "Transfer-Encoding": "chunked",
    }
    head = request("POST", "/v1/messages/licensee.status", headers)
    return iter([head, *chunked(repeat(b" " * 65_536, 40))])


def _header_of(size: int) -> Callable[[Gateway], bytes]:
    return lambda gateway: batch_request(gateway, b"{}", JSON, headers={"X-Much": "x" * size})


def _many_headers(gateway: Gateway) -> bytes:
    return batch_request(gateway, b"{}", JSON, headers={f"X-{n}": CANARY for n in range(10_000)})


# --- slow senders -----------------------------------------------------------------------------------------


def _dripped(pieces: Callable[[Gateway], tuple[bytes, bytes]], pause_s: float) -> Callable[[Site], Act]:
    """First the one at once, then the other byte by byte until an answer comes."""

    def prepare(site: Site) -> Act:
        first, slow = pieces(site.hasty)

        def act() -> Told:
            with socket.create_connection(("127.0.0.1", site.hasty.home.ports["public"]), timeout=10) as line:
                line.sendall(first)
                received = _drip(line, slow, pause_s)
            return of(answer_in(received))

        return act

    return prepare


def _drip(line: socket.socket, slow: bytes, pause_s: float) -> bytes:
    line.settimeout(pause_s)
    received = b""
    for byte in slow:
        try:
            line.sendall(bytes([byte]))
        except OSError:
            break
        try:
            data = line.recv(65_536)
        except TimeoutError:
            continue
        except OSError:
            break
        received += data
        if not data or is_whole(received):
            return received
    line.settimeout(5)
    try:
        while not is_whole(received) and (data := line.recv(65_536)):
            received += data
    except OSError:
        return received
    return received


def _slow_head(_gateway: Gateway) -> tuple[bytes, bytes]:
    return b"POST /v1/batches HTTP/1.1\r\n", b"X-Slow: " + b"x" * 1_000


def _slow_body(gateway: Gateway) -> tuple[bytes, bytes]:
    whole = batch_request(gateway, json_batch(), JSON)
    head, _, body = whole.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


def _silent_body(site: Site) -> Act:
    sent = batch_request(site.hasty, json_batch(), JSON)[:-10]
    return lambda: of(exchange(site.hasty.home.ports["public"], sent))


# --- tokens -----------------------------------------------------------------------------------------------


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": CENTER, "aud": "umrah-gateway", "iat": now, "exp": now + 240, "jti": new_id()}
    return {**good, **changes}


def _by(make: Callable[[Site], str]) -> Callable[[Site], Act]:
    """A good batch under that token."""

    def prepare(site: Site) -> Act:
        sent = batch_request(site.gateway, json_batch(), JSON, token=make(site))
        return lambda: of(site.gateway.send(sent))

    return prepare


def _unsigned(_site: Site) -> str:
    return jwt.encode(_claims(), None, algorithm="none")


def _signed(**changes: Any) -> Callable[[Site], str]:
    def make(site: Site) -> str:
        key = demo_key_path(site.gateway.home.data, CENTER).read_bytes()
        return jwt.encode(_claims(**changes), key, algorithm="EdDSA")

    return make


def _hmac_of_the_public_key(site: Site) -> str:
    """The public key as if it were a shared secret (RFC 8725, 2.1). By hand: PyJWT refuses to make it."""
    import hashlib
    import hmac

    secret = demo_public_key_path(site.gateway.home.data, CENTER).read_bytes()
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, _claims())]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    made = hmac.new(secret, text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(made).rstrip(b"=")).decode()


def _by_nobody(_site: Site) -> str:
    return jwt.encode(_claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA")


def _named_keys(site: Site) -> str:
    """Headers that name a key of their own, by value and by address: neither is looked at."""
    own = Ed25519PrivateKey.generate()
    url = f"http://127.0.0.1:{site.partner.elsewhere}/keys"
    return jwt.encode(
        _claims(), own, algorithm="EdDSA", headers={"jku": url, "x5u": url, "kid": "../../sc-01.pem"}
    )


def _expired(site: Site) -> str:
    before = datetime.now(UTC) - timedelta(hours=1)
    return sign_token(demo_key_path(site.gateway.home.data, CENTER), CENTER, "umrah-gateway", 60, before)


def _replayed(site: Site) -> Act:
    token = site.gateway.token()
    assert site.gateway.batch(json_batch(), JSON, token=token).status == 202
    sent = batch_request(site.gateway, json_batch(), JSON, token=token)
    return lambda: of(site.gateway.send(sent))


def _claimed_certificate(_gateway: Gateway) -> bytes:
    """What a proxy in front would say of a client's certificate, said by the client."""
    headers = {
        "X-Client-Cert": "sc-01", "X-SSL-Client-S-DN": "CN=sc-01", "X-Forwarded-Client-Cert": "By=sc-01",
        "X-Forwarded-For": "127.0.0.1", "Content-Type": JSON, "Idempotency-Key": "certificate",
    }  # fmt: skip
    return request("POST", "/v1/batches", headers, json_batch())


def _other_host(site: Site) -> Act:
    sent = batch_request(site.gateway, json_batch(), JSON, headers={"Host": "evil.example"})

    def act() -> Told:
        answer = site.gateway.send(sent)
        named = "evil.example" in answer.headers.get("location", "evil.example")
        return Told(f"{answer.status}, {'its' if named else 'our'} address in Location", answer.raw)

    return act


def _path(path: str) -> Callable[[Gateway], bytes]:
    return lambda gateway: request("GET", path, {"Authorization": f"Bearer {gateway.token()}"})


_DEEP: Final = b"[" * 100_000
_NUMBER: Final = '"season": 1448'


def _deep_value(inside: bytes) -> bytes:
    return (
        json.dumps({**header(), "applications": [application(address="HERE")]})
        .encode()
        .replace(b'"HERE"', inside)
    )


def _rows() -> Iterator[Row]:
    section = "HTTP, JSON"
    one = "202, 0 accepted, 1 rejected: "

    yield Row(
        section,
        "duplicate key in the batch's header",
        _posted(_replaced(_NUMBER, b'"season": 1, "season": 1448')),
        "400 duplicate_key",
    )
    yield Row(
        section,
        "duplicate key in a line",
        _posted(_replaced('"sex"', b'"sex": "M", "sex"')),
        f"{one}duplicate_key",
        refused=False,
    )
    for text in ("NaN", "Infinity", "1e999", "9" * 5_000):
        name = text if len(text) < 10 else "an integer of 5,000 digits"
        yield Row(
            section,
            f"{name} in a line",
            _posted(lambda text=text: _deep_value(text.encode())),
            f"{one}number_not_allowed",
            refused=False,
        )
    yield Row(section, "nesting 100,000 deep", _posted(lambda: _deep_value(_DEEP)), "400 nesting_too_deep")
    yield Row(
        section,
        "nesting 100,000 deep, and closed again",
        _posted(lambda: _deep_value(_DEEP + b"]" * 100_000)),
        "400 nesting_too_deep",
    )
    yield Row(section, "unknown field", _posted(_spoilt(colour=CANARY)), f"{one}unknown_field", refused=False)
    yield Row(
        section,
        "unknown field of the batch",
        _posted(_replaced(_NUMBER, b'"colour": "red", "season": 1448')),
        "422 header_invalid",
    )
    yield Row(
        section, "byte-order mark", _posted(lambda: b"\xef\xbb\xbf" + json_batch()), "400 byte_order_mark"
    )
    yield Row(section, "bad UTF-8", _posted(_replaced("Street", b"\xff\xfe")), "400 encoding_not_utf8")
    yield Row(
        section,
        "lone surrogate",
        _posted(_replaced("Street", rb"\ud800")),
        f"{one}invalid_format",
        refused=False,
    )
    yield Row(
        section,
        "the same idempotency key with another body",
        _same_key_other_body,
        "409 idempotency_key_reused",
    )
    yield Row(
        section,
        "one key 50 times at once",
        _fifty_at_once,
        "1 batch",
        refused=False,
        note="each answer 202 with the one id, 409 or 429",
    )
    yield Row(
        section,
        "body over the limit (its length announced)",
        _raw(_framed({"Content-Length": "200000001"}, b"{")),
        "413 batch_too_large",
    )
    yield Row(
        section,
        "body over the limit, chunked, no Content-Length",
        _raw(_too_long, hasty=True),
        "413 batch_too_large",
        hasty=True,
        note="the limit is 5 MB here",
    )
    yield Row(section, "message over 1 MB, chunked", _raw(_too_long_message), "413 body_too_large")
    yield Row(section, "two Content-Lengths", _raw(_two_lengths), "400 bad_request")
    yield Row(section, "Content-Length with Transfer-Encoding", _raw(_length_and_chunked), "400 bad_request")
    yield Row(section, "JWT `none`", _by(_unsigned), "401 unauthenticated")
    yield Row(section, "JWT for another audience", _by(_signed(aud="another")), "401 unauthenticated")
    yield Row(section, "JWT expired", _by(_expired), "401 token_expired")
    yield Row(section, "JWT with a replayed `jti`", _replayed, "401 token_replayed")
    yield Row(section, "JWT signed by nobody known", _by(_by_nobody), "401 unauthenticated")
    yield Row(
        section, "JWT with HMAC under the public key", _by(_hmac_of_the_public_key), "401 unauthenticated"
    )
    yield Row(
        section,
        "JWT that names its own key (`jku`, `x5u`, `kid`)",
        _by(_named_keys),
        "401 unauthenticated",
        note="the address is not asked",
    )
    yield Row(
        section, "JWT without an end (`exp` 1e999)", _by(_signed(exp=float("inf"))), "401 unauthenticated"
    )
    yield Row(
        section,
        "JWT of a party to whom the key does not belong",
        _by(_signed(iss="sc-02")),
        "401 unauthenticated",
    )
    yield Row(
        section, "another party's batch id", _anothers_batch, "404 not_found, as an absent one", canaries=()
    )
    yield Row(
        section, "headers that name a client certificate", _raw(_claimed_certificate), "401 unauthenticated"
    )
    yield Row(section, "`Host` of somebody else", _other_host, "202, our address in Location", refused=False)
    yield Row(
        section,
        "ids that leave their path",
        _raw(_path("/v1/batches/..%2f..%2fadmin%2fmessages")),
        "404 not_found",
        canaries=(),
    )
    yield Row(
        section, "an id of 5,000 characters", _raw(_path("/v1/batches/" + CANARY * 500)), "414 url_too_long"
    )
    yield Row(
        section,
        "an id with a NUL and a line break",
        _raw(_path("/v1/batches/a%00%0d%0aX:y")),
        "404 not_found",
        canaries=(),
    )
    yield Row(section, "a header of 100 kB", _raw(_header_of(100_000)), "431 headers_too_large")
    yield Row(section, "10,000 headers", _raw(_many_headers), "431 headers_too_large")
    yield Row(
        section,
        "not HTTP",
        _raw(lambda _g: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 100),
        "400 bad_request",
        canaries=(),
    )
    yield Row(
        section,
        "gzip 1000:1 (100 MB)",
        _posted(lambda: gzip.compress(b" " * 100_000_000, 9), headers={"Content-Encoding": "gzip"}),
        "413 invalid_gzip",
    )
    yield Row(
        section,
        "gzip in gzip",
        _posted(lambda: gzip.compress(gzip.compress(json_batch())), headers={"Content-Encoding": "gzip"}),
        "400 invalid_json",
    )
    yield Row(
        section,
        "an encoding that nobody offered",
        _posted(json_batch, headers={"Content-Encoding": "br"}),
        "415 unsupported_encoding",
    )
    waits = "waits as long as configured: 0.5 s for a head here, 0.8 s for a body"
    yield Row(
        section,
        "headers a byte at a time",
        _dripped(_slow_head, 0.05),
        "connection closed",
        hasty=True,
        canaries=(),
        note=waits,
    )
    yield Row(
        section,
        "body a byte at a time",
        _dripped(_slow_body, 0.05),
        "408 body_too_slow",
        hasty=True,
        note=waits,
    )
    yield Row(section, "half a body, then silence", _silent_body, "408 body_too_slow", hasty=True, note=waits)


ROWS: Final = tuple(_rows())
