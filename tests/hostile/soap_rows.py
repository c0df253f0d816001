"""Calls of partner systems that are broken or forged. Each is sent in SOAP 1.2, where a sender's fault is
HTTP 400, and again in SOAP 1.1, whose every fault is HTTP 500 by its own rule (W3C Note, 6.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree

from gateway.soap.envelope import SOAP_11, SOAP_12, Dialect, fault_code, open_envelope
from tests.hostile.door import arrival, envelope
from tests.hostile.row import Act, Row, Told
from tests.hostile.site import CANARY, Site, SoapCaller
from tests.hostile.wire import Answer

_XSI: Final = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
#: Fault codes that say "your message", as each version calls them; the gateway's own failure has another.
_SENDERS: Final = ("Client", "Sender", "VersionMismatch", "MustUnderstand")

Make = Callable[[Site, Dialect], bytes]


def _calls(
    make: Make, media: Callable[[Dialect], str] = lambda dialect: dialect.media_type
) -> Callable[[Site], Act]:
    def prepare(site: Site) -> Act:
        caller = SoapCaller(site.gateway)
        sent = [(make(site, dialect), media(dialect)) for dialect in (SOAP_12, SOAP_11)]

        def act() -> Told:
            new, old = [caller.call(body, kind) for body, kind in sent]
            first, second = fault_in(new), fault_in(old)
            told = first if first.split(" ")[-1] == second.split(" ")[-1] else f"{first}, but in 1.1 {second}"
            return Told(told, new.raw + old.raw)

        return act

    return prepare


def fault_in(answer: Answer) -> str:
    """`400 Sender DOCTYPE_FORBIDDEN`."""
    if not answer.body.lstrip().startswith(b"<"):
        return f"{answer.status} {answer.code}".strip()
    found = open_envelope(etree.fromstring(answer.body))
    if not found.fault:
        return f"{answer.status} taken"
    side = re.search(rb"<(?:faultcode|s:Value)>s:(\w+)<", answer.body)
    name = side[1].decode() if side else "?"
    assert name in _SENDERS, answer.body
    return f"{answer.status} {name} {fault_code(found)}"


def _around(body: Callable[[], str]) -> Make:
    return lambda site, dialect: envelope(site, body(), dialect=dialect)


def _whole(old: str, new: str) -> Make:
    def make(site: Site, dialect: Dialect) -> bytes:
        good = envelope(site, arrival(carrier=CANARY), dialect=dialect)
        assert old.encode() in good, old
        return good.replace(old.encode(), new.encode(), 1)

    return make


def _in_arrival(old: str, new: str) -> Make:
    def body() -> str:
        good = arrival(carrier=CANARY)
        assert old in good, old
        return good.replace(old, new, 1)

    return _around(body)


def _utf16_doctype(site: Site, dialect: Dialect) -> bytes:
    good = envelope(site, dialect=dialect).decode()
    return good.replace('encoding="utf-8"?>', 'encoding="utf-16"?><!DOCTYPE a>').encode("utf-16")


def _external(site: Site, dialect: Dialect) -> bytes:
    port = site.partner.elsewhere
    declared = f'<!DOCTYPE a SYSTEM "http://127.0.0.1:{port}/a.dtd"><s:Envelope'
    return envelope(site, dialect=dialect).replace(b"<s:Envelope", declared.encode(), 1)


def _body_in_header(site: Site, dialect: Dialect) -> bytes:
    security = SoapCaller(site.gateway).security()
    return dialect.wrap(f"{security}<s:Body>{arrival()}</s:Body>", "")


def _unknown_block(site: Site, dialect: Dialect) -> bytes:
    security = SoapCaller(site.gateway).security()
    return dialect.wrap(security + '<x xmlns="urn:x" s:mustUnderstand="1"/>', arrival())


def _unsigned(_site: Site, dialect: Dialect) -> bytes:
    return dialect.wrap("", arrival(carrier=CANARY))


def _old(site: Site, dialect: Dialect) -> bytes:
    before = datetime.now(UTC) - timedelta(hours=1)
    return dialect.wrap(SoapCaller(site.gateway).security(created=before), arrival(carrier=CANARY))


def _other_body(site: Site, dialect: Dialect) -> bytes:
    """A call whose token was made for nothing else but was seen before."""
    caller = SoapCaller(site.gateway)
    nonce = b"0123456789abcdef" if dialect is SOAP_12 else b"fedcba9876543210"
    security = caller.security(nonce=nonce, created=datetime.now(UTC))
    first = caller.call(dialect.wrap(security, arrival()), dialect.media_type)
    assert first.status in (200, 400, 500)  # taken, or seen already by an earlier try of this row
    return dialect.wrap(security, arrival(carrier=CANARY))


def _forged(site: Site, dialect: Dialect) -> bytes:
    good = dialect.wrap(SoapCaller(site.gateway).security(), arrival(carrier=CANARY))
    return re.sub(rb"(PasswordDigest\">)[^<]+", rb"\1AAAAAAAAAAAAAAAAAAAAAAAAAAA=", good)


def _other_versions_media(dialect: Dialect) -> str:
    return (SOAP_11 if dialect is SOAP_12 else SOAP_12).media_type


def _wrong_action(site: Site) -> Act:
    """`SOAPAction` is a hint: what counts is what the Body holds."""
    body = envelope(site, dialect=SOAP_11)
    caller = SoapCaller(site.gateway)

    def act() -> Told:
        answer = caller.call(body, SOAP_11.media_type, SOAPAction='"urn:DeleteEverything"')
        return Told(fault_in(answer), answer.raw)

    return act


def _rows() -> Iterator[Row]:
    def row(name: str, make: Make, code: str, **options: object) -> Row:
        answer = code if code[0].isdigit() else f"400 Sender {code}"
        return Row("SOAP in", name, _calls(make), answer, door="soap", **options)  # type: ignore[arg-type]

    yield row("a doctype", _whole("<s:Envelope", "<!DOCTYPE a><s:Envelope"), "DOCTYPE_FORBIDDEN")
    yield row(
        "an entity, used in a text",
        _whole("<s:Envelope", "<!DOCTYPE a [<!ENTITY e 'JED'>]><s:Envelope"),
        "DOCTYPE_FORBIDDEN",
    )
    yield row("an external DTD", _external, "DOCTYPE_FORBIDDEN", note="the address is not asked")
    yield row(
        "a parameter entity",
        _whole("<s:Envelope", "<!DOCTYPE a [<!ENTITY % e SYSTEM 'file:///etc/passwd'> %e;]><s:Envelope"),
        "DOCTYPE_FORBIDDEN",
    )
    yield row("UTF-16 with a doctype", _utf16_doctype, "DOCTYPE_FORBIDDEN")
    yield row("UTF-7 by its declaration", _whole('encoding="utf-8"', 'encoding="utf-7"'), "ENCODING_NOT_UTF8")
    yield row("depth 300", lambda _s, _d: b"<a>" * 300 + b"</a>" * 300, "NESTING_TOO_DEEP")
    yield row(
        "1,000,000 empty elements", lambda _s, _d: b"<a>" + b"<b/>" * 1_000_000 + b"</a>", "BODY_TOO_LARGE"
    )
    yield row(
        "60,000 empty elements, within the limit of bytes",
        lambda _s, _d: b"<a>" + b"<b/>" * 60_000 + b"</a>",
        "TOO_MANY_ELEMENTS",
    )
    yield row(
        "100,000 attributes",
        lambda _s, _d: b"<a " + b" ".join(b"a%d='1'" % n for n in range(100_000)) + b"/>",
        "BODY_TOO_LARGE",
    )
    yield row(
        "20,000 attributes, within the limit of bytes",
        lambda _s, _d: b"<a " + b" ".join(b"a%d='1'" % n for n in range(20_000)) + b"/>",
        "TOO_MANY_ATTRIBUTES",
    )
    yield row("text of 11 MB", _in_arrival(CANARY, CANARY + "x" * 11_000_000), "BODY_TOO_LARGE")
    yield row("two Bodies", _whole("</s:Body>", "</s:Body><s:Body/>"), "BODY_MISPLACED")
    yield row("two Body children", _whole("</s:Body>", "<x/></s:Body>"), "BODY_NOT_SINGLE")
    yield row("Body in Header", _body_in_header, "BODY_NOT_SINGLE")
    yield row("wrong envelope namespace", _whole('xmlns:s="http://', 'xmlns:s="urn:'), "NOT_SOAP")
    yield Row(
        "SOAP in",
        "1.2 envelope as `text/xml`, and the other way round",
        _calls(_whole("JED", "JED"), _other_versions_media),
        "500 VersionMismatch SOAP_VERSION",
        door="soap",
        note="500 is what both versions of SOAP demand of this fault",
    )
    yield row("`xsi:nil`", _in_arrival("<port>JED", f'<port {_XSI} i:nil="true">'), "SCHEMA_INVALID")
    yield row(
        "`xsi:type`",
        _in_arrival("<port>", f'<port {_XSI} i:type="x:string" xmlns:x="http://www.w3.org/2001/XMLSchema">'),
        "SCHEMA_INVALID",
    )
    yield row(
        "year 99999", _in_arrival("2026-11-22T11:58:03+03:00", "99999-01-01T00:00:00Z"), "SCHEMA_INVALID"
    )
    yield row("`24:00:00`", _in_arrival("11:58:03+03:00", "24:00:00Z"), "SCHEMA_INVALID")
    yield row(
        "a 5,000-digit integer",
        _around(lambda: arrival(visa_number="6" * 5_000, carrier=CANARY)),
        "SCHEMA_INVALID",
    )
    yield row(
        "a comment inside a number",
        _around(lambda: arrival(visa_number="61234<!-- -->56789", carrier=CANARY)),
        "VALUE_UNREADABLE",
    )
    yield Row(
        "SOAP in",
        "unknown `mustUnderstand` header",
        _calls(_unknown_block),
        "500 MustUnderstand HEADER_NOT_UNDERSTOOD",
        door="soap",
        note="500 is what both versions of SOAP demand of this fault",
    )
    yield row("no WS-Security at all (unsigned Body)", _unsigned, "UNAUTHENTICATED")
    yield row("old Timestamp", _old, "TOKEN_EXPIRED")
    yield row("replay: a nonce used before", _other_body, "TOKEN_REPLAYED", refused=False)
    yield row("forged digest", _forged, "UNAUTHENTICATED")
    yield Row(
        "SOAP in",
        "a `SOAPAction` that names something else",
        _wrong_action,
        "200 taken",
        door="soap",
        refused=False,
        note="it is a hint and not looked at",
    )


ROWS: Final = tuple(_rows())
