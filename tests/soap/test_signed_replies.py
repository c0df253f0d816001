"""What a partner that signs can answer, and what it may never be taken for. Real servers, real signatures."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lxml import etree

from gateway.clock import SystemClock
from gateway.http import HttpClient
from gateway.message import Answered, AttemptEnd, NotDone, Unknown
from gateway.soap import Endpoint, SoapPartner, load_contract
from gateway.soap.security.encryption import Decrypter, Encrypter
from gateway.soap.security.keys import Pinned, SigningKey
from gateway.soap.security.policy import MessageSecurity, Signatures
from gateway.soap.security.signing import Signer
from gateway.values import replace
from gateway.xml import Element
from tests.doubles import ManualClock
from tests.soap import partners, signed
from tests.soap.signed import KINDS, Attack, Sender, part, sent
from tests.soap.test_bad_replies import (
    ISSUING,
    OTHER_ID,
    REPEATABLE,
    Sent,
    Subject,
    fault,
    header,
    http,
    soap,
)

OURS = signed.key("umrah-gateway", "ecdsa")
NOW = ManualClock().now()
SUBJECTS = pytest.mark.parametrize("subject", [REPEATABLE, ISSUING], ids=["repeatable", "issuing"])


def theirs(kind: str = "ecdsa", **options: str) -> SigningKey:
    return signed.key("partner", kind, **options)


def agreed(*pinned: SigningKey, **options: object) -> Signatures:
    """What we agreed on with a partner: we sign, and take what these keys signed."""
    certificates = Pinned(pair.certificate for pair in (pinned or (theirs(),)))
    return Signatures(Signer(OURS), certificates, ManualClock(), **options)  # type: ignore[arg-type]


def sender(subject: Subject, pair: SigningKey | None = None) -> Sender:
    return Sender(pair or theirs(), subject.dialect, NOW)


def good(subject: Subject, request: Sent, pair: SigningKey | None = None, **options: object) -> Element:
    """The tree of a signed good reply."""
    content = subject.good.format(reference=request.reference)
    return sender(subject, pair).signed(header(request.message_id), content, **options)


Reply = Callable[[Subject, Sent], bytes]


@asynccontextmanager
async def calling(subject: Subject, url: str, security: MessageSecurity) -> AsyncIterator[SoapPartner]:
    endpoint = Endpoint(url, 2.0, 1.0)
    client = HttpClient(SystemClock(), idle_s=5)
    started = SoapPartner(load_contract(subject.service), endpoint, client, SystemClock(), security)
    await started.start()
    try:
        yield started
    finally:
        await started.close()


async def end_of(subject: Subject, reply: Reply, security: MessageSecurity) -> AttemptEnd:
    async def respond(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(subject, Sent.of(body)))
        await writer.drain()

    async with partners.raw_server(respond) as url, calling(subject, url, security) as through:
        return await partners.attempt(through, subject.operation)


# --- what is taken --------------------------------------------------------------------------------


@SUBJECTS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reference", ["token", "issuer_serial"])
async def test_a_signed_reply_is_taken(subject: Subject, kind: str, reference: str) -> None:
    pair = theirs(kind)
    end = await end_of(
        subject, lambda s, r: soap(s, sent(good(s, r, pair, reference=reference))), agreed(pair)
    )
    assert isinstance(end, Answered)


@pytest.mark.parametrize("reply_by", [0, 1])
async def test_two_certificates_are_good_while_one_is_being_changed(reply_by: int) -> None:
    pairs = theirs("ecdsa"), theirs("rsa")
    end = await end_of(ISSUING, lambda s, r: soap(s, sent(good(s, r, pairs[reply_by]))), agreed(*pairs))
    assert isinstance(end, Answered)


@SUBJECTS
async def test_an_encrypted_reply_is_opened(subject: Subject) -> None:
    reader = signed.key("umrah-gateway", "rsa")
    encrypt = Encrypter(reader.certificate)
    end = await end_of(
        subject,
        lambda s, r: soap(s, sent(good(s, r, encrypt=encrypt))),
        agreed(decrypter=Decrypter(reader)),
    )
    assert isinstance(end, Answered)


@SUBJECTS
async def test_a_listed_fault_counts_when_it_is_signed_and_names_our_message(subject: Subject) -> None:
    def reply(s: Subject, r: Sent) -> bytes:
        content = etree.tostring(part(etree.fromstring(fault(s.dialect, "SERVICE_CLOSED")), "Fault"))
        root = sender(s).signed(header(r.message_id), content.decode())
        return soap(s, sent(root), "500 Error")

    assert await end_of(subject, reply, agreed()) == NotDone("fault_SERVICE_CLOSED")


# --- what is not ----------------------------------------------------------------------------------


def evil(content: str) -> Element:
    """What the attacker wants to be read: valid by the schema."""
    return etree.fromstring(content.replace("VALID", "LOST").replace("6000000001", "6999999999"))


@pytest.mark.parametrize(
    ("subject", "kind"), [(REPEATABLE, "rsa"), (ISSUING, "ecdsa")], ids=["repeatable-rsa", "issuing-ecdsa"]
)
@pytest.mark.parametrize("attack", signed.ATTACKS, ids=lambda attack: attack.__name__)
async def test_a_reply_that_fails_verification_leaves_the_call_in_doubt(
    attack: Attack, kind: str, subject: Subject
) -> None:
    pair = theirs(kind)

    def reply(s: Subject, r: Sent) -> bytes:
        root = good(s, r, pair)
        attack(root, sender(s, pair), evil(s.good.format(reference=r.reference)))
        return soap(s, sent(root))

    end = await end_of(subject, reply, agreed(pair))
    assert end == Unknown(f"reply_{signed.ATTACKS[attack]}")


@SUBJECTS
async def test_an_unsigned_reply_is_in_doubt(subject: Subject) -> None:
    end = await end_of(
        subject,
        lambda s, r: soap(s, s.dialect.wrap(header(r.message_id), s.good.format(reference=r.reference))),
        agreed(),
    )
    assert end == Unknown("reply_signature_missing")


@SUBJECTS
@pytest.mark.parametrize("named", [None, "ours"])
async def test_an_unsigned_fault_never_says_that_nothing_was_done(
    subject: Subject, named: str | None
) -> None:
    def reply(s: Subject, r: Sent) -> bytes:
        return soap(s, fault(s.dialect, "SERVICE_CLOSED", named and r.message_id), "500 Error")

    assert await end_of(subject, reply, agreed()) == Unknown("reply_signature_missing")


@SUBJECTS
@pytest.mark.parametrize("named", ["", header(OTHER_ID)], ids=["no header", "another message's"])
async def test_a_signed_fault_of_another_exchange_never_says_that_nothing_was_done(
    subject: Subject, named: str
) -> None:
    """Somebody on the way sends again what the partner once signed."""
    content = etree.tostring(part(etree.fromstring(fault(subject.dialect, "SERVICE_CLOSED")), "Fault"))
    old = sent(sender(subject).signed(named, content.decode()))
    end = await end_of(subject, lambda s, _: soap(s, old, "500 Error"), agreed())
    assert end == Unknown("reply_uncorrelated")


async def test_a_signed_reply_to_another_request_is_in_doubt() -> None:
    end = await end_of(
        ISSUING, lambda s, r: soap(s, sent(good(s, replace(r, message_id=OTHER_ID)))), agreed()
    )
    assert end == Unknown("reply_uncorrelated")


async def test_a_comment_in_a_signed_value_hides_nothing() -> None:
    """Canonical form leaves comments out: the signature is still good, the value can't be read."""

    def reply(s: Subject, r: Sent) -> bytes:
        whole = sent(good(s, r))
        assert whole.count(b"6000000001") == 1
        return soap(s, whole.replace(b"6000000001", b"6000<!-- -->000001"))

    assert await end_of(ISSUING, reply, agreed()) == Unknown("reply_value_unreadable")


async def test_a_certificate_out_of_its_dates_is_refused() -> None:
    pair = theirs("ecdsa", ends="2026-11-01")
    end = await end_of(ISSUING, lambda s, r: soap(s, sent(good(s, r, pair))), agreed(pair))
    assert end == Unknown("reply_signing_certificate_expired")


@pytest.mark.parametrize("spoilt", ["cipher", "key", "not encrypted", "method", "to another"])
async def test_an_encrypted_reply_that_cannot_be_opened_is_in_doubt(spoilt: str) -> None:
    reader = signed.key("umrah-gateway", "rsa")
    receiver = signed.key("mallory", "rsa") if spoilt == "to another" else reader

    def reply(s: Subject, r: Sent) -> bytes:
        encrypt = None if spoilt == "not encrypted" else Encrypter(receiver.certificate)
        root = good(s, r, encrypt=encrypt)
        if spoilt == "method":
            method = part(part(root, "EncryptedData"), "EncryptionMethod")
            method.set("Algorithm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc")
        if spoilt in ("cipher", "key"):
            value = part(part(root, "EncryptedData" if spoilt == "cipher" else "EncryptedKey"), "CipherValue")
            data = bytearray(base64.b64decode(value.text or ""))
            data[-1] ^= 1
            value.text = base64.b64encode(bytes(data)).decode()
        return soap(s, sent(root))

    end = await end_of(ISSUING, reply, agreed(decrypter=Decrypter(reader)))
    codes = {"not encrypted": "encryption_missing", "method": "security_unsupported"}
    assert end == Unknown(f"reply_{codes.get(spoilt, 'encryption_invalid')}")


async def test_the_next_good_reply_passes_after_bad_ones() -> None:
    bad: list[Reply] = [
        lambda s, r: soap(s, s.dialect.wrap(header(r.message_id), s.good.format(reference=r.reference))),
        lambda s, r: http("200 OK", s.dialect.media_type, sent(good(s, r))[:-9]),
    ]

    async def respond(body: bytes, writer: asyncio.StreamWriter) -> None:
        request = Sent.of(body)
        writer.write(bad.pop()(ISSUING, request) if bad else soap(ISSUING, sent(good(ISSUING, request))))
        await writer.drain()

    async with partners.raw_server(respond) as url, calling(ISSUING, url, agreed()) as through:
        ends = [await partners.attempt(through, ISSUING.operation) for _ in range(3)]
    assert [isinstance(end, Answered) for end in ends] == [False, False, True]


def test_there_are_enough_shapes_of_wrapping() -> None:
    moved = [attack for attack in signed.ATTACKS if "moved" in attack.__name__ or "evil" in attack.__name__]
    assert len(moved) >= 8
    page = (Path(__file__).parents[2] / "docs/soap-security.md").read_text("utf-8")
    assert f"[{len(signed.ATTACKS)} shapes]" in page
