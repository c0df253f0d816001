"""Serving a WSDL: hostile requests, faults in both versions, published documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import zeep
from aiohttp import ClientSession
from lxml import etree

from adapters.foreign_affairs.services import VISAS
from adapters.interior.services import PASSPORTS
from gateway.clock import SystemClock
from gateway.soap import load_contract
from gateway.soap.envelope import SOAP_11, SOAP_12, fault_code, open_envelope
from gateway.soap.header import request_header
from gateway.soap.hosting import routes
from gateway.soap.publish import published
from gateway.soap.server import Call, SoapAnswer, SoapFault, SoapServer
from tests.soap import partners

CLOCK = SystemClock()
CONTRACT = load_contract(PASSPORTS)
SERVER = SoapServer(CONTRACT, CLOCK)
VALUES = {
    "request_reference": "r-1",
    "passport_number": "A1234567",
    "passport_type": "P",
    "issuing_state": "IDN",
    "issue_date": "2020-01-01",
    "expiry_date": "2030-01-01",
    "birth_date": "1990-01-01",
    "nationality": "IDN",
}
MESSAGE_ID = "0199c0de-0000-7000-8000-00000000000a"
HEADER = CONTRACT.header.write(
    request_header(PASSPORTS, "VerifyPassport", MESSAGE_ID, partners.context(), CLOCK.now())
)
BODY = CONTRACT.actions["VerifyPassport"].request.write(VALUES)
GOOD = SOAP_11.wrap(HEADER, BODY)
XML = "text/xml; charset=utf-8"
XSI = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'


def altered(old: str, new: str) -> bytes:
    assert old in GOOD.decode()
    return GOOD.decode().replace(old, new).encode()


def receive(body: bytes, content_type: str = XML) -> Call | SoapAnswer:
    try:
        return SERVER.receive(content_type, body)
    except SoapFault as fault:
        return SERVER.fault(fault, content_type)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "doctype": (altered("<s:Envelope", "<!DOCTYPE x><s:Envelope"), "DOCTYPE_FORBIDDEN"),
    "two_bodies": (altered("</s:Body>", "</s:Body><s:Body/>"), "BODY_MISPLACED"),
    "two_body_children": (altered("</s:Body>", "<x/></s:Body>"), "BODY_NOT_SINGLE"),
    "body_in_header": (SOAP_11.wrap(f"{HEADER}<s:Body>{BODY}</s:Body>", ""), "BODY_NOT_SINGLE"),
    "header_after_body": (
        SOAP_11.wrap("", BODY)
        .replace(b"<s:Header></s:Header>", b"")
        .replace(b"</s:Body>", b"</s:Body><s:Header>" + HEADER.encode() + b"</s:Header>"),
        "BODY_MISPLACED",
    ),
    "no_header": (SOAP_11.wrap("", BODY), "HEADER_MISSING"),
    "wrong_envelope_namespace": (GOOD.replace(SOAP_11.namespace.encode(), b"urn:x"), "NOT_SOAP"),
    "not_an_envelope": (b"<x/>", "NOT_SOAP"),
    "unknown_operation": (SOAP_11.wrap(HEADER, '<Verify xmlns="urn:x"/>'), "OPERATION_UNKNOWN"),
    "xsi_nil": (
        altered("<nationality>IDN", f'<nationality {XSI} i:nil="true">'),
        "SCHEMA_INVALID",
    ),
    "xsi_type": (
        altered(
            "<nationality>",
            f'<nationality {XSI} i:type="xs:int" xmlns:xs="http://www.w3.org/2001/XMLSchema">',
        ),
        "SCHEMA_INVALID",
    ),
    "year_99999": (altered("1990-01-01", "99999-01-01"), "SCHEMA_INVALID"),
    "hour_24": (re.sub(b"<sent_at>[^<]*", b"<sent_at>2026-01-01T24:00:00Z", GOOD), "SCHEMA_INVALID"),
    "no_offset": (re.sub(b"<sent_at>[^<]*", b"<sent_at>2026-01-01T10:00:00", GOOD), "SCHEMA_INVALID"),
    "huge_integer": (altered("<season>1448", "<season>" + "9" * 5000), "SCHEMA_INVALID"),
    "comment_in_a_number": (altered("A1234567", "A123<!-- -->4567"), "VALUE_UNREADABLE"),
    "processing_instruction_in_a_number": (altered("A1234567", "A123<?x?>4567"), "VALUE_UNREADABLE"),
    "deep": (b"<a>" * 300 + b"</a>" * 300, "NESTING_TOO_DEEP"),
    "million_elements": (b"<a>" + b"<b/>" * 60_000 + b"</a>", "TOO_MANY_ELEMENTS"),
    "large_text": (altered("A1234567", "A" * 300_000), "BODY_TOO_LARGE"),
    "attributes": (b"<a " + b" ".join(b"a%d='1'" % n for n in range(20_000)) + b"/>", "TOO_MANY_ATTRIBUTES"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_gets_a_fault_with_a_stable_code(name: str) -> None:
    body, code = HOSTILE[name]
    answer = receive(body)
    assert isinstance(answer, SoapAnswer)
    assert answer.status == 500
    envelope = open_envelope(etree.fromstring(answer.body))
    assert envelope.fault
    assert fault_code(envelope) == code
    assert b"A1234567" not in answer.body
    assert isinstance(receive(GOOD), Call)


def test_a_good_request_is_read() -> None:
    call = receive(GOOD)
    assert isinstance(call, Call)
    assert call.action.name == "VerifyPassport"
    assert call.values["passport_number"] == "A1234567"
    assert call.values["birth_date"].isoformat() == "1990-01-01"
    assert call.header["message_id"] == MESSAGE_ID


def test_an_answer_is_valid_and_correlated() -> None:
    call = receive(GOOD)
    assert isinstance(call, Call)
    answer = SERVER.answer(call, {"result": {"status": "VALID"}})
    envelope = open_envelope(etree.fromstring(answer.body))
    assert envelope.message_header is not None
    CONTRACT.check(envelope.message_header)
    CONTRACT.check(envelope.content)
    header = CONTRACT.header.read(envelope.message_header)
    assert header["correlation_id"] == MESSAGE_ID
    assert (header["sender"], header["receiver"]) == ("passports", "umrah-gateway")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/xml", SOAP_12.wrap(HEADER, BODY)),
        ("application/soap+xml", SOAP_12.wrap(HEADER, BODY)),
        ("application/soap+xml", GOOD),
    ],
)
def test_a_version_that_is_not_offered_or_not_announced_is_a_version_mismatch(
    content_type: str, body: bytes
) -> None:
    answer = receive(body, content_type)
    assert isinstance(answer, SoapAnswer)
    assert b"s:VersionMismatch" in answer.body


def test_an_unknown_header_that_must_be_understood_is_a_fault() -> None:
    answer = receive(altered("<s:Header>", '<s:Header><x xmlns="urn:x" s:mustUnderstand="1"/>'))
    assert isinstance(answer, SoapAnswer)
    assert b"s:MustUnderstand" in answer.body
    harmless = receive(altered("<s:Header>", '<s:Header><x xmlns="urn:x" s:mustUnderstand="0"/>'))
    assert isinstance(harmless, Call)


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/related", "text/html"])
def test_another_media_type_is_a_fault(content_type: str) -> None:
    answer = receive(GOOD, content_type)
    assert isinstance(answer, SoapAnswer)
    assert b"UNSUPPORTED_MEDIA_TYPE" in answer.body


@pytest.mark.parametrize(
    ("content_type", "ours", "status", "code"),
    [
        ("text/xml", False, 500, "s:Client"),
        ("text/xml", True, 500, "s:Server"),
        ("application/soap+xml", False, 400, "s:Sender"),
        ("application/soap+xml", True, 500, "s:Receiver"),
    ],
)
def test_faults_have_the_form_of_their_version(content_type: str, ours: bool, status: int, code: str) -> None:
    answer = SERVER.fault(SoapFault("a < b", code="BUSY", ours=ours), content_type)
    assert answer.status == status
    assert f">{code}<" in answer.body.decode()
    assert fault_code(open_envelope(etree.fromstring(answer.body))) == "BUSY"


def test_published_documents_name_the_configured_address_only() -> None:
    documents = published(VISAS, "https://gateway.example/visas")
    assert set(documents) == {"wsdl", "xsd=foreign_affairs/visas.xsd", "xsd=types.xsd"}
    assert b'location="https://gateway.example/visas"' in documents["wsdl"]
    assert all(b"../" not in document for document in documents.values())


async def handler(_: Call) -> Mapping[str, Any]:
    return {"result": {"status": "VALID"}}


async def test_a_plain_zeep_client_understands_what_is_served() -> None:
    async with partners.serving(
        routes("/passports", CONTRACT, SERVER, handler, "http://gateway.example")
    ) as url:
        async with ClientSession() as session:
            documents = {}
            for query in published(PASSPORTS, "http://gateway.example/passports"):
                async with session.get(f"{url}/passports?{query}") as response:
                    assert response.status == 200
                    documents[f"http://gateway.example/passports?{query}"] = await response.read()
            async with session.get(f"{url}/passports?xsd=../../../pyproject.toml") as response:
                assert response.status == 404

        class Fetched:
            def load(self, address: str) -> bytes:
                return documents[address]

        transport: Any = Fetched()
        client: Any = zeep.Client("http://gateway.example/passports?wsdl", transport=transport)
        message = client.create_message(
            client.service, "VerifyPassport", **VALUES,
            _soapheaders={"header": CONTRACT.header.read(etree.fromstring(HEADER))},
        )  # fmt: skip
        async with ClientSession() as session:
            data = etree.tostring(message)
            async with session.post(f"{url}/passports", data=data, headers={"Content-Type": XML}) as response:
                assert response.status == 200
                assert b"<status>VALID</status>" in await response.read()
