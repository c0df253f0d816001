"""What a partner can answer, and what it may never be taken for: a value.

Every row is sent by a real local server, to a call that may be repeated and to one that must not.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from adapters.foreign_affairs.operations import VISA_ISSUANCE
from adapters.foreign_affairs.services import VISAS
from adapters.interior.operations import PASSPORT_VERIFICATION
from adapters.interior.services import PASSPORTS
from gateway.message import Answered, NotDone, Operation, Unknown
from gateway.soap import SoapService
from gateway.soap.envelope import SOAP_11, SOAP_12, Dialect
from tests.soap import partners

TYPES = "urn:umrah:types:v1"
OTHER_ID = "0199c0de-ffff-7fff-8fff-ffffffffffff"


@dataclass(frozen=True)
class Subject:
    """One operation, and how a good reply to it looks."""

    operation: Operation
    service: SoapService
    dialect: Dialect
    #: `{reference}` is the request's own.
    good: str
    status: str


def _pair(name: str, gregorian: str, hijri: str) -> str:
    return (
        f'<{name}><gregorian xmlns="{TYPES}">{gregorian}</gregorian>'
        f'<hijri xmlns="{TYPES}">{hijri}</hijri></{name}>'
    )


REPEATABLE = Subject(
    PASSPORT_VERIFICATION,
    PASSPORTS,
    SOAP_11,
    '<VerifyPassportResponse xmlns="urn:umrah:interior:passports:v1"><result><status>VALID</status></result>'
    "</VerifyPassportResponse>",
    "<status>VALID</status>",
)
ISSUING = Subject(
    VISA_ISSUANCE,
    VISAS,
    SOAP_12,
    '<IssueVisaResponse xmlns="urn:umrah:foreign_affairs:visas:v1"><result>'
    "<request_reference>{reference}</request_reference><visa_number>6000000001</visa_number>"
    + _pair("valid_from", "2026-11-20", "1448-06-10")
    + _pair("valid_until", "2027-01-19", "1448-08-11")
    + _pair("stay_until", "2026-12-30", "1448-07-21")
    + "</result></IssueVisaResponse>",
    "<visa_number>6000000001</visa_number>",
)
SUBJECTS = (REPEATABLE, ISSUING)


@dataclass(frozen=True)
class Sent:
    """The request as the server got it."""

    message_id: str
    reference: str

    @classmethod
    def of(cls, body: bytes) -> Sent:
        def text(tag: str) -> str:
            found = re.search(f"<{tag}>([^<]*)</{tag}>", body.decode())
            assert found
            return found[1]

        return cls(text("message_id"), text("request_reference"))


def header(correlation_id: str, receiver: str = "umrah-gateway") -> str:
    return (
        f'<MessageHeader xmlns="{TYPES}"><message_id>{OTHER_ID}</message_id>'
        f"<kind>interior.passport_verification</kind><version>1</version>"
        f"<correlation_id>{correlation_id}</correlation_id><sender>partner</sender>"
        f"<receiver>{receiver}</receiver><sent_at>2026-11-22T10:00:00+03:00</sent_at>"
        f"<season>1448</season><classification>restricted</classification></MessageHeader>"
    )


def http(status: str, content_type: str | None, body: bytes, *more: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *more]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def good(subject: Subject, sent: Sent) -> bytes:
    return subject.dialect.wrap(header(sent.message_id), subject.good.format(reference=sent.reference))


def soap(subject: Subject, body: bytes, status: str = "200 OK") -> bytes:
    return http(status, f"{subject.dialect.media_type}; charset=utf-8", body)


def other(dialect: Dialect) -> Dialect:
    return SOAP_12 if dialect is SOAP_11 else SOAP_11


def fault(dialect: Dialect, code: str, correlation_id: str | None = None) -> bytes:
    block = header(correlation_id) if correlation_id else ""
    if dialect is SOAP_11:
        return dialect.wrap(
            block, f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>x</faultstring></s:Fault>"
        )
    return dialect.wrap(
        block,
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>t:{code}</s:Value></s:Subcode>"
        "</s:Code><s:Reason><s:Text xml:lang='en'>x</s:Text></s:Reason></s:Fault>",
    )


def _within(dialect: Dialect, code: str, inner: str, correlation_id: str) -> bytes:
    """A fault whose code is made more specific: by a subcode of the subcode, or in the detail."""
    written = fault(dialect, code, correlation_id).decode()
    if dialect is SOAP_11:
        detail = f"<detail><code xmlns='{TYPES}'>{inner}</code></detail>"
        return written.replace("</s:Fault>", f"{detail}</s:Fault>").encode()
    deeper = f"<s:Subcode><s:Value>t:{inner}</s:Value></s:Subcode>"
    return written.replace("</s:Subcode>", f"{deeper}</s:Subcode>").encode()


def _twice(dialect: Dialect, code: str, correlation_id: str) -> bytes:
    written = fault(dialect, code, correlation_id).decode()
    named = f"<faultcode>s:{code}</faultcode>" if dialect is SOAP_11 else f"<s:Value>t:{code}</s:Value>"
    assert named in written
    return written.replace(named, f"{named}{named}").encode()


def technical(subject: Subject, sent: Sent, code: str) -> bytes:
    tag = "VerifyPassportResponse" if subject is REPEATABLE else "IssueVisaResponse"
    namespace = re.search('xmlns="([^"]*)"', subject.good)
    assert namespace
    fields = {"error_type": "Technical", "code": code, "text_en": "x", "text_ar": "س", "source": "partner"}
    error = "".join(f'<{name} xmlns="{TYPES}">{value}</{name}>' for name, value in fields.items())
    return subject.dialect.wrap(
        header(sent.message_id),
        f'<{tag} xmlns="{namespace[1]}"><service_error>{error}</service_error></{tag}>',
    )


def altered(subject: Subject, sent: Sent, old: str, new: str) -> bytes:
    before = good(subject, sent).decode()
    assert old in before
    return before.replace(old, new).encode()


Reply = Callable[[Subject, Sent], bytes]

#: What is sent, and the code it ends in (as `Unknown`).
IN_DOUBT: dict[str, tuple[Reply, str]] = {
    "html_502": (lambda s, _: http("502 Bad Gateway", "text/html", b"<html><h1>Bad</h1></html>"), "http_502"),
    "html_503": (lambda s, _: http("503 Busy", "text/html", b"<html></html>"), "http_503"),
    "html_200": (lambda s, _: http("200 OK", "text/html", b"<html></html>"), "reply_not_soap"),
    "html_said_to_be_soap": (lambda s, _: soap(s, b"<html></html>"), "reply_not_soap"),
    "empty_200": (lambda s, _: soap(s, b""), "reply_invalid_xml"),
    "empty_200_without_type": (lambda s, _: http("200 OK", None, b""), "reply_not_soap"),
    "empty_202": (lambda s, _: http("202 Accepted", None, b""), "http_202"),
    "empty_503": (lambda s, _: http("503 Busy", None, b""), "http_503"),
    "not_found": (lambda s, _: http("404 Not Found", "text/plain", b"?"), "http_404"),
    "valid_body_with_500": (lambda s, r: soap(s, good(s, r), "500 Error"), "http_500"),
    "valid_body_with_202": (lambda s, r: soap(s, good(s, r), "202 Accepted"), "http_202"),
    "other_soap_version": (
        lambda s, r: soap(
            s, other(s.dialect).wrap(header(r.message_id), s.good.format(reference=r.reference))
        ),
        "reply_wrong_version",
    ),
    "fault_of_the_other_version": (
        lambda s, _: soap(s, fault(other(s.dialect), "SERVICE_CLOSED"), "500 Error"),
        "reply_wrong_version",
    ),
    "other_versions_media_type": (
        lambda s, r: http("200 OK", other(s.dialect).media_type, good(s, r)),
        "reply_not_soap",
    ),
    "unlisted_fault": (lambda s, _: soap(s, fault(s.dialect, "INTERNAL_ERROR"), "500 Error"), "fault"),
    "listed_fault_with_success": (lambda s, _: soap(s, fault(s.dialect, "SERVICE_CLOSED")), "fault"),
    "listed_fault_for_another_message": (
        lambda s, _: soap(s, fault(s.dialect, "SERVICE_CLOSED", OTHER_ID), "500 Error"),
        "reply_uncorrelated",
    ),
    "listed_fault_under_two_headers_of_another": (
        lambda s, _: soap(
            s,
            fault(s.dialect, "SERVICE_CLOSED", OTHER_ID).replace(
                b"</s:Header>", f"{header(OTHER_ID)}</s:Header>".encode()
            ),
            "500 Error",
        ),
        "reply_uncorrelated",
    ),
    "listed_fault_under_two_headers": (
        lambda s, r: soap(
            s,
            fault(s.dialect, "SERVICE_CLOSED", r.message_id).replace(
                b"</s:Header>", f"{header(r.message_id)}</s:Header>".encode()
            ),
            "500 Error",
        ),
        "reply_uncorrelated",
    ),
    "comment_inside_a_faults_correlation_id": (
        lambda s, r: soap(s, fault(s.dialect, "SERVICE_CLOSED", f"{r.message_id}<!-- -->9"), "500 Error"),
        "reply_uncorrelated",
    ),
    "comment_inside_a_fault_code": (
        lambda s, r: soap(s, fault(s.dialect, "SERVICE_CLOSED<!-- -->_NOT", r.message_id), "500 Error"),
        "fault",
    ),
    "unlisted_fault_within_a_listed_one": (
        lambda s, r: soap(
            s, _within(s.dialect, "SERVICE_CLOSED", "AFTER_ISSUING", r.message_id), "500 Error"
        ),
        "fault",
    ),
    "two_fault_codes": (
        lambda s, r: soap(s, _twice(s.dialect, "SERVICE_CLOSED", r.message_id), "500 Error"),
        "fault",
    ),
    "unlisted_technical_error": (lambda s, r: soap(s, technical(s, r, "OUT_OF_ORDER")), "technical_error"),
    "truncated_xml": (lambda s, r: soap(s, good(s, r)[:-40]), "reply_invalid_xml"),
    "wrong_namespace": (
        lambda s, r: soap(s, re.sub(rb'(Response xmlns="urn:umrah:)', rb"\1other:", good(s, r))),
        "reply_schema_invalid",
    ),
    "another_operations_element": (
        lambda s, r: soap(s, s.dialect.wrap(header(r.message_id), header(r.message_id))),
        "reply_unexpected",
    ),
    "another_messages_correlation_id": (
        lambda s, r: soap(s, altered(s, r, r.message_id, OTHER_ID)),
        "reply_uncorrelated",
    ),
    "no_header": (lambda s, r: soap(s, altered(s, r, header(r.message_id), "")), "reply_header_missing"),
    "two_headers": (
        lambda s, r: soap(s, altered(s, r, header(r.message_id), header(r.message_id) * 2)),
        "reply_header_missing",
    ),
    "missing_field": (lambda s, r: soap(s, altered(s, r, s.status, "")), "reply_schema_invalid"),
    "unknown_enumeration_or_form": (
        lambda s, r: soap(s, altered(s, r, s.status, re.sub(">.*<", ">GOOD<", s.status))),
        "reply_schema_invalid",
    ),
    "field_twice": (lambda s, r: soap(s, altered(s, r, s.status, s.status * 2)), "reply_schema_invalid"),
    "unknown_field": (
        lambda s, r: soap(s, altered(s, r, s.status, s.status + "<more/>")),
        "reply_schema_invalid",
    ),
    "nil_field": (
        lambda s, r: soap(
            s,
            altered(
                s,
                r,
                s.status,
                re.sub(
                    "^<([a-z_]+)>.*",
                    r'<\1 xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>',
                    s.status,
                ),
            ),
        ),
        "reply_schema_invalid",
    ),
    "comment_inside_a_value": (
        lambda s, r: soap(s, altered(s, r, s.status, re.sub(">(.)", r">\1<!-- -->", s.status))),
        "reply_value_unreadable",
    ),
    "two_body_children": (
        lambda s, r: soap(s, altered(s, r, "</s:Body>", "<x/></s:Body>")),
        "reply_body_not_single",
    ),
    "no_body_child": (
        lambda s, r: soap(s, s.dialect.wrap(header(r.message_id), "")),
        "reply_body_not_single",
    ),
    "two_bodies": (
        lambda s, r: soap(s, altered(s, r, "</s:Body>", "</s:Body><s:Body/>")),
        "reply_body_misplaced",
    ),
    "must_understand": (
        lambda s, r: soap(s, altered(s, r, "<s:Header>", '<s:Header><x s:mustUnderstand="1"/>')),
        "reply_not_understood",
    ),
    "doctype": (
        lambda s, r: soap(s, altered(s, r, "<s:Envelope", "<!DOCTYPE x><s:Envelope")),
        "reply_doctype_forbidden",
    ),
    "utf_7": (
        lambda s, r: soap(s, altered(s, r, 'encoding="utf-8"', 'encoding="utf-7"')),
        "reply_encoding_not_utf8",
    ),
    "too_deep": (lambda s, _: soap(s, b"<a>" * 300 + b"</a>" * 300), "reply_nesting_too_deep"),
    "redirect": (
        lambda s, _: http("307 Elsewhere", None, b"", "Location: http://127.0.0.1:1/elsewhere"),
        "redirected",
    ),
    "gzip_bomb": (
        lambda s, _: http(
            "200 OK", s.dialect.media_type, gzip.compress(bytes(50_000_000), 1), "Content-Encoding: gzip"
        ),
        "reply_compressed",
    ),
    "announced_too_large": (
        lambda s, _: http("200 OK", s.dialect.media_type, b"<", length=300_000),
        "reply_too_large",
    ),
    "multipart_without_boundary": (
        lambda s, r: http("200 OK", "multipart/related; type=text/xml", good(s, r)),
        "reply_not_soap",
    ),
    "shorter_than_announced": (
        lambda s, r: http("200 OK", s.dialect.media_type, good(s, r)[:-1], length=len(good(s, r))),
        "reply_cut_short",
    ),
    "not_http": (lambda s, _: b"220 mail.example ESMTP\r\n\r\n", "reply_not_http"),
    "nothing_at_all": (lambda s, _: b"", "connection_lost"),
}


async def end_of(subject: Subject, reply: Reply) -> object:
    async def respond(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(subject, Sent.of(body)))
        await writer.drain()

    async with partners.raw_server(respond) as url, partners.partner(subject.service, url) as through:
        return await partners.attempt(through, subject.operation)


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
@pytest.mark.parametrize("name", IN_DOUBT)
async def test_a_bad_reply_leaves_the_call_in_doubt(name: str, subject: Subject) -> None:
    reply, code = IN_DOUBT[name]
    assert await end_of(subject, reply) == Unknown(code)


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
async def test_the_good_reply_that_the_bad_ones_are_made_from_is_taken(subject: Subject) -> None:
    end = await end_of(subject, lambda s, r: soap(s, good(s, r)))
    assert isinstance(end, Answered)


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
@pytest.mark.parametrize("with_header", [False, True])
async def test_a_listed_fault_says_that_nothing_was_done(subject: Subject, with_header: bool) -> None:
    end = await end_of(
        subject,
        lambda s, r: soap(
            s, fault(s.dialect, "SERVICE_CLOSED", r.message_id if with_header else None), "500 Error"
        ),
    )
    assert end == NotDone("fault_SERVICE_CLOSED")


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
async def test_a_listed_technical_error_says_that_nothing_was_done(subject: Subject) -> None:
    end = await end_of(subject, lambda s, r: soap(s, technical(s, r, "TOO_MANY_REQUESTS")))
    assert end == NotDone("technical_TOO_MANY_REQUESTS")


async def test_a_technical_error_beside_a_visa_leaves_the_call_in_doubt() -> None:
    result = re.search("<result>(.*)</result>", ISSUING.good)
    assert result

    def both(subject: Subject, sent: Sent) -> bytes:
        told = technical(subject, sent, "SERVICE_CLOSED").decode()
        reference, visa = (
            f"<request_reference>{sent.reference}</request_reference>",
            result[1].partition("</request_reference>")[2],
        )
        issued = f"<issued_under>{reference}<visa>{reference}{visa}</visa></issued_under>"
        return soap(subject, told.replace("</service_error>", f"</service_error>{issued}").encode())

    assert await end_of(ISSUING, both) == Unknown("technical_error")


async def test_a_visa_under_another_reference_is_not_ours() -> None:
    end = await end_of(ISSUING, lambda s, r: soap(s, altered(s, r, r.reference, f"{OTHER_ID}/visa_issuance")))
    assert end == Unknown("another_reference")


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
async def test_a_dripping_reply_is_given_up_at_the_deadline(subject: Subject) -> None:
    async def drip(body: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in soap(subject, good(subject, Sent.of(body))):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with (
        partners.raw_server(drip) as url,
        partners.partner(subject.service, url, deadline_s=0.2) as through,
    ):
        started = asyncio.get_running_loop().time()
        end = await partners.attempt(through, subject.operation)
        took_s = asyncio.get_running_loop().time() - started
    assert end == Unknown("reply_timeout")
    assert took_s < 1.0


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
async def test_a_body_without_announced_size_is_cut_at_the_cap(subject: Subject) -> None:
    async def flood(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {subject.dialect.media_type}\r\n\r\n".encode())
        for _ in range(100):
            writer.write(b" " * 65_536)
            await writer.drain()

    async with (
        partners.raw_server(flood) as url,
        partners.partner(subject.service, url, max_reply_bytes=100_000) as through,
    ):
        assert await partners.attempt(through, subject.operation) == Unknown("reply_too_large")


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
async def test_a_refused_connection_is_provably_not_sent(subject: Subject) -> None:
    async with partners.partner(subject.service, "http://127.0.0.1:1") as through:
        assert await partners.attempt(through, subject.operation) == NotDone("not_connected")


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
async def test_the_next_good_reply_passes_after_bad_ones(subject: Subject) -> None:
    bad = [b"", soap(subject, b"<html/>")]

    async def respond(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(bad.pop(0) if bad else soap(subject, good(subject, Sent.of(body))))
        await writer.drain()

    async with partners.raw_server(respond) as url, partners.partner(subject.service, url) as through:
        ends = [await partners.attempt(through, subject.operation) for _ in range(3)]
    assert [isinstance(end, Answered) for end in ends] == [False, False, True]
