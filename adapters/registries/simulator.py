"""Stand-ins of the registries, for demonstrations and tests: how an id or a number ends decides.

| registry | what ends | with | answer |
|---|---|---|---|
| GOSI | licensee id | `-G1` | BLOCK, `CERTIFICATE_EXPIRED` |
| GOSI | licensee id | `-U2` | always half a JSON text, with status 200 |
| dues | licensee id | `-D1` | BLOCK, `DUES_OWED` |
| dues | licensee id | `-U1` | closed (503, `SERVICE_CLOSED`) for the first three calls, then CLEAR |
| IATA | IATA number | `00` | NOT_MEMBER |
| banks | account | `00` | NOT_APPROVED |
| banks | guarantee number | `00` | NOT_FOUND |
| banks | guarantee number | `01` | INSUFFICIENT |
| banks | guarantee number | `02` | EXPIRED, the day before the one asked for |

Anything else is CLEAR, MEMBER, APPROVED, HELD. (The holds at the Center, `-H1`, and at Passports, `-H2`, are
Interior's.) What they remember is lost with the process.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from aiohttp import web

from adapters.registries.services import BANKS, DUES, GOSI, IATA
from gateway.ports import Clock
from gateway.rest import RestService
from gateway.rest.hosting import Call, Instead, routes, technical_error

_CERTIFICATE_STANDS: Final = timedelta(days=180)
_DUES_STAND: Final = timedelta(days=30)
_MEMBERSHIP_STANDS: Final = timedelta(days=365)
_CLOSED_TIMES: Final = 3
_DAY: Final = timedelta(days=1)

Values = Mapping[str, Any]


class RegistrySimulator(ABC):
    """What the four have in common: where they stand, how fast they are, what they count."""

    def __init__(self, path: str, service: RestService, clock: Clock, latency_s: float) -> None:
        self.path: Final = path
        self._service = service
        self._clock = clock
        self._latency_s = latency_s
        self._calls: Counter[str] = Counter()

    def routes(self, base_url: str) -> list[web.RouteDef]:
        """Its HTTP routes; nothing in them names the address that they are served under."""
        return routes(self.path, self._service, self._counted)

    def evidence(self) -> dict[str, Any]:
        """Calls so far, by action."""
        return {"calls": dict(self._calls)}

    async def _counted(self, call: Call) -> Values:
        self._calls[call.action] += 1
        await asyncio.sleep(self._latency_s)
        return self._answer(call)

    @abstractmethod
    def _answer(self, call: Call) -> Values:
        """`{"result": …}`, by the last characters."""

    def _in(self, time: timedelta) -> str:
        return (self._clock.today() + time).isoformat()


class GosiSimulator(RegistrySimulator):
    """Social insurance certificates."""

    def __init__(self, clock: Clock, *, latency_s: float = 0.0) -> None:
        super().__init__("/gosi", GOSI, clock, latency_s)

    def _answer(self, call: Call) -> Values:
        licensee = call.values["licensee_id"]
        if licensee.endswith("-U2"):
            raise Instead(web.Response(body=b'{"correlation_id": "', content_type="application/json"))
        if licensee.endswith("-G1"):
            return _block("CERTIFICATE_EXPIRED", self._in(-_DAY))
        return _clear(self._in(_CERTIFICATE_STANDS))


class DuesSimulator(RegistrySimulator):
    """What licensees owe to any body. It is closed `closed_times` to each licensee that ends in `-U1`."""

    def __init__(self, clock: Clock, *, latency_s: float = 0.0, closed_times: int = _CLOSED_TIMES) -> None:
        super().__init__("/dues", DUES, clock, latency_s)
        self._closed_times = closed_times
        self._closed: Counter[str] = Counter()

    def _answer(self, call: Call) -> Values:
        licensee = call.values["licensee_id"]
        if licensee.endswith("-U1") and self._closed[licensee] < self._closed_times:
            self._closed[licensee] += 1
            raise technical_error(call, "SERVICE_CLOSED")
        if licensee.endswith("-D1"):
            return _block("DUES_OWED", self._in(_DUES_STAND))
        return _clear(self._in(_DUES_STAND))


class IataSimulator(RegistrySimulator):
    """Members of IATA."""

    def __init__(self, clock: Clock, *, latency_s: float = 0.0) -> None:
        super().__init__("/iata", IATA, clock, latency_s)

    def _answer(self, call: Call) -> Values:
        if call.values["iata_number"].endswith("00"):
            return {"result": {"status": "NOT_MEMBER"}}
        return {"result": {"status": "MEMBER", "valid_until": self._in(_MEMBERSHIP_STANDS)}}


class BanksSimulator(RegistrySimulator):
    """Accounts and guarantees at approved banks."""

    def __init__(self, clock: Clock, *, latency_s: float = 0.0) -> None:
        super().__init__("/banks", BANKS, clock, latency_s)

    def _answer(self, call: Call) -> Values:
        if call.action == "CheckAccount":
            status = "NOT_APPROVED" if call.values["account"].endswith("00") else "APPROVED"
            return {"result": {"status": status}}
        return {"result": _guarantee(call.values["number"], call.values["expiry_date"])}


def _guarantee(number: str, expiry_date: str) -> Values:
    match number[-2:]:
        case "00":
            return {"status": "NOT_FOUND"}
        case "01":
            return {"status": "INSUFFICIENT", "valid_until": expiry_date}
        case "02":
            earlier = date.fromisoformat(expiry_date) - _DAY
            return {"status": "EXPIRED", "valid_until": earlier.isoformat()}
        case _:
            return {"status": "HELD", "valid_until": expiry_date}


def _clear(valid_until: str) -> Values:
    return {"result": {"standing": "CLEAR", "valid_until": valid_until}}


def _block(code: str, valid_until: str) -> Values:
    return {"result": {"standing": "BLOCK", "code": code, "valid_until": valid_until}}
