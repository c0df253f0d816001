"""The SOAP services that we offer: who is let in, what is taken, and what every bad call gets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import Conflict, Misconfigured, Refused, Unavailable
from gateway.soap import load_contract, wsse
from gateway.soap.envelope import DIALECTS, SOAP_11, SOAP_12, Dialect, Envelope, fault_code, open_envelope
from gateway.soap.wsse import PartySecrets
from gateway.web import soap_services
from gateway.web.body import BodyLimits
from gateway.web.soap_services import (
    SoapDoor,
    SoapServices,
    ensure_demo_secrets,
    load_secrets,
    secrets_directory,
    taking,
)
from schemas import catalogue
from schemas.violation import Violation
from tests.doubles import ManualClock
from tests.interop.site import OPERATIONS, SECRETS, SERVICES, Desk, Nonces, Site, open_site
from tests.pipeline.world import World, shipped_settings

CLOCK = ManualClock()
CREATED = "2026-11-22T09:00:00Z"
XSI = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
ARRIVAL = (
    '<NotifyArrival xmlns="urn:umrah:gateway:movements:v1"><event_id>EV-1</event_id>'
    "<visa_number>6123456789</visa_number><at>2026-11-22T11:58:03+03:00</at><port>JED</port>"
    "<carrier>الخطوط السعودية</carrier><flight>SV816</flight></NotifyArrival>"
)
CAPACITY = (
    '<PublishMissionCapacity xmlns="urn:umrah:gateway:capacity:v1"><mission_id>MSN-IDN-JKT</mission_id>'
    "<version>3</version><window><opens>2026-12-01</opens><closes>2026-12-31</closes></window>"
    "<ceiling>1200</ceiling></PublishMissionCapacity>"
)
ATTESTATION = (
    '<NotifyAttestation xmlns="urn:umrah:gateway:attestations:v1"><contract_id>CON-1</contract_id>'
    "<version>2</version><decision>ATTESTED</decision><decided_at>2026-11-22T08:00:00Z</decided_at>"
    "<reference>ATT-2026-0093</reference></NotifyAttestation>"
)
HEADER = (
    '<MessageHeader xmlns="urn:umrah:types:v1"><message_id>0199c0de-0000-7000-8000-00000000000a</message_id>'
    "<kind>movement.arrival</kind><version>1</version>"
    "<correlation_id>0199c0de-0000-7000-8000-00000000000a</correlation_id><sender>passports</sender>"
    "<receiver>umrah-gateway</receiver><sent_at>2026-11-22T09:00:00Z</sent_at><season>1448</season>"
    "<classification>restricted</classification></MessageHeader>"
)


def token(party: str = "passports", secret: bytes | None = None, nonce: bytes | None = None) -> str:
    """A wsse:Security block with a digest."""
    salt = nonce or os.urandom(16)
    made = wsse.digest(salt, CREATED, SECRETS.get(party, b"?") if secret is None else secret)
    return security(
        party, made, wsse.PASSWORD_DIGEST,
        f"<w:Nonce>{base64.b64encode(salt).decode()}</w:Nonce><u:Created>{CREATED}</u:Created>",
    )  # fmt: skip


def security(party: str, password: str, kind: str, rest: str = "") -> str:
    return (
        f'<w:Security xmlns:w="{wsse.WSSE}" xmlns:u="{wsse.WSU}" s:mustUnderstand="1"><w:UsernameToken>'
        f'<w:Username>{party}</w:Username><w:Password Type="{kind}">{password}</w:Password>{rest}'
        "</w:UsernameToken></w:Security>"
    )


@dataclass
class Answer:
    """What came back, taken apart."""

    status: int
    envelope: Envelope
    text: str

    @property
    def fault(self) -> str:
        assert self.envelope.fault, self.text
        return fault_code(self.envelope)

    def value(self, name: str) -> str:
        return next(self.envelope.content.iter(f"{{*}}{name}")).text or ""


@dataclass
class Caller:
    """Sends envelopes to the services."""

    site: Site
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    async def call(
        self,
        body: str = ARRIVAL,
        *,
        service: str = "movements",
        header: str | None = None,
        dialect: Dialect = SOAP_11,
    ) -> Answer:
        sent = dialect.wrap(token() if header is None else header, body)
        return await self.send(sent, dialect.media_type, service)

    async def send(self, data: bytes, content_type: str = "text/xml", service: str = "movements") -> Answer:
        headers = {"Content-Type": content_type, **self.headers}
        url = f"{self.site.url}/soap/{service}"
        async with self.session.post(url, data=data, headers=headers) as response:
            text = await response.text()
            return Answer(response.status, open_envelope(etree.fromstring(text.encode())), text)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with open_site(CLOCK) as site, aiohttp.ClientSession() as session:
        yield Caller(site, session)


# --- what is taken ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
async def test_a_message_is_taken_and_its_repetition_gets_the_first_answer(
    caller: Caller, dialect: Dialect
) -> None:
    first = await caller.call(dialect=dialect)
    again = await caller.call(dialect=dialect)
    assert (first.status, first.value("duplicate")) == (200, "false")
    assert (again.status, again.value("duplicate")) == (200, "true")
    assert first.value("message_id") == again.value("message_id")
    assert first.envelope.dialect is dialect
    load_contract(SERVICES["movements"]).check(first.envelope.content)
    assert caller.site.desk.bodies == [
        {
            "event_id": "EV-1",
            "visa_number": "6123456789",
            "at": "2026-11-22T11:58:03+03:00",
            "port": "JED",
            "carrier": "الخطوط السعودية",
            "flight": "SV816",
        }
    ]


@pytest.mark.parametrize(
    ("service", "party", "body", "kind", "key"),
    [
        ("movements", "passports", ARRIVAL, "movement.arrival", "EV-1"),
        (
            "movements",
            "passports",
            ARRIVAL.replace("NotifyArrival", "NotifyDeparture"),
            "movement.departure",
            "EV-1",
        ),
        (
            "capacity",
            "foreign-affairs",
            CAPACITY,
            "mission.capacity",
            "MSN-IDN-JKT/2026-12-01/2026-12-31/3",
        ),
        ("attestations", "foreign-affairs", ATTESTATION, "agent_contract.attestation", "CON-1/2"),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
async def test_every_operation_is_taken_from_its_party_under_its_key(
    caller: Caller, dialect: Dialect, service: str, party: str, body: str, kind: str, key: str
) -> None:
    answer = await caller.call(body, service=service, header=token(party), dialect=dialect)
    assert answer.status == 200, answer.text
    assert list(caller.site.desk.taken) == [(party, kind, key)]


async def test_a_reply_has_a_header_when_the_request_had_one(caller: Caller) -> None:
    contract = load_contract(SERVICES["movements"])
    with_header = await caller.call(header=token() + HEADER)
    header = with_header.envelope.message_header
    assert header is not None
    contract.check(header)
    read = contract.header.read(header)
    assert (read["sender"], read["receiver"]) == ("umrah-gateway", "passports")
    assert read["correlation_id"] == "0199c0de-0000-7000-8000-00000000000a"
    assert (await caller.call()).envelope.headers == ()


async def test_a_gzipped_body_is_taken(caller: Caller) -> None:
    caller.headers = {"Content-Encoding": "gzip"}
    answer = await caller.send(gzip.compress(SOAP_11.wrap(token(), ARRIVAL)))
    assert answer.status == 200


async def test_a_finer_fraction_of_a_second_than_ours_is_taken(caller: Caller) -> None:
    """What .NET writes."""
    answer = await caller.call(ARRIVAL.replace("11:58:03+", "11:58:03.1234567+"))
    assert answer.status == 200, answer.text
    assert caller.site.desk.bodies[0]["at"] == "2026-11-22T11:58:03.123456+03:00"


# --- who is let in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "UNAUTHENTICATED"),
        (token(secret=b"w" * 32), "UNAUTHENTICATED"),
        (token("nobody"), "UNAUTHENTICATED"),
        (token("foreign-affairs"), "FORBIDDEN"),
        (token("nic"), "FORBIDDEN"),
        (token() + token(), "UNAUTHENTICATED"),
    ],
)
async def test_who_is_not_let_in_changes_nothing(
    caller: Caller, dialect: Dialect, header: str, code: str
) -> None:
    answer = await caller.call(header=header, dialect=dialect)
    assert answer.fault == code
    assert answer.status == (400 if dialect is SOAP_12 else 500)
    assert caller.site.desk.taken == {}


async def test_an_unknown_caller_learns_nothing_of_the_contract(caller: Caller) -> None:
    assert (await caller.call("<x/>", header="")).fault == "UNAUTHENTICATED"
    assert (await caller.call("<x/>", header=token("nic"))).fault == "FORBIDDEN"


async def test_a_token_counts_once(caller: Caller) -> None:
    once = token(nonce=b"0123456789abcdef")
    assert (await caller.call(header=once)).status == 200
    assert (await caller.call(header=once)).fault == "TOKEN_REPLAYED"


async def test_a_wrong_secret_uses_up_no_nonce(caller: Caller) -> None:
    nonce = b"0123456789abcdef"
    assert (await caller.call(header=token(secret=b"w" * 32, nonce=nonce))).fault == "UNAUTHENTICATED"
    assert (await caller.call(header=token(nonce=nonce))).status == 200


async def test_one_token_many_times_at_once_counts_once(caller: Caller) -> None:
    once = token(nonce=b"0123456789abcdef")
    answers = await asyncio.gather(*(caller.call(header=once) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [500] * 7


async def test_a_password_in_clear_is_taken_over_the_loopback(caller: Caller) -> None:
    clear = security("passports", SECRETS["passports"].decode(), wsse.PASSWORD_TEXT)
    assert (await caller.call(header=clear)).status == 200
    wrong = security("passports", "w" * 32, wsse.PASSWORD_TEXT)
    assert (await caller.call(header=wrong)).fault == "UNAUTHENTICATED"


async def test_a_password_in_clear_is_refused_where_others_can_read_it(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.soap_services._is_private", lambda _: False)
    clear = security("passports", SECRETS["passports"].decode(), wsse.PASSWORD_TEXT)
    answer = await caller.call(header=clear)
    assert answer.fault == "PASSWORD_NOT_PROTECTED"
    assert SECRETS["passports"].decode() not in answer.text
    assert (await caller.call()).status == 200


class Peer:
    """A connection, as far as it is looked at."""

    def __init__(self, peername: object, sslcontext: object = None) -> None:
        self.known = {"peername": peername, "sslcontext": sslcontext}

    def get_extra_info(self, name: str) -> object:
        return self.known[name]


@pytest.mark.parametrize(
    ("transport", "private"),
    [
        (Peer(("127.0.0.1", 1)), True),
        (Peer(("::1", 1, 0, 0)), True),
        (Peer(("::ffff:127.0.0.1", 1, 0, 0)), True),
        (Peer(("10.0.0.1", 1)), False),
        (Peer(("::ffff:10.0.0.1", 1, 0, 0)), False),
        (Peer(("fe80::1%eth0", 1, 0, 2)), False),
        (Peer(""), False),
        (Peer(("10.0.0.1", 1), object()), True),
        (None, False),
    ],
)
def test_a_connection_is_private_over_tls_and_on_this_machine_only(
    transport: Peer | None, private: bool
) -> None:
    class Request:
        def __init__(self) -> None:
            self.transport = transport

    asked: Any = Request()
    assert soap_services._is_private(asked) is private


async def test_the_real_ledger_remembers_nonces(caller: Caller, world: World) -> None:
    remembering = SoapDoor(
        PartySecrets({"passports": [SECRETS["passports"]]}), world.engine.ledger.use_token, CLOCK
    )
    caller.site.services.use(caller.site.desk, remembering)
    once = token(nonce=b"0123456789abcdef")
    assert (await caller.call(header=once)).status == 200
    assert (await caller.call(header=once)).fault == "TOKEN_REPLAYED"
    assert (await caller.call()).value("duplicate") == "true"


async def test_a_replaced_secret_counts_at_once(caller: Caller) -> None:
    door = SoapDoor(PartySecrets({"passports": [b"r" * 32]}), caller.site.nonces, CLOCK)
    caller.site.services.use(caller.site.desk, door)
    assert (await caller.call()).fault == "UNAUTHENTICATED"
    assert (await caller.call(header=token(secret=b"r" * 32))).status == 200


# --- refusals and failures of the desk -------------------------------------------------------------------


async def test_a_business_refusal_is_a_normal_answer_in_both_languages(caller: Caller) -> None:
    place = Violation("window_closed", "/window/closes")
    caller.site.desk.refuses = Refused("window_closed", violations=(place,))
    answer = await caller.call(CAPACITY, service="capacity", header=token("foreign-affairs"))
    assert answer.status == 200
    load_contract(SERVICES["capacity"]).check(answer.envelope.content)
    error = next(answer.envelope.content.iter("{*}service_error"))
    assert [child.text for child in error] == [
        "Business",
        "WINDOW_CLOSED",
        catalogue.text("window_closed", "en"),
        catalogue.text("window_closed", "ar"),
        "umrah-gateway",
    ]
    assert answer.value("pointer") == "/window/closes"


async def test_the_same_id_with_other_content_is_a_business_refusal(caller: Caller) -> None:
    await caller.call()
    answer = await caller.call(ARRIVAL.replace("JED", "MED"))
    assert (answer.status, answer.value("code")) == (200, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Unavailable("ledger_unavailable"), "LEDGER_UNAVAILABLE"),
        (Conflict("batch_in_progress", retry_after_s=2), "BATCH_IN_PROGRESS"),
        (ValueError("6123456789"), "INTERNAL_ERROR"),
    ],
)
async def test_what_may_be_taken_later_is_our_fault(
    caller: Caller, dialect: Dialect, failure: Exception, code: str
) -> None:
    caller.site.desk.refuses = failure
    answer = await caller.call(dialect=dialect)
    assert (answer.status, answer.fault) == (500, code)
    assert f"s:{dialect.receiver}<" in answer.text
    assert "6123456789" not in answer.text
    caller.site.desk.refuses = None
    assert (await caller.call(dialect=dialect)).status == 200


async def test_nothing_is_taken_while_intake_is_closed(caller: Caller) -> None:
    caller.site.open = False
    assert (await caller.call()).fault == "INTAKE_CLOSED"
    assert caller.site.desk.taken == {}
    caller.site.open = True
    assert (await caller.call()).status == 200


async def test_a_code_that_has_no_text_is_told_all_the_same(caller: Caller) -> None:
    caller.site.desk.refuses = Refused("not_in_the_catalogue")
    assert (await caller.call()).value("code") == "NOT_IN_THE_CATALOGUE"


# --- the real pipeline ------------------------------------------------------------------------------------


@pytest.fixture
async def gateway(caller: Caller, world: World) -> Caller:
    """The services of a whole engine with its own ledger."""
    secrets = PartySecrets({party: [secret] for party, secret in SECRETS.items()})
    door = SoapDoor(secrets, world.engine.ledger.use_token, CLOCK)
    caller.site.services.use(taking(world.engine), door)
    return caller


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
async def test_the_engine_takes_what_is_sent_once(gateway: Caller, dialect: Dialect) -> None:
    for body, service, party in (
        (ARRIVAL, "movements", "passports"),
        (ARRIVAL.replace("NotifyArrival", "NotifyDeparture"), "movements", "passports"),
        (CAPACITY, "capacity", "foreign-affairs"),
    ):
        first, again = [
            await gateway.call(body, service=service, header=token(party), dialect=dialect) for _ in range(2)
        ]
        assert (first.value("duplicate"), again.value("duplicate")) == ("false", "true")
        assert first.value("message_id") == again.value("message_id")
        assert first.value("received_at") == again.value("received_at")


async def test_an_older_ceiling_is_refused_as_stale(gateway: Caller) -> None:
    header = token("foreign-affairs")
    assert (await gateway.call(CAPACITY, service="capacity", header=header)).value("duplicate") == "false"
    older = CAPACITY.replace("<version>3<", "<version>2<")
    answer = await gateway.call(older, service="capacity", header=token("foreign-affairs"))
    assert (answer.status, answer.value("code"), answer.value("error_type")) == (
        200,
        "STALE_VERSION",
        "Business",
    )


async def test_a_window_that_ends_before_it_begins_is_told_with_its_place(gateway: Caller) -> None:
    wrong = CAPACITY.replace("2026-12-31", "2026-11-01")
    answer = await gateway.call(wrong, service="capacity", header=token("foreign-affairs"))
    assert answer.status == 200
    assert answer.value("error_type") == "Business"
    assert answer.value("pointer") == "/window/closes"


# --- hostile and broken calls -----------------------------------------------------------------------------


def altered(old: str, new: str, body: str = ARRIVAL) -> bytes:
    assert old in body
    return SOAP_11.wrap(token(), body.replace(old, new))


def whole(old: bytes, new: bytes) -> bytes:
    envelope = SOAP_11.wrap(token(), ARRIVAL)
    assert old in envelope
    return envelope.replace(old, new)


AT = "2026-11-22T11:58:03+03:00"
MANY = b" ".join(b"a%d='1'" % n for n in range(20_000))
HOSTILE: dict[str, tuple[bytes, str]] = {
    "doctype": (whole(b"<s:Envelope", b"<!DOCTYPE x [<!ENTITY e 'x'>]><s:Envelope"), "DOCTYPE_FORBIDDEN"),
    "doctype_utf16": (
        whole(b"<s:Envelope", b"<!DOCTYPE x><s:Envelope")
        .decode()
        .replace('encoding="utf-8"', 'encoding="utf-16"')
        .encode("utf-16"),
        "DOCTYPE_FORBIDDEN",
    ),
    "external_dtd": (
        whole(b"<s:Envelope", b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><s:Envelope'),
        "DOCTYPE_FORBIDDEN",
    ),
    "utf7": (whole(b'encoding="utf-8"', b'encoding="utf-7"'), "ENCODING_NOT_UTF8"),
    "not_xml": (b"POST me", "INVALID_XML"),
    "cut_off": (SOAP_11.wrap(token(), ARRIVAL)[:-20], "INVALID_XML"),
    "deep": (b"<a>" * 300 + b"</a>" * 300, "NESTING_TOO_DEEP"),
    "many_elements": (b"<a>" + b"<b/>" * 60_000 + b"</a>", "TOO_MANY_ELEMENTS"),
    "many_attributes": (b"<a " + MANY + b"/>", "TOO_MANY_ATTRIBUTES"),
    "large_text": (altered("JED", "J" * 300_000), "BODY_TOO_LARGE"),
    "two_bodies": (whole(b"</s:Body>", b"</s:Body><s:Body/>"), "BODY_MISPLACED"),
    "two_body_children": (whole(b"</s:Body>", b"<x/></s:Body>"), "BODY_NOT_SINGLE"),
    "body_in_header": (SOAP_11.wrap(f"{token()}<s:Body>{ARRIVAL}</s:Body>", ""), "BODY_NOT_SINGLE"),
    "wrong_envelope_namespace": (whole(SOAP_11.namespace.encode(), b"urn:x"), "NOT_SOAP"),
    "wrong_namespace": (altered("urn:umrah:gateway:movements:v1", "urn:other"), "OPERATION_UNKNOWN"),
    "no_namespace": (altered(' xmlns="urn:umrah:gateway:movements:v1"', ""), "OPERATION_UNKNOWN"),
    "another_services_operation": (SOAP_11.wrap(token(), CAPACITY), "OPERATION_UNKNOWN"),
    "two_headers": (SOAP_11.wrap(token() + HEADER + HEADER, ARRIVAL), "HEADER_REPEATED"),
    "bad_header": (SOAP_11.wrap(token() + HEADER.replace("1448", "9" * 5000), ARRIVAL), "SCHEMA_INVALID"),
    "xsi_nil": (altered("<port>JED", f'<port {XSI} i:nil="true">'), "SCHEMA_INVALID"),
    "xsi_type": (
        altered(
            "<visa_number>",
            f'<visa_number {XSI} i:type="x:string" xmlns:x="http://www.w3.org/2001/XMLSchema">',
        ),
        "SCHEMA_INVALID",
    ),
    "year_99999": (altered(AT, "99999-01-01T00:00:00Z"), "SCHEMA_INVALID"),
    "hour_24": (altered(AT, "2026-11-22T24:00:00Z"), "SCHEMA_INVALID"),
    "second_60": (altered(AT, "2026-12-31T23:59:60Z"), "SCHEMA_INVALID"),
    "no_such_day": (altered(AT, "2026-02-30T10:00:00Z"), "SCHEMA_INVALID"),
    "no_offset": (altered(AT, "2026-11-22T10:00:00"), "SCHEMA_INVALID"),
    "offset_beyond": (altered(AT, "2026-11-22T10:00:00+99:00"), "SCHEMA_INVALID"),
    "arabic_digits": (altered("6123456789", "٦١٢٣٤٥٦٧٨٩"), "SCHEMA_INVALID"),
    "comment_in_a_number": (altered("6123456789", "61234<!-- -->56789"), "VALUE_UNREADABLE"),
    "instruction_in_a_number": (altered("6123456789", "61234<?x?>56789"), "VALUE_UNREADABLE"),
    "unknown_element": (altered("<port>", "<seat>1A</seat><port>"), "SCHEMA_INVALID"),
    "missing_element": (altered("<port>JED</port>", ""), "SCHEMA_INVALID"),
    "unknown_must_understand": (
        SOAP_11.wrap(token() + '<x xmlns="urn:x" s:mustUnderstand="1"/>', ARRIVAL),
        "HEADER_NOT_UNDERSTOOD",
    ),
    "1.2_envelope_as_text_xml": (SOAP_12.wrap(token(), ARRIVAL), "SOAP_VERSION"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_call_gets_a_stable_code_and_changes_nothing(caller: Caller, name: str) -> None:
    data, code = HOSTILE[name]
    answer = await caller.send(data)
    assert answer.fault == code
    assert code.lower() in catalogue.CODES
    assert "6123456789" not in answer.text
    assert caller.site.desk.taken == {}
    assert (await caller.call()).status == 200


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_changed_in_a_call_the_answer_is_soap(data: st.DataObject) -> None:
    """Bytes left out, doubled or replaced anywhere: refused or taken, never a failure of ours."""
    original = SOAP_11.wrap(token(nonce=b"0123456789abcdef"), ARRIVAL)
    start = data.draw(st.integers(0, len(original) - 1))
    end = data.draw(st.integers(start, min(len(original), start + 40)))
    changed = original[:start] + data.draw(st.binary(max_size=40)) + original[end:]

    async def call() -> None:
        async with open_site(CLOCK) as site, aiohttp.ClientSession() as session:
            answer = await Caller(site, session).send(changed)
        if answer.status == 200:
            assert answer.envelope.content.tag.endswith("Response")
        else:
            assert answer.fault.lower() in catalogue.CODES
            assert answer.fault != "INTERNAL_ERROR"

    asyncio.run(call())


@pytest.mark.parametrize("number", ["9" * 5_000, "1e9", "0x10", "-1", "٣", "1.0"])
async def test_a_ceiling_is_a_plain_number(caller: Caller, number: str) -> None:
    body = CAPACITY.replace(">1200<", f">{number}<")
    answer = await caller.call(body, service="capacity", header=token("foreign-affairs"))
    assert answer.fault == "SCHEMA_INVALID"


async def test_a_broken_message_is_told_its_place(caller: Caller) -> None:
    answer = await caller.send(altered("<port>JED", "<port>jed"))
    assert re.search(r"SCHEMAV_CVC_PATTERN_VALID at /\*/\*\[4\]", answer.text)


async def test_faults_name_the_reason_in_the_words_of_their_version(caller: Caller) -> None:
    unknown = '<x xmlns="urn:x" s:mustUnderstand="1"/>'
    for dialect in DIALECTS:
        answer = await caller.call(header=token() + unknown, dialect=dialect)
        assert "s:MustUnderstand<" in answer.text
        assert '<code xmlns="urn:umrah:types:v1">HEADER_NOT_UNDERSTOOD</code>' in answer.text
    assert "s:VersionMismatch<" in (await caller.send(SOAP_12.wrap(token(), ARRIVAL))).text
    assert (
        "s:VersionMismatch<"
        in (await caller.send(SOAP_11.wrap(token(), ARRIVAL), "application/soap+xml")).text
    )


async def test_a_block_that_need_not_be_understood_does_no_harm(caller: Caller) -> None:
    assert (await caller.call(header=token() + '<x xmlns="urn:x" s:mustUnderstand="0"/>')).status == 200


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "multipart/related"])
async def test_another_media_type_is_a_fault(caller: Caller, content_type: str) -> None:
    answer = await caller.send(SOAP_11.wrap(token(), ARRIVAL), content_type)
    assert answer.fault == "UNSUPPORTED_MEDIA_TYPE"


async def test_an_empty_body_is_a_fault(caller: Caller) -> None:
    assert (await caller.send(b"")).fault == "BODY_MISSING"


async def test_a_body_that_unpacks_to_too_much_is_a_fault(caller: Caller) -> None:
    caller.headers = {"Content-Encoding": "gzip"}
    assert (await caller.send(gzip.compress(b" " * 10_000_000))).fault == "BODY_TOO_LARGE"


async def test_a_sender_that_falls_silent_gets_a_fault() -> None:
    async with open_site(CLOCK, BodyLimits(1_000, silence_s=0.05, total_s=0.1)) as site:
        host, port = site.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /soap/movements HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
                     b"Content-Length: 500\r\nConnection: close\r\n\r\n<s:Env")  # fmt: skip
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"</s:Envelope>")
        writer.close()
    assert b"BODY_TOO_SLOW" in answer


@dataclass
class Half:
    """A call whose body has not come; whoever sends it has not said who they are."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    #: The first line: 100 when the body is wanted, so when its place is taken.
    line: bytes


async def half(site: Site, address: str, dialect: Dialect = SOAP_11, service: str = "movements") -> Half:
    url = urlsplit(site.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, local_addr=(address, 0))
    head = (
        f"POST /soap/{service} HTTP/1.1\r\nHost: x\r\nContent-Type: {dialect.media_type}\r\n"
        "Content-Length: 131072\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(5):
        return Half(reader, writer, await reader.readline())


def addresses(count: int) -> list[str]:
    """Of this machine: all of 127.0.0.0/8 is."""
    return [f"127.0.0.{number}" for number in range(2, 2 + count)]


async def test_bodies_of_nobody_known_are_read_64_at_a_time_over_all_services(caller: Caller) -> None:
    halves = [
        await half(caller.site, address, service=service)
        for address in addresses(4)
        for service in ("movements", "capacity") * 8
    ]
    assert {sender.line for sender in halves} == {b"HTTP/1.1 100 Continue\r\n"}
    refused = await caller.call()
    assert (refused.status, refused.fault) == (503, "SERVICE_BUSY")
    assert caller.site.desk.taken == {}
    for sender in halves:
        sender.writer.transport.abort()
    async with asyncio.timeout(5):
        while (await caller.call()).status != 200:
            pass


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
async def test_one_address_is_told_to_wait_in_its_version_and_shuts_out_no_other(
    caller: Caller, dialect: Dialect
) -> None:
    (address,) = addresses(1)
    halves = [await half(caller.site, address, dialect) for _ in range(16)]
    assert {sender.line for sender in halves} == {b"HTTP/1.1 100 Continue\r\n"}
    refused = await half(caller.site, address, dialect)
    async with asyncio.timeout(5):
        head = await refused.reader.readuntil(b"\r\n\r\n")
        envelope = open_envelope(etree.fromstring(await refused.reader.readuntil(b"Envelope>")))
    assert refused.line.split(b" ")[1] == b"503"
    assert b"\r\nRetry-After: 5\r\n" in b"\r\n" + head
    assert f"Content-Type: {dialect.media_type}; charset=utf-8".encode() in head
    assert envelope.dialect is dialect
    assert fault_code(envelope) == "SERVICE_BUSY"
    told = etree.tostring(envelope.content, encoding="unicode")
    assert dialect.receiver in told
    assert "5 seconds" in told
    assert (await caller.call(dialect=dialect)).status == 200
    for sender in [*halves, refused]:
        sender.writer.transport.abort()


# --- documents ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
async def test_documents_name_the_configured_address_whatever_host_is_asked_for(
    caller: Caller, service: str
) -> None:
    url = f"{caller.site.url}/soap/{service}"
    queue, seen = [f"{url}?wsdl"], set()
    while queue:
        address = queue.pop()
        seen.add(address)
        async with caller.session.get(address, headers={"Host": "evil.example"}) as response:
            assert response.status == 200
            document = await response.read()
        assert b"evil" not in document
        found = {node.get("schemaLocation") for node in etree.fromstring(document).iter("{*}import")}
        queue += [each for each in found - seen if each is not None]
        if address.endswith("?wsdl"):
            ports = etree.fromstring(document).findall(".//{*}port/{*}address")
            assert [port.get("location") for port in ports] == [url, url]
    assert len(seen) == 4


@pytest.mark.parametrize("query", ["WSDL", "Wsdl"])
async def test_a_wsdl_is_found_however_it_is_written(caller: Caller, query: str) -> None:
    async with caller.session.get(f"{caller.site.url}/soap/capacity?{query}") as response:
        assert response.status == 200


@pytest.mark.parametrize("query", ["", "?xsd=../../../pyproject.toml", "?xsd=interior/nic.xsd"])
async def test_nothing_else_is_published(caller: Caller, query: str) -> None:
    async with caller.session.get(f"{caller.site.url}/soap/capacity{query}") as response:
        assert response.status == 404


def test_an_operation_that_nobody_takes_stops_the_start() -> None:
    services = SoapServices(
        OPERATIONS[1:], SERVICES, Desk(CLOCK), SoapDoor(PartySecrets({}), Nonces(), CLOCK)
    )
    with pytest.raises(Misconfigured):
        services.routes("http://gateway.example")


# --- secrets ---------------------------------------------------------------------------------------


def test_demo_secrets_are_made_once_for_callers_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    settings = shipped_settings()
    callers = {operation.sender for operation in OPERATIONS}
    ensure_demo_secrets(settings, tmp_path, callers)
    files = {path.stem: path for path in secrets_directory(tmp_path).glob("*.secret")}
    assert set(files) == {"passports", "foreign-affairs"}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    first = files["passports"].read_bytes()
    ensure_demo_secrets(settings, tmp_path, callers)
    assert files["passports"].read_bytes() == first
    assert load_secrets(settings, tmp_path).of("passports") == (first.strip(),)


@pytest.mark.parametrize(
    ("name", "content", "mode"),
    [
        ("passports", b"x" * 32, 0o644),
        ("passports", b"short", 0o600),
        ("passports", b"", 0o600),
        ("passports", b"\n".join([b"x" * 32] * 3), 0o600),
        ("strangers", b"x" * 32, 0o600),
    ],
)
def test_a_secret_file_that_cannot_be_trusted_stops_the_start(
    tmp_path: Path, name: str, content: bytes, mode: int
) -> None:
    directory = secrets_directory(tmp_path)
    directory.mkdir()
    (directory / f"{name}.secret").write_bytes(content)
    (directory / f"{name}.secret").chmod(mode)
    with pytest.raises(Misconfigured) as misconfigured:
        load_secrets(shipped_settings(), tmp_path)
    assert "x" * 32 not in str(misconfigured.value)


def test_two_secrets_are_good_while_one_is_being_changed(tmp_path: Path) -> None:
    directory = secrets_directory(tmp_path)
    directory.mkdir()
    (directory / "passports.secret").write_bytes(b"a" * 32 + b"\n" + b"b" * 32 + b"\n")
    (directory / "passports.secret").chmod(0o600)
    assert load_secrets(shipped_settings(), tmp_path).of("passports") == (b"a" * 32, b"b" * 32)
