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
from gateway.message import NotDone
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
