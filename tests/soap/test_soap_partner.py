"""`SoapPartner` towards a partner that behaves: the bulkhead, the latest instant for sending, no leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from adapters.interior.operations import PASSPORT_VERIFICATION
from adapters.interior.services import PASSPORTS
from gateway.clock import SystemClock
from gateway.message import Answered, NotDone, Unknown
from gateway.soap import SoapPartner, load_contract
from gateway.soap.hosting import routes
from gateway.soap.server import Call, SoapServer
from tests.soap import partners


@dataclass
class Department:
    """Answers after `latency_s`, and counts."""

    latency_s: float = 0.0
    calls: list[Call] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def answer(self, call: Call) -> Mapping[str, Any]:
        self.calls.append(call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.latency_s)
        self.at_once -= 1
        return {"result": {"status": "VALID"}}


@asynccontextmanager
async def calling(department: Department, **options: Any) -> AsyncIterator[SoapPartner]:
    contract = load_contract(PASSPORTS)
    served = routes(
        "/p", contract, SoapServer(contract, SystemClock()), department.answer, "http://p.example"
    )
    async with partners.serving(served) as url, partners.partner(PASSPORTS, url + "/p", **options) as through:
        yield through


async def test_no_more_calls_at_once_than_the_bulkhead_allows() -> None:
    department = Department(latency_s=0.01)
    async with calling(department, concurrency=3) as through:
        ends = await asyncio.gather(*(partners.attempt(through, PASSPORT_VERIFICATION) for _ in range(12)))
    assert all(isinstance(end, Answered) for end in ends)
    assert department.most_at_once == 3


async def test_a_call_that_gets_no_slot_in_time_was_not_sent() -> None:
    department = Department()
    async with calling(department, concurrency=1, deadline_s=0.1) as through:
        async with through._slots:
            assert await partners.attempt(through, PASSPORT_VERIFICATION) == NotDone("no_free_slot")
        assert department.calls == []
        assert isinstance(await partners.attempt(through, PASSPORT_VERIFICATION), Answered)


async def test_waiting_for_a_slot_takes_half_of_the_deadline_at_most_and_sends_nothing() -> None:
    async with calling(Department(latency_s=0.15), concurrency=1, deadline_s=0.2) as through:
        first, second = await asyncio.gather(
            *(partners.attempt(through, PASSPORT_VERIFICATION) for _ in range(2))
        )
    assert isinstance(first, Answered)
    assert second == NotDone("no_free_slot")


async def test_a_slot_is_given_back_after_failures_and_cancellation() -> None:
    async with calling(Department(latency_s=0.3), concurrency=1, deadline_s=0.05) as through:
        for _ in range(2):
            assert await partners.attempt(through, PASSPORT_VERIFICATION) == Unknown("reply_timeout")
        task = asyncio.create_task(partners.attempt(through, PASSPORT_VERIFICATION))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert not through._slots.locked()


async def test_after_the_latest_instant_nothing_is_sent() -> None:
    department = Department()
    async with calling(department) as through:
        end = await partners.attempt(through, PASSPORT_VERIFICATION, send_within_s=-1.0)
    assert end == NotDone("send_by_passed")
    assert department.calls == []


async def test_the_header_says_who_asks_for_whom() -> None:
    department = Department()
    async with calling(department) as through:
        await partners.attempt(through, PASSPORT_VERIFICATION)
    header = department.calls[0].header
    assert header["kind"] == "interior.passport_verification"
    assert (header["sender"], header["receiver"]) == ("umrah-gateway", "passports")
    assert header["correlation_id"] == partners.MESSAGE
    assert header["on_behalf_of"] == {"licensee": "LIC-1001", "agent": "AGT-2001"}
    assert header["season"] == 1448
    assert header["classification"] == "restricted"
    assert header["sent_at"].tzinfo is not None
