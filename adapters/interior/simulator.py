"""Stand-ins of the Center's and of Passports' systems, for demonstrations and tests.

The last two characters of the passport number decide: `90` HIT, `91` PENDING twice and then CLEAR, `95` HTML
with 502 once and then CLEAR; `92` LOST, `94` 503 twice and then VALID. Anything else is CLEAR and VALID.

The end of a licence number decides about holds: `-H1` BLOCK at the Center, `-H2` BLOCK at Passports. Anything
else is CLEAR. Every overstay is acknowledged, once for each reference.

What they remember (how often, what was reported) is lost with the process; it changes no answer for good.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from aiohttp import web

from adapters.interior.services import NIC, PASSPORTS
from gateway.ports import Clock
from gateway.soap import load_contract
from gateway.soap.hosting import Instead, routes
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity
from gateway.soap.server import Call, SoapServer

_PENDING_TIMES: Final = 2
_UNAVAILABLE_TIMES: Final = 2
_HOLD_STANDS: Final = timedelta(days=90)
_HTML: Final = "<html><body><h1>502 Bad Gateway</h1></body></html>"


class NicSimulator:
    """The National Information Center."""

    path: Final = "/nic"

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 0,
        latency_s: float = 0.0,
        security: MessageSecurity = UNPROTECTED,
    ) -> None:
        """`security`: what it agreed on with the gateway, seen from its own side."""
        self._security = security
        self._clock = clock
        self._seed = seed
        self._latency_s = latency_s
        self._calls: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()
        self._garbled: set[str] = set()

    def routes(self, base_url: str) -> list[web.RouteDef]:
        """Its HTTP routes. Reads the contract: for start-up."""
        contract = load_contract(NIC)
        return routes(
            self.path,
            contract,
            SoapServer(contract, self._clock, security=self._security),
            self._answer,
            base_url,
        )

    def evidence(self) -> dict[str, Any]:
        """Calls so far, by operation."""
        return {"calls": dict(self._calls)}

    async def _answer(self, call: Call) -> Mapping[str, Any]:
        self._calls[call.action.name] += 1
        await asyncio.sleep(self._latency_s)
        match call.action.name:
            case "InquireClearance":
                return self._again(call.values["reference"])
            case "CheckLicenseeHold":
                blocked = call.values["licence_number"].endswith("-H1")
                return _hold("SECURITY_HOLD" if blocked else None, self._clock.today())
        person = call.values["person"]
        return self._first(f"{person['issuing_state']}{person['passport_number']}")

    def _first(self, person: str) -> Mapping[str, Any]:
        reference = hashlib.sha256(f"{self._seed}/{person}".encode()).hexdigest()[:24]
        match person[-2:]:
            case "90":
                return _clearance("HIT", reference)
            case "91":
                return self._again(reference)
            case "95" if person not in self._garbled:
                self._garbled.add(person)
                raise Instead(web.Response(status=502, text=_HTML, content_type="text/html"))
            case _:
                return _clearance("CLEAR", reference)

    def _again(self, reference: str) -> Mapping[str, Any]:
        self._pending[reference] += 1
        status = "PENDING" if self._pending[reference] <= _PENDING_TIMES else "CLEAR"
        return _clearance(status, reference)


class PassportsSimulator:
    """The Passports department."""

    path: Final = "/passports"

    def __init__(
        self, clock: Clock, *, latency_s: float = 0.0, security: MessageSecurity = UNPROTECTED
    ) -> None:
        """`security`: what it agreed on with the gateway, seen from its own side."""
        self._security = security
        self._clock = clock
        self._latency_s = latency_s
        self._calls: Counter[str] = Counter()
        self._unavailable: Counter[str] = Counter()
        #: The department's name for each report, by ours.
        self._overstays: dict[str, str] = {}

    def routes(self, base_url: str) -> list[web.RouteDef]:
        """Its HTTP routes. Reads the contract: for start-up."""
        contract = load_contract(PASSPORTS)
        return routes(
            self.path,
            contract,
            SoapServer(contract, self._clock, security=self._security),
            self._answer,
            base_url,
        )

    def evidence(self) -> dict[str, Any]:
        """Calls so far, by operation, and how many overstays were reported."""
        return {"calls": dict(self._calls), "overstays_reported": len(self._overstays)}

    async def _answer(self, call: Call) -> Mapping[str, Any]:
        self._calls[call.action.name] += 1
        await asyncio.sleep(self._latency_s)
        match call.action.name:
            case "CheckLicenseeHold":
                blocked = call.values["licence_number"].endswith("-H2")
                return _hold("STAFF_HOLD" if blocked else None, self._clock.today())
            case "ReportOverstay":
                return self._overstay(call.values["request_reference"])
            case _:
                return self._verify(call.values["issuing_state"] + call.values["passport_number"])

    def _verify(self, document: str) -> Mapping[str, Any]:
        if document.endswith("94") and self._unavailable[document] < _UNAVAILABLE_TIMES:
            self._unavailable[document] += 1
            raise Instead(web.Response(status=503))
        return {"result": {"status": "LOST" if document.endswith("92") else "VALID"}}

    def _overstay(self, reference: str) -> Mapping[str, Any]:
        case = self._overstays.setdefault(reference, f"OVS-{len(self._overstays) + 1:06}")
        return {"result": {"status": "ACKNOWLEDGED", "reference": case}}


def _clearance(status: str, reference: str) -> Mapping[str, Any]:
    return {"result": {"status": status, "reference": reference}}


def _hold(code: str | None, today: date) -> Mapping[str, Any]:
    standing = {"standing": "CLEAR"} if code is None else {"standing": "BLOCK", "code": code}
    return {"result": {**standing, "valid_until": today + _HOLD_STANDS}}
