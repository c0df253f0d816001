"""The stand-ins of the registries, through the same client that the gateway uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from adapters.registries.operations import (
    ACCOUNT,
    DUES,
    GUARANTEE,
    MEMBERSHIP,
    OPERATIONS,
    SOCIAL_INSURANCE,
)
from adapters.registries.services import SERVICES
from adapters.registries.simulator import (
    BanksSimulator,
    DuesSimulator,
    GosiSimulator,
    IataSimulator,
    RegistrySimulator,
)
from gateway.clock import SystemClock
from gateway.message import Answered, AttemptEnd, Declined, NotDone, Operation, Unknown
from gateway.rest import RestPartner
from tests.adapters.registries.test_registries_conversion import CHECK, CONTRACT, body_of
from tests.rest.partners import attempt, partner
from tests.soap.partners import context, serving


@asynccontextmanager
async def asking(simulator: RegistrySimulator) -> AsyncIterator[RestPartner]:
    name = simulator.path.removeprefix("/")
    async with (
        serving(simulator.routes("")) as url,
        partner(SERVICES[name], url + simulator.path) as through,
    ):
        yield through


async def ask(through: RestPartner, operation: Operation, **changes: Any) -> AttemptEnd:
    body = {**body_of(operation), **{name.replace("__", "."): value for name, value in changes.items()}}
    return await attempt(through, operation, body, context(f"m-1/{operation.name}"))


def on(days: int) -> str:
    return (SystemClock().today() + timedelta(days=days)).isoformat()


async def test_g1_has_an_expired_certificate() -> None:
    simulator = GosiSimulator(SystemClock())
    async with asking(simulator) as through:
        ends = [await ask(through, SOCIAL_INSURANCE, licensee_id=one) for one in ("LIC-1", "LIC-1-G1")]
    assert ends == [
        Answered({"standing": "CLEAR", "valid_until": on(180)}),
        Answered({"standing": "BLOCK", "code": "CERTIFICATE_EXPIRED", "valid_until": on(-1)}),
    ]
    assert simulator.evidence() == {"calls": {"CheckCertificate": 2}}


async def test_u2_is_garbage_for_ever() -> None:
    async with asking(GosiSimulator(SystemClock())) as through:
        ends = [await ask(through, SOCIAL_INSURANCE, licensee_id="LIC-1-U2") for _ in range(5)]
    assert ends == [Unknown("reply_invalid_json", answered=True)] * 5


async def test_d1_owes_dues() -> None:
    async with asking(DuesSimulator(SystemClock())) as through:
        end = await ask(through, DUES, licensee_id="LIC-1-D1")
    assert end == Answered({"standing": "BLOCK", "code": "DUES_OWED", "valid_until": on(30)})


async def test_u1_is_a_late_source_for_each_licensee() -> None:
    closed = NotDone("technical_SERVICE_CLOSED")
    clear = Answered({"standing": "CLEAR", "valid_until": on(30)})
    simulator = DuesSimulator(SystemClock())
    async with asking(simulator) as through:
        ends = [await ask(through, DUES, licensee_id="LIC-1-U1") for _ in range(5)]
        other = await ask(through, DUES, licensee_id="LIC-2-U1")
    assert ends == [closed, closed, closed, clear, clear]
    assert other == closed
    assert simulator.evidence() == {"calls": {"CheckDues": 6}}


async def test_how_late_can_be_said() -> None:
    async with asking(DuesSimulator(SystemClock(), closed_times=0)) as through:
        assert isinstance(await ask(through, DUES, licensee_id="LIC-1-U1"), Answered)


async def test_an_iata_number_that_ends_in_00_is_invalid() -> None:
    async with asking(IataSimulator(SystemClock())) as through:
        assert await ask(through, MEMBERSHIP) == Answered({"status": "MEMBER", "valid_until": on(365)})
        invalid = await ask(through, MEMBERSHIP, iata_number="1530100")
    assert invalid == Declined("IATA_INVALID", "iata_invalid")


async def test_an_account_that_ends_in_00_is_not_approved() -> None:
    async with asking(BanksSimulator(SystemClock())) as through:
        assert await ask(through, ACCOUNT) == Answered({"status": "APPROVED"})
        refused = await ask(through, ACCOUNT, bank__account="ID00123456789000")
    assert refused == Declined("BANK_NOT_APPROVED", "bank_not_approved")


@pytest.mark.parametrize("ending", ["00", "01", "02"])
async def test_a_guarantee_is_missing_too_little_or_too_short(ending: str) -> None:
    async with asking(BanksSimulator(SystemClock())) as through:
        held = await ask(through, GUARANTEE)
        refused = await ask(through, GUARANTEE, guarantee__number=f"LG-{ending}")
    assert held == Answered({"status": "HELD", "valid_until": CONTRACT["guarantee.expiry_date"]})
    assert refused == Declined("GUARANTEE_MISSING", "guarantee_missing")


@pytest.mark.parametrize("ending", ["00", "H1", "-H1", "-H2", "99"])
async def test_any_other_licensee_is_clear(ending: str) -> None:
    for simulator, operation in (
        (GosiSimulator(SystemClock()), SOCIAL_INSURANCE),
        (DuesSimulator(SystemClock()), DUES),
    ):
        async with asking(simulator) as through:
            end = await ask(through, operation, licensee_id=f"LIC-1{ending}")
        assert isinstance(end, Answered)
        assert end.result["standing"] == "CLEAR"


def test_there_is_a_stand_in_for_each_destination_at_its_path() -> None:
    clock = SystemClock()
    paths = {one(clock).path for one in (GosiSimulator, DuesSimulator, IataSimulator, BanksSimulator)}
    assert paths == {f"/{operation.destination}" for operation in OPERATIONS}
    assert CHECK["licensee_id"][-3:] not in ("-G1", "-D1", "-U1", "-U2")
