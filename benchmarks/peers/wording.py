"""The three requests and their header block, as values for zeep. An application is what a center sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final

from hijridate import Gregorian

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Service:
    """One of the partners' services: where its contract is, and what the header says to it."""

    wsdl: str
    binding: str
    path: str
    operation: str
    kind: str
    party: str
    classification: str


CLEARANCE: Final = Service(
    "interior/nic.wsdl",
    "{urn:umrah:interior:nic:v1}ClearanceSoap11",
    "/nic",
    "CheckClearance",
    "interior.security_clearance",
    "nic",
    "secret",
)
VERIFICATION: Final = Service(
    "interior/passports.wsdl",
    "{urn:umrah:interior:passports:v1}PassportsSoap11",
    "/passports",
    "VerifyPassport",
    "interior.passport_verification",
    "passports",
    "restricted",
)
ISSUANCE: Final = Service(
    "foreign_affairs/visas.wsdl",
    "{urn:umrah:foreign_affairs:visas:v1}VisasSoap12",
    "/foreign-affairs",
    "IssueVisa",
    "foreign_affairs.visa_issuance",
    "foreign-affairs",
    "restricted",
)
SERVICES: Final = (CLEARANCE, VERIFICATION, ISSUANCE)


class Unusable(Exception):
    """The partner's answer is not about our request, or not the one that can be gone on with."""


def header(service: Service, application_id: str, batch: Values) -> dict[str, Any]:
    """Of a call; its `message_id` is what the reply must name."""
    return {
        "message_id": str(uuid.uuid4()),
        "kind": service.kind,
        "version": "1",
        "correlation_id": application_id,
        "sender": "umrah-gateway",
        "receiver": service.party,
        "sent_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "on_behalf_of": {"licensee": batch["licensee_id"], "agent": batch["agent_id"]},
        "season": batch["season"],
        "classification": service.classification,
    }


def request(service: Service, application_id: str, line: Values, batch: Values) -> dict[str, Any]:
    """The values of its operation."""
    reference = f"{application_id}/{service.operation}"
    if service is CLEARANCE:
        return {"request_reference": reference, "person": _person(line)}
    if service is VERIFICATION:
        return {"request_reference": reference, **_document(line)}
    return {"request_reference": reference, **_visa(line, batch)}


def _person(line: Values) -> dict[str, Any]:
    passport = line["passport"]
    return {
        "passport_number": passport["number"],
        "issuing_state": passport["issuing_state"],
        "expiry_date": passport["expiry_date"],
        "name": line["name"],
        "birth_date": line["birth_date"],
        "nationality": line["nationality"],
        "sex": line["sex"],
    }


def _document(line: Values) -> dict[str, Any]:
    passport = line["passport"]
    return {
        "passport_number": passport["number"],
        "passport_type": passport["type"],
        "issuing_state": passport["issuing_state"],
        "issue_date": passport["issue_date"],
        "expiry_date": passport["expiry_date"],
        "birth_date": line["birth_date"],
        "nationality": line["nationality"],
    }


def _visa(line: Values, batch: Values) -> dict[str, Any]:
    passport, travel = line["passport"], line["travel"]
    return {
        "visa_type": line["visa_type"],
        "mission": batch["mission_id"],
        "group_number": batch["group_number"],
        "passport": {
            name: passport[name] for name in ("number", "type", "issuing_state", "issue_date", "expiry_date")
        },
        "name": line["name"],
        "name_ar": line["name_ar"],
        "birth_date": line["birth_date"],
        "birth_country": line["birth_country"],
        "nationality": line["nationality"],
        "sex": line["sex"],
        "travel": {
            "arrival_date": _both(travel["arrival_date"]),
            "departure_date": _both(travel["departure_date"]),
            "entry_port": travel["entry_port"],
        },
    }


@lru_cache(maxsize=1024)
def _both(day: str) -> dict[str, str]:
    """In two calendars."""
    gregorian = date.fromisoformat(day)
    hijri = Gregorian(gregorian.year, gregorian.month, gregorian.day).to_hijri()
    return {"gregorian": day, "hijri": hijri.isoformat()}


def result(service: Service, sent: Values, reply: Any) -> str:
    """What is kept of a reply: clearance's reference, the passport's status, the visa's number.

    Raises `Unusable`: whoever calls tries again.
    """
    if reply.header.header.correlation_id != sent["message_id"]:
        raise Unusable("the reply is to another message")
    answer = reply.body.result
    if answer is None:
        raise Unusable("refused")
    if service is ISSUANCE:
        return str(answer.visa_number)
    if answer.status not in ("CLEAR", "VALID"):
        raise Unusable(answer.status)
    return str(answer.reference if service is CLEARANCE else answer.status)
