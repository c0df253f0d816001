"""The stand-ins of Interior, through the same client that the gateway uses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.interior.operations import PASSPORT_VERIFICATION, SECURITY_CLEARANCE
from adapters.interior.services import NIC, PASSPORTS
from adapters.interior.simulator import NicSimulator, PassportsSimulator
from gateway.clock import SystemClock
from gateway.message import Answered, AttemptEnd, Declined, Deferred, Unknown
from gateway.soap import SoapPartner
from tests.soap import partners

Center = tuple[NicSimulator, SoapPartner]
Department = tuple[PassportsSimulator, SoapPartner]
CLEAR, VALID = Answered({"status": "CLEAR"}), Answered({"status": "VALID"})


@pytest.fixture
async def center() -> AsyncIterator[Center]:
    simulator = NicSimulator(SystemClock())
    async with (
        partners.serving(simulator.routes("http://127.0.0.1:8090")) as url,
        partners.partner(NIC, url + simulator.path) as through,
    ):
        yield simulator, through


@pytest.fixture
async def department() -> AsyncIterator[Department]:
    simulator = PassportsSimulator(SystemClock())
    async with (
        partners.serving(simulator.routes("http://127.0.0.1:8090")) as url,
        partners.partner(PASSPORTS, url + simulator.path) as through,
    ):
        yield simulator, through


async def check(through: SoapPartner, number: str) -> AttemptEnd:
    person = partners.application(passport__number=number)
    return await partners.attempt(through, SECURITY_CLEARANCE, projection=person)


async def verify(through: SoapPartner, number: str) -> AttemptEnd:
    person = partners.application(passport__number=number)
    return await partners.attempt(through, PASSPORT_VERIFICATION, projection=person)


async def test_90_is_a_hit(center: Center) -> None:
    assert await check(center[1], "A1290") == Declined("HIT", "refused")


async def test_91_is_pending_twice_and_then_clear(center: Center) -> None:
    simulator, through = center
    first = await check(through, "A1291")
    assert isinstance(first, Deferred)
    asking = partners.context(partner_reference=first.reference)
    second, third = [
        await partners.attempt(through, SECURITY_CLEARANCE, SECURITY_CLEARANCE.follow_up, call_context=asking)
        for _ in range(2)
    ]
    assert second == first
    assert third == CLEAR
    assert simulator.evidence() == {"calls": {"CheckClearance": 1, "InquireClearance": 2}}


async def test_95_is_html_once(center: Center) -> None:
    ends = [await check(center[1], "A1295") for _ in range(3)]
    assert ends == [Unknown("http_502"), CLEAR, CLEAR]


async def test_92_is_lost(department: Department) -> None:
    assert await verify(department[1], "A1292") == Declined("LOST", "passport_not_accepted")


async def test_94_is_unavailable_twice_for_each_passport(department: Department) -> None:
    ends = [await verify(department[1], number) for number in ("A1294", "A1294", "A1294", "B1294")]
    assert ends == [Unknown("http_503"), Unknown("http_503"), VALID, Unknown("http_503")]
    assert department[0].evidence() == {"calls": {"VerifyPassport": 4}}


@pytest.mark.parametrize("ending", ["00", "89", "92", "93", "94", "96", "97", "98", "99", "AA"])
async def test_anyone_else_is_clear(center: Center, ending: str) -> None:
    assert await check(center[1], f"A12{ending}") == CLEAR


@pytest.mark.parametrize("ending", ["00", "90", "91", "93", "95", "96", "97", "98", "99", "AA"])
async def test_any_other_passport_is_valid(department: Department, ending: str) -> None:
    assert await verify(department[1], f"A12{ending}") == VALID
