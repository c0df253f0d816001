"""Calls of partners that sign, over the services that we offer: who is let in, how we answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from lxml import etree

from gateway.message import PartyId
from gateway.soap.envelope import DIALECTS, SOAP_11, Dialect, Envelope, fault_code
from gateway.soap.security.encryption import Encrypter
from gateway.soap.security.keys import Pinned
from gateway.soap.security.parties import SigningParties
from gateway.soap.security.policy import Signatures
from gateway.soap.security.signing import Signer
from gateway.soap.wsse import PartySecrets
from gateway.web.soap_services import SoapDoor
from gateway.xml import Element, Limits, parse
from tests.doubles import ManualClock
from tests.interop.site import SECRETS, Nonces, open_site
from tests.pipeline.world import World
from tests.soap import signed
from tests.soap.signed import KINDS, Attack, Sender, mirrored, part, sent
from tests.web.test_soap_services import ARRIVAL, HEADER, Answer, Caller, token

CLOCK = ManualClock()
OURS = signed.key("umrah-gateway", "rsa")
EVIL = ARRIVAL.replace("JED", "MED")
PARTIES = {
    PartyId("passports"): [signed.key("passports", kind).certificate for kind in KINDS],
    PartyId("foreign-affairs"): [signed.key("foreign-affairs", "ecdsa").certificate],
}
BY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)


def door(use_once: object = None, clock: ManualClock = CLOCK) -> SoapDoor:
    """Passports sign, and want our answers signed; Foreign Affairs sign; NIC has a secret only."""
    signatures = SigningParties(PARTIES, {PartyId("passports"): Signer(OURS)}, clock)
    secrets = PartySecrets({party: [secret] for party, secret in SECRETS.items()})
    return SoapDoor(secrets, use_once or Nonces(), clock, signatures=signatures)  # type: ignore[arg-type]


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with open_site(CLOCK) as site, aiohttp.ClientSession() as session:
        site.services.use(site.desk, door())
        yield Caller(site, session)


def passports(kind: str = "ecdsa", dialect: Dialect = SOAP_11, who: str = "passports") -> Sender:
    return Sender(signed.key(who, kind), dialect, CLOCK.now())


async def send(caller: Caller, root: Element | bytes, dialect: Dialect = SOAP_11) -> Answer:
    return await caller.send(root if isinstance(root, bytes) else sent(root), dialect.media_type)


def opened(answer: Answer) -> Envelope:
    """The answer, verified as the caller does it."""
    theirs = Signatures(Signer(signed.key("passports", "ecdsa")), Pinned([OURS.certificate]), CLOCK)
    return theirs.open(parse(answer.text.encode(), Limits()))


# --- who is let in --------------------------------------------------------------------------------


@BY_DIALECT
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("header", ["", HEADER], ids=["alone", "with our header"])
@pytest.mark.parametrize("reference", ["token", "issuer_serial"])
async def test_a_signed_call_is_taken(
    caller: Caller, reference: str, header: str, kind: str, dialect: Dialect
) -> None:
    root = passports(kind, dialect).signed(header, ARRIVAL, reference=reference)
    answer = await send(caller, root, dialect)
    assert (answer.status, answer.value("duplicate")) == (200, "false")
    assert [body["port"] for body in caller.site.desk.bodies] == ["JED"]


@pytest.mark.parametrize(
    ("kind", "dialect"), list(zip(KINDS, DIALECTS, strict=True)), ids=["ecdsa-1.1", "rsa-1.2"]
)
@pytest.mark.parametrize("attack", signed.ATTACKS, ids=lambda attack: attack.__name__)
async def test_an_attack_is_refused_and_changes_nothing(
    caller: Caller, attack: Attack, kind: str, dialect: Dialect
) -> None:
    by = passports(kind, dialect)
    root = by.signed(HEADER, ARRIVAL)
    attack(root, by, etree.fromstring(EVIL))
    answer = await send(caller, root, dialect)
    # Without a signature in its place a UsernameToken is looked for, and other things found.
    unsigned = attack in (signed.signature_taken_off, signed.signature_moved_out_of_the_block)
    assert answer.fault == ("SECURITY_UNSUPPORTED" if unsigned else signed.ATTACKS[attack].upper())
    assert caller.site.desk.taken == {}
    assert "MED" not in answer.text
    assert (await send(caller, by.signed(HEADER, ARRIVAL), dialect)).status == 200


async def test_who_must_sign_is_not_let_in_with_a_token(caller: Caller) -> None:
    assert (await caller.call(header=token())).fault == "SIGNATURE_MISSING"
    assert (await caller.call(header=token(secret=b"w" * 32))).fault == "UNAUTHENTICATED"
    assert (await caller.call(header="")).fault == "UNAUTHENTICATED"
    assert caller.site.desk.taken == {}


async def test_a_signature_lets_its_own_party_in_only(caller: Caller) -> None:
    root = passports(who="foreign-affairs").signed("", ARRIVAL)
    assert (await send(caller, root)).fault == "FORBIDDEN"
    assert (await send(caller, passports(who="mallory").signed("", ARRIVAL))).fault == "SIGNATURE_INVALID"
    assert caller.site.desk.taken == {}


async def test_a_comment_in_a_signed_value_hides_nothing(caller: Caller) -> None:
    whole = sent(passports().signed("", ARRIVAL)).replace(b"6123456789", b"6123<!-- -->456789")
    assert (await send(caller, whole)).fault == "VALUE_UNREADABLE"
    assert caller.site.desk.taken == {}


async def test_an_encrypted_call_is_refused(caller: Caller) -> None:
    root = passports().signed("", ARRIVAL, encrypt=Encrypter(OURS.certificate))
    assert (await send(caller, root)).fault == "SIGNATURE_INVALID"


# --- replay ---------------------------------------------------------------------------------------


async def test_a_signed_call_counts_once(caller: Caller) -> None:
    whole = sent(passports().signed(HEADER, ARRIVAL))
    assert (await send(caller, whole)).status == 200
    assert (await send(caller, whole)).fault == "TOKEN_REPLAYED"


async def test_another_form_of_the_same_signature_is_a_replay(caller: Caller) -> None:
    """Of an ECDSA signature anybody can make a second one; text can be written in other ways."""
    root = passports().signed(HEADER, ARRIVAL)
    whole = sent(root)
    assert (await send(caller, whole)).status == 200
    mirrored(root)
    assert sent(root) != whole
    assert (await send(caller, root)).fault == "TOKEN_REPLAYED"
    value = part(root, "SignatureValue")
    value.text = f"\n{value.text}\n"
    part(root, "KeyInfo").tail = " "
    assert (await send(caller, root)).fault == "TOKEN_REPLAYED"


async def test_one_call_many_times_at_once_counts_once(caller: Caller) -> None:
    whole = sent(passports().signed(HEADER, ARRIVAL))
    answers = await asyncio.gather(*(send(caller, whole) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [500] * 7


async def test_a_replay_is_found_through_the_ledger_by_another_process(caller: Caller, world: World) -> None:
    """Two doors, as two processes have them, and one ledger."""
    whole = sent(passports().signed(HEADER, ARRIVAL))
    caller.site.services.use(caller.site.desk, door(world.engine.ledger.use_token))
    assert (await send(caller, whole)).status == 200
    caller.site.services.use(caller.site.desk, door(world.engine.ledger.use_token))
    assert (await send(caller, whole)).fault == "TOKEN_REPLAYED"


async def test_a_replay_is_remembered_as_long_as_it_could_be_taken(caller: Caller) -> None:
    clock, nonces = ManualClock(), Nonces()
    whole = sent(Sender(signed.key("passports", "ecdsa"), SOAP_11, clock.now()).signed("", ARRIVAL))
    caller.site.services.use(caller.site.desk, door(nonces, clock))
    assert (await send(caller, whole)).status == 200
    clock.pass_by(seconds=304)
    assert (await send(caller, whole)).fault == "TOKEN_REPLAYED"
    clock.pass_by(seconds=2)
    assert (await send(caller, whole)).fault == "TOKEN_EXPIRED"


async def test_an_attack_uses_up_nothing(caller: Caller) -> None:
    by = passports()
    root = by.signed("", ARRIVAL)
    good = sent(root)
    signed.body_changed(root, by, etree.fromstring(EVIL))
    assert (await send(caller, root)).fault == "SIGNATURE_INVALID"
    assert (await send(caller, good)).status == 200


# --- our answers ----------------------------------------------------------------------------------


@BY_DIALECT
@pytest.mark.parametrize("header", ["", HEADER], ids=["alone", "with our header"])
async def test_our_answer_is_signed_for_who_wants_it(caller: Caller, header: str, dialect: Dialect) -> None:
    answer = await send(caller, passports(dialect=dialect).signed(header, ARRIVAL), dialect)
    envelope = opened(answer)
    assert (envelope.message_header is not None) is bool(header)
    assert not envelope.fault


@BY_DIALECT
async def test_a_fault_to_a_caller_that_is_known_is_signed(caller: Caller, dialect: Dialect) -> None:
    bad = passports(dialect=dialect).signed("", ARRIVAL.replace("JED", "??"))
    answer = await send(caller, bad, dialect)
    assert fault_code(opened(answer)) == "SCHEMA_INVALID"


async def test_a_fault_to_nobody_known_is_not_signed(caller: Caller) -> None:
    by = passports()
    root = by.signed("", ARRIVAL)
    signed.body_changed(root, by, etree.fromstring(EVIL))
    assert "Signature>" not in (await send(caller, root)).text


async def test_an_answer_is_not_signed_for_who_did_not_ask(caller: Caller) -> None:
    caller.site.services.use(
        caller.site.desk, SoapDoor(PartySecrets({}), Nonces(), CLOCK, signatures=_sign_only())
    )
    answer = await send(caller, passports().signed("", ARRIVAL))
    assert answer.status == 200
    assert "Signature" not in answer.text


def _sign_only() -> SigningParties:
    return SigningParties(PARTIES, {}, CLOCK)


def test_one_certificate_of_two_parties_stops_the_start() -> None:
    one = [signed.key("passports", "ecdsa").certificate]
    with pytest.raises(ValueError, match="two parties"):
        SigningParties({PartyId("passports"): one, PartyId("nic"): one}, {}, CLOCK)
