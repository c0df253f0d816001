"""The stand-ins of Interior, through the same client that the gateway uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.interior.operations import (
    LICENSEE_HOLD_NIC,
    LICENSEE_HOLD_PASSPORTS,
    OVERSTAY_REPORT,
    PASSPORT_VERIFICATION,
    SECURITY_CLEARANCE,
)
from adapters.interior.services import NIC, PASSPORTS
from adapters.interior.simulator import NicSimulator, PassportsSimulator
from gateway.clock import SystemClock
from gateway.message import Answered, AttemptEnd, Declined, Deferred, Operation, Projection, Unknown
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
    assert department[0].evidence() == {"calls": {"VerifyPassport": 4}, "overstays_reported": 0}


@pytest.mark.parametrize("ending", ["00", "89", "92", "93", "94", "96", "97", "98", "99", "AA"])
async def test_anyone_else_is_clear(center: Center, ending: str) -> None:
    assert await check(center[1], f"A12{ending}") == CLEAR


@pytest.mark.parametrize("ending", ["00", "90", "91", "93", "95", "96", "97", "98", "99", "AA"])
async def test_any_other_passport_is_valid(department: Department, ending: str) -> None:
    assert await verify(department[1], f"A12{ending}") == VALID


async def hold(through: SoapPartner, operation: Operation, licensee: str) -> AttemptEnd:
    check = Projection({"licensee_id": licensee, "season": 1448})
    return await partners.attempt(through, operation, projection=check)


async def test_h1_is_held_at_the_center_and_h2_at_passports(center: Center, department: Department) -> None:
    until = (SystemClock().today() + timedelta(days=90)).isoformat()
    free = Answered({"standing": "CLEAR", "valid_until": until})
    security = Answered({"standing": "BLOCK", "valid_until": until, "code": "SECURITY_HOLD"})
    staff = Answered({"standing": "BLOCK", "valid_until": until, "code": "STAFF_HOLD"})
    licensees = ("LIC-1001", "LIC-1001-H1", "LIC-1001-H2")

    at_center = [await hold(center[1], LICENSEE_HOLD_NIC, one) for one in licensees]
    at_passports = [await hold(department[1], LICENSEE_HOLD_PASSPORTS, one) for one in licensees]

    assert at_center == [free, security, free]
    assert at_passports == [free, free, staff]
    assert center[0].evidence() == {"calls": {"CheckLicenseeHold": 3}}


async def report(through: SoapPartner, reference: str) -> AttemptEnd:
    notice = Projection({"visa_number": "6012345678", "due_date": "2026-07-30", "level": 1})
    return await partners.attempt(
        through, OVERSTAY_REPORT, projection=notice, call_context=partners.context(reference)
    )


async def test_an_overstay_is_acknowledged_once_for_each_reference(department: Department) -> None:
    simulator, through = department
    first, again, another = [await report(through, reference) for reference in ("r-1", "r-1", "r-2")]
    assert first == again == Answered({"status": "ACKNOWLEDGED", "reference": "OVS-000001"})
    assert another == Answered({"status": "ACKNOWLEDGED", "reference": "OVS-000002"})
    assert simulator.evidence() == {"calls": {"ReportOverstay": 3}, "overstays_reported": 2}
