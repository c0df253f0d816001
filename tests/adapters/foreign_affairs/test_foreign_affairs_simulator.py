"""The stand-in of Foreign Affairs, through the same client that the gateway uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from adapters.foreign_affairs import simulator as simulator_module
from adapters.foreign_affairs.operations import CONTRACT_ATTESTATION, VISA_CANCELLATION, VISA_ISSUANCE
from adapters.foreign_affairs.services import VISAS
from adapters.foreign_affairs.simulator import ForeignAffairsSimulator
from adapters.foreign_affairs.visa_register import VisaRegister
from gateway.clock import SystemClock
from gateway.message import (
    Absent,
    Answered,
    AttemptEnd,
    Contested,
    Declined,
    Deferred,
    Projection,
    Unknown,
)
from gateway.soap import SoapPartner
from tests.soap import partners


@asynccontextmanager
async def ministry(
    deadline_s: float = 2.0, **options: Any
) -> AsyncIterator[tuple[ForeignAffairsSimulator, SoapPartner]]:
    simulator = ForeignAffairsSimulator(SystemClock(), **options)
    simulator.open()
    try:
        async with (
            partners.serving(simulator.routes("http://127.0.0.1:8090")) as url,
            partners.partner(VISAS, url + simulator.path, deadline_s=deadline_s) as through,
        ):
            yield simulator, through
    finally:
        simulator.close()


async def issue(through: SoapPartner, number: str, reference: str = "r-1") -> AttemptEnd:
    return await partners.attempt(
        through,
        VISA_ISSUANCE,
        projection=partners.application(passport__number=number),
        call_context=partners.context(reference),
    )


async def ask(through: SoapPartner, reference: str = "r-1") -> AttemptEnd:
    return await partners.attempt(
        through, VISA_ISSUANCE, VISA_ISSUANCE.inquiry, call_context=partners.context(reference)
    )


async def cancel(
    through: SoapPartner, visa_number: str, reference: str = "r-1", *, only_ask: bool = False
) -> AttemptEnd:
    earlier = {VISA_ISSUANCE.name: {"visa_number": visa_number, "request_reference": reference}}
    return await partners.attempt(
        through,
        VISA_CANCELLATION,
        VISA_CANCELLATION.inquiry if only_ask else None,
        projection=partners.application(),
        call_context=partners.context("c-1", earlier=earlier),
    )


def visa_number(end: AttemptEnd) -> str:
    assert isinstance(end, Answered)
    return str(end.result["visa_number"])


async def test_anyone_else_is_issued_a_visa() -> None:
    async with ministry() as (simulator, through):
        assert isinstance(await ask(through), Absent)
        issued = await issue(through, "A1200")
        assert await ask(through) == issued
    assert simulator.evidence() == {
        "visas_issued": 1,
        "distinct_applications": 1,
        "issued_twice": [],
        "calls": {"GetVisaStatus": 2, "IssueVisa": 1},
    }


async def test_93_issues_and_drops_the_connection() -> None:
    async with ministry() as (_, through):
        assert await issue(through, "A1293") == Unknown("connection_lost")
        assert isinstance(await ask(through), Answered)


async def test_96_issues_at_once_and_answers_late(monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulator_module._SLOW_S == 3.0
    monkeypatch.setattr(simulator_module, "_SLOW_S", 0.2)
    async with ministry() as (_, through):
        answering = asyncio.create_task(issue(through, "A1296"))
        await asyncio.sleep(0.1)
        assert isinstance(await ask(through), Answered)
        assert not answering.done()
        assert isinstance(await answering, Answered)


async def test_97_has_no_capacity_once() -> None:
    async with ministry() as (_, through):
        assert await issue(through, "A1297") == Deferred("mission_capacity")
        assert isinstance(await ask(through), Absent)
        assert isinstance(await issue(through, "A1297"), Answered)


async def test_98_fails_once_in_doubt_and_issues_nothing() -> None:
    async with ministry() as (_, through):
        assert await issue(through, "A1298") == Unknown("fault")
        assert isinstance(await ask(through), Absent)
        assert isinstance(await issue(through, "A1298"), Answered)


async def test_99_issues_and_never_answers() -> None:
    async with ministry(deadline_s=0.2) as (_, through):
        assert await issue(through, "A1299") == Unknown("reply_timeout")
        assert isinstance(await ask(through), Answered)


async def test_a_partner_that_deduplicates_replays_what_it_issued() -> None:
    async with ministry(mode="deduplicates") as (simulator, through):
        first = await issue(through, "A1200")
        assert await issue(through, "A1200") == first
        assert simulator.evidence()["visas_issued"] == 1


@pytest.mark.parametrize("mode", ["can_be_asked", "neither"])
async def test_one_that_does_not_issues_twice_and_the_evidence_shows_it(mode: str) -> None:
    async with ministry(mode=mode) as (simulator, through):
        first, second = [await issue(through, "A1200") for _ in range(2)]
        assert visa_number(first) != visa_number(second)
        asked = await ask(through)
        evidence = simulator.evidence()
    assert (evidence["visas_issued"], evidence["issued_twice"]) == (2, ["r-1"])
    assert asked == (first if mode == "can_be_asked" else Unknown("fault"))


async def test_two_live_visas_of_one_person_are_shown_too() -> None:
    async with ministry() as (simulator, through):
        first = await issue(through, "A1200", "r-1")
        await cancel(through, visa_number(first), "r-1")
        await issue(through, "A1200", "r-2")
        assert simulator.evidence()["issued_twice"] == []
        await issue(through, "A1200", "r-3")
        await issue(through, "B1200", "r-4")
        assert simulator.evidence()["issued_twice"] == ["r-3"]


async def test_a_visa_is_cancelled_once_and_stays_cancelled() -> None:
    async with ministry() as (_, through):
        number = visa_number(await issue(through, "A1200"))
        assert isinstance(await cancel(through, number, only_ask=True), Absent)
        done = Answered({"visa_number": number})
        assert [await cancel(through, number) for _ in range(2)] == [done, done]
        assert await cancel(through, number, only_ask=True) == done
        assert await ask(through) == Contested("CANCELLED")


async def test_a_visa_is_not_cancelled_after_entry_or_under_another_number() -> None:
    async with ministry() as (simulator, through):
        number = visa_number(await issue(through, "A1200"))
        simulator.enter(number)
        assert await cancel(through, number) == Declined("CANCEL_AFTER_ENTRY", "not_cancellable")
        assert await cancel(through, "6999999999") == Declined("VISA_NOT_FOUND", "not_cancellable")


async def test_what_was_issued_survives_the_process(tmp_path: Path) -> None:
    journal = tmp_path / "visas.jsonl"
    async with ministry(journal=journal) as (before, through):
        issued = await issue(through, "A1200", "r-1")
        await issue(through, "A1297", "r-2")
        await cancel(through, visa_number(await issue(through, "C1200", "r-3")), "r-3")
        # What a kill in the middle of a write leaves behind.
        with journal.open("ab") as file:
            file.write(b'{"event": "issued", "refer')
    async with ministry(journal=journal) as (after, through):
        known = ("visas_issued", "distinct_applications", "issued_twice")
        assert [after.evidence()[name] for name in known] == [before.evidence()[name] for name in known]
        assert await ask(through, "r-1") == issued
        assert await ask(through, "r-3") == Contested("CANCELLED")
        assert isinstance(await issue(through, "A1297", "r-2"), Answered), "its refusal was already given"
        fresh = await issue(through, "D1200", "r-4")
    async with ministry(journal=journal) as (_, through):
        assert await ask(through, "r-4") == fresh


async def attest(through: SoapPartner, contract_id: str, version: int, reference: str) -> AttemptEnd:
    contract = {
        "contract_id": contract_id,
        "version": version,
        "licensee_id": "LIC-1001",
        "agent_id": "AGT-2001",
        "agent_name": "Nusantara Pilgrim Travel",
        "country": "IDN",
        "mission_id": "MSN-IDN-JKT",
        "valid_from": "2026-06-17",
        "valid_until": "2027-06-05",
    }
    return await partners.attempt(
        through,
        CONTRACT_ATTESTATION,
        projection=Projection(contract),
        call_context=partners.context(reference),
    )


async def test_a_contract_is_received_once_and_listed_for_whoever_plays_the_mission() -> None:
    async with ministry() as (simulator, through):
        first = await attest(through, "CTR-1", 1, "r-1")
        again = await attest(through, "CTR-1", 1, "r-1")
        second = await attest(through, "CTR-1", 2, "r-2")
        base = through._endpoint.url.removesuffix(simulator.path)
        async with ClientSession() as session, session.get(f"{base}/_attestations") as answer:
            listed = await answer.json()
    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    assert first == again != second
    assert listed == [
        {"contract_id": "CTR-1", "version": 1, "reference": first.result["reference"]},
        {"contract_id": "CTR-1", "version": 2, "reference": second.result["reference"]},
    ]


async def test_r1_is_rejected_at_once_and_not_listed() -> None:
    async with ministry() as (simulator, through):
        rejected = await attest(through, "CTR-9-R1", 1, "r-1")
    assert rejected == Declined("REJECTED_BY_MISSION", "rejected_by_mission")
    assert simulator.attestations() == []


def test_visa_numbers_are_unique_ten_digits_and_repeatable() -> None:
    def numbers(seed: int) -> list[str]:
        register = VisaRegister(seed=seed)
        dates = {"valid_from": "2026-01-01", "valid_until": "2026-01-01", "stay_until": "2026-01-01"}
        return [register.issue(f"r-{n}", f"p-{n}", **dates).number for n in range(5_000)]

    first = numbers(1)
    assert first == numbers(1)
    assert first != numbers(2)
    assert len(set(first)) == 5_000
    assert all(len(number) == 10 and number.isascii() and number.isdigit() for number in first)


def test_a_journal_is_not_written_before_it_was_read(tmp_path: Path) -> None:
    register = VisaRegister(journal=tmp_path / "visas.jsonl")
    with pytest.raises(RuntimeError, match="not open"):
        register.first_time("x")
