"""Gateway and partners that sign, as wholes: what they ask of one another, and visas at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.foreign_affairs.operations import VISA_ISSUANCE
from adapters.foreign_affairs.services import VISAS
from adapters.foreign_affairs.simulator import ForeignAffairsSimulator
from adapters.interior.operations import PASSPORT_VERIFICATION
from adapters.interior.services import PASSPORTS
from adapters.interior.simulator import PassportsSimulator
from gateway.clock import SystemClock
from gateway.http import HttpClient
from gateway.message import Answered, AttemptEnd, Operation, Unknown
from gateway.soap import Endpoint, SoapPartner, SoapService, load_contract
from gateway.soap.security.keys import Pinned
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity, Signatures
from gateway.soap.security.signing import Signer
from tests.soap import partners, signed
from tests.soap.signed import KINDS

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()


def side(own: str, other: str, kind: str) -> Signatures:
    """What one side knows: its key and the other's certificate."""
    return Signatures(Signer(signed.key(own, kind)), Pinned([signed.key(other, kind).certificate]), CLOCK)


def issuing(security: MessageSecurity) -> ForeignAffairsSimulator:
    return ForeignAffairsSimulator(CLOCK, security=security)


def verifying(security: MessageSecurity) -> PassportsSimulator:
    return PassportsSimulator(CLOCK, security=security)


BOTH = pytest.mark.parametrize(
    ("make", "service", "operation"),
    [(issuing, VISAS, VISA_ISSUANCE), (verifying, PASSPORTS, PASSPORT_VERIFICATION)],
    ids=["issuing", "repeatable"],
)
Make = Callable[[MessageSecurity], ForeignAffairsSimulator | PassportsSimulator]


async def end_of(
    make: Make, service: SoapService, operation: Operation, ours: MessageSecurity, theirs: MessageSecurity
) -> AttemptEnd:
    simulator = make(theirs)
    async with partners.serving(simulator.routes("http://partner.example")) as url:
        client = HttpClient(CLOCK, idle_s=5)
        endpoint = Endpoint(url + simulator.path, 2.0, 1.0)
        through = SoapPartner(load_contract(service), endpoint, client, CLOCK, ours)
        await through.start()
        try:
            return await partners.attempt(through, operation)
        finally:
            await through.close()


@BOTH
@pytest.mark.parametrize("kind", KINDS)
async def test_both_sides_sign(make: Make, service: SoapService, operation: Operation, kind: str) -> None:
    ours, theirs = side("umrah-gateway", "partner", kind), side("partner", "umrah-gateway", kind)
    assert isinstance(await end_of(make, service, operation, ours, theirs), Answered)


@BOTH
async def test_a_partner_that_wants_signatures_does_nothing_without(
    make: Make, service: SoapService, operation: Operation
) -> None:
    theirs = side("partner", "umrah-gateway", "ecdsa")
    assert await end_of(make, service, operation, UNPROTECTED, theirs) == Unknown("reply_not_understood")
    stranger = side("mallory", "partner", "ecdsa")
    assert await end_of(make, service, operation, stranger, theirs) == Unknown("reply_uncorrelated")


@BOTH
async def test_a_partner_whose_reply_a_stranger_signs_is_not_believed(
    make: Make, service: SoapService, operation: Operation
) -> None:
    ours = side("umrah-gateway", "partner", "ecdsa")
    stranger = side("mallory", "umrah-gateway", "ecdsa")
    assert await end_of(make, service, operation, ours, stranger) == Unknown("reply_signature_invalid")


def test_visas_are_issued_through_signed_messages() -> None:
    """The whole demonstration: NIC with RSA, Passports and Foreign Affairs with ECDSA."""
    done = subprocess.run(
        [sys.executable, "run_gateway.py", "demo", "--signed", "-n", "5", "--seed", "3", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert story["issued"] >= 3
    assert (story["lost"], story["visas_issued_twice"], story["forgotten"]) == (0, 0, 0)
