"""A stand-in of Foreign Affairs' visa system, for demonstrations and tests.

The last two characters of the passport number decide what `IssueVisa` does: `93` issues and drops the
connection, `96` issues at once and answers after three seconds, `97` has no capacity once, `98` fails with a
technical fault once and issues nothing, `99` issues and never answers. Anything else is issued.

An agent's contract is received, and waits for whoever plays the mission: `GET /_attestations` lists what was
received. A contract id that ends in `-R1` is rejected at once. Contracts are forgotten with the process.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from aiohttp import web

from adapters.foreign_affairs import visa_statement as statement
from adapters.foreign_affairs.services import VISAS
from adapters.foreign_affairs.visa_register import IssuedVisa, VisaRegister
from gateway.ports import Clock
from gateway.soap import load_contract
from gateway.soap.hosting import Instead, Misbehaviour, routes
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity
from gateway.soap.server import Call, SoapFault, SoapServer
from schemas.hijri import to_hijri

#: `deduplicates`: the same reference gets what was issued. `can_be_asked`: it is issued again, but
#: `GetVisaStatus` tells. `neither`: issued again, and `GetVisaStatus` fails.
Mode = Literal["deduplicates", "can_be_asked", "neither"]

_SLOW_S: Final = 3.0
_VALIDITY: Final = timedelta(days=30)

Values = Mapping[str, Any]


class ForeignAffairsSimulator:
    """Remembers across restarts what it issued, when given a journal. Use between `open` and `close`."""

    path: Final = "/foreign-affairs"

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 0,
        latency_s: float = 0.0,
        journal: Path | None = None,
        mode: Mode = "deduplicates",
        security: MessageSecurity = UNPROTECTED,
    ) -> None:
        """`security`: what it agreed on with the gateway, seen from its own side."""
        self._security = security
        self._clock = clock
        self._latency_s = latency_s
        self._mode = mode
        self._register = VisaRegister(seed=seed, journal=journal)
        self._entered: set[str] = set()
        self._calls: Counter[str] = Counter()
        #: By our reference.
        self._attestations: dict[str, Values] = {}
        self._handlers = {
            "IssueVisa": self._issue,
            "GetVisaStatus": self._status,
            "CancelVisa": self._cancel,
            "AttestAgentContract": self._attest,
        }

    def open(self) -> None:
        """Read the journal back."""
        self._register.open()

    def close(self) -> None:
        """Close the journal."""
        self._register.close()

    def routes(self, base_url: str) -> list[web.RouteDef]:
        """Its HTTP routes. Reads the contract: for start-up."""
        contract = load_contract(VISAS)
        served = routes(
            self.path,
            contract,
            SoapServer(contract, self._clock, security=self._security),
            self._answer,
            base_url,
        )
        return [
            *served,
            web.get("/_attestations", self._list_attestations),
            web.get("/_visas", self._list_visas),
            web.get("/_statement", self._statement),
        ]

    async def _list_visas(self, _request: web.Request) -> web.Response:
        """Every visa by its number: for whoever plays the border, and for proofs."""
        return web.json_response(self._register.visas())

    async def _statement(self, request: web.Request) -> web.Response:
        """`?date=`: the visas issued on that day in Riyadh, as CSV, or as XML with `format=xml`."""
        day = date.fromisoformat(request.query["date"])
        as_xml = request.query.get("format") == "xml"
        text = (statement.as_xml if as_xml else statement.as_csv)(day, self._clock.now(), self._register)
        return web.Response(text=text, content_type="application/xml" if as_xml else "text/csv")

    def evidence(self) -> dict[str, Any]:
        """What was issued, under how many references, which twice; calls so far, by operation."""
        return {**self._register.evidence(), "calls": dict(self._calls)}

    def attestations(self) -> list[Values]:
        """The contracts received for attestation, each once: `contract_id`, `version`, `reference`."""
        return list(self._attestations.values())

    def enter(self, visa_number: str) -> None:
        """The pilgrim has entered the Kingdom: the visa can't be cancelled any more."""
        self._entered.add(visa_number)

    async def _answer(self, call: Call) -> Values:
        self._calls[call.action.name] += 1
        await asyncio.sleep(self._latency_s)
        return await self._handlers[call.action.name](call.values)

    async def _issue(self, values: Values) -> Values:
        reference = values["request_reference"]
        issued = self._register.find(reference) if self._mode == "deduplicates" else None
        if issued is not None:
            return _visa_reply(issued)
        outcome = values["passport"]["number"][-2:]
        if outcome == "97" and self._register.first_time(f"{reference} no capacity"):
            return _business_error("MISSION_CAPACITY_EXCEEDED", "The mission has no capacity left", "لا طاقة")
        if outcome == "98" and self._register.first_time(f"{reference} fault"):
            raise SoapFault("internal error", code="INTERNAL_ERROR", ours=True)
        return await self._reply(outcome, self._new_visa(values))

    async def _reply(self, outcome: str, visa: IssuedVisa) -> Values:
        match outcome:
            case "93":
                raise Instead(Misbehaviour.DROP)
            case "96":
                await asyncio.sleep(_SLOW_S)
            case "99":
                raise Instead(Misbehaviour.SILENCE)
        return _visa_reply(visa)

    def _new_visa(self, values: Values) -> IssuedVisa:
        passport, travel = values["passport"], values["travel"]
        arrival: date = travel["arrival_date"]["gregorian"]
        departure: date = travel["departure_date"]["gregorian"]
        return self._register.issue(
            values["request_reference"],
            passport["issuing_state"] + passport["number"],
            valid_from=(arrival - _VALIDITY).isoformat(),
            valid_until=(arrival + _VALIDITY).isoformat(),
            stay_until=departure.isoformat(),
            at=self._clock.now().isoformat(),
        )

    async def _status(self, values: Values) -> Values:
        if self._mode == "neither":
            raise SoapFault("not offered", code="NOT_OFFERED", ours=True)
        reference = values["request_reference"]
        visa = self._register.find(reference)
        if visa is None:
            status: Values = {"absent": {}}
        elif self._register.is_cancelled(visa):
            status = {"cancelled": visa.number}
        else:
            status = {"issued": _visa(visa)}
        return {"result": {"request_reference": reference, **status}}

    async def _cancel(self, values: Values) -> Values:
        reference, number = values["request_reference"], values["visa_number"]
        visa = self._register.find(reference)
        if visa is None or visa.number != number:
            return _business_error("VISA_NOT_FOUND", "No such visa under this reference", "لا توجد تأشيرة")
        if number in self._entered:
            return _business_error("CANCEL_AFTER_ENTRY", "The pilgrim has entered", "دخل المعتمر المملكة")
        if not self._register.is_cancelled(visa):
            self._register.cancel(visa)
        return {"result": {"request_reference": reference, "cancelled": number}}

    async def _attest(self, values: Values) -> Values:
        ours, contract = values["request_reference"], values["contract_id"]
        if contract.endswith("-R1"):
            return _business_error("REJECTED_BY_MISSION", "The mission does not accept it", "رفضته الممثلية")
        # Made from our reference: a repetition gets the same one, even after a restart.
        case = f"ATT-{hashlib.sha256(ours.encode()).hexdigest()[:16]}"
        self._attestations[ours] = {
            "contract_id": contract,
            "version": values["contract_version"],
            "reference": case,
        }
        return {"result": {"request_reference": ours, "status": "RECEIVED", "reference": case}}

    async def _list_attestations(self, _request: web.Request) -> web.Response:
        return web.json_response(self.attestations())


def _visa_reply(visa: IssuedVisa) -> Values:
    return {"result": _visa(visa)}


def _visa(visa: IssuedVisa) -> Values:
    return {
        "request_reference": visa.reference,
        "visa_number": visa.number,
        "valid_from": _pair(visa.valid_from),
        "valid_until": _pair(visa.valid_until),
        "stay_until": _pair(visa.stay_until),
    }


def _pair(day: str) -> Values:
    return {"gregorian": day, "hijri": to_hijri(date.fromisoformat(day))}


def _business_error(code: str, text_en: str, text_ar: str) -> Values:
    error = {
        "error_type": "Business",
        "code": code,
        "text_en": text_en,
        "text_ar": text_ar,
        "source": VISAS.party,
    }
    return {"service_error": error}
