"""What every foreign client is asked to do, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.interop.site import SECRETS, SERVICES, Site

VERSIONS = ("1.1", "1.2")
_MOVEMENT = {
    "visa_number": "6123456789",
    "border_number": "3012345678",
    "at": "2026-11-22T11:58:03+03:00",
    "port": "JED",
    "carrier": "الخطوط السعودية",
    "flight": "SV816",
}


@dataclass(frozen=True)
class Told:
    """One operation with its values, and the same with something else in it."""

    service: str
    operation: str
    party: str
    kind: str
    values: Mapping[str, Any]
    changed: Mapping[str, Any]
    #: What the desk must be handed.
    body: Mapping[str, Any]


def told(version: str) -> tuple[Told, ...]:
    """Every operation that we serve. Ids differ by SOAP version, so that one desk can take them all."""
    event = {"event_id": f"EV-{version}", **_MOVEMENT}
    ceiling = {
        "mission_id": f"MSN-{version}",
        "version": 3,
        "window": {"opens": "2026-12-01", "closes": "2026-12-31"},
        "ceiling": 1200,
    }
    decision = {
        "contract_id": f"CON-{version}",
        "version": 2,
        "decision": "ATTESTED",
        "decided_at": "2026-11-22T08:00:00+00:00",
        "reference": "ATT-2026-0093",
    }
    attested = {**decision, "decision": "attested"}
    elsewhere = {**event, "port": "MED"}
    return (
        Told("movements", "NotifyArrival", "passports", "movement.arrival", event, elsewhere, event),
        Told("movements", "NotifyDeparture", "passports", "movement.departure", event, elsewhere, event),
        Told(
            "capacity", "PublishMissionCapacity", "foreign-affairs", "mission.capacity",
            ceiling, {**ceiling, "ceiling": 7}, ceiling,
        ),
        Told(
            "attestations", "NotifyAttestation", "foreign-affairs", "agent_contract.attestation",
            decision, {**decision, "decision": "REJECTED"}, attested,
        ),
    )  # fmt: skip


def calls(site: Site, version: str) -> Iterator[tuple[Told, str, dict[str, Any]]]:
    """For each operation the four calls, by the name of what is to come of them."""
    for each in told(version):
        good = _call(site, version, each)
        yield each, "accepted", good
        yield each, "duplicate", {**good, "password": "text"}
        yield each, "refused", {**good, "values": each.changed}
        yield each, "not authenticated", {**good, "secret": "w" * 32}


def _call(site: Site, version: str, each: Told) -> dict[str, Any]:
    url = f"{site.url}/soap/{each.service}"
    service = SERVICES[each.service]
    return {
        "service": each.service,
        "url": url,
        "wsdl": f"{url}?wsdl",
        "namespace": f"urn:umrah:gateway:{each.service}:v1",
        "service_name": service.service,
        "port": f"{service.port[:-2]}{version.replace('.', '')}",
        "soap": version,
        "operation": each.operation,
        "values": each.values,
        "username": each.party,
        "secret": SECRETS[each.party].decode(),
        "password": "digest",
    }


def shortcoming(expected: str, outcome: Mapping[str, Any]) -> str | None:
    """Why the client's outcome is not the one that is expected; None when it is."""
    match expected:
        case "accepted" | "duplicate":
            accepted = outcome.get("accepted") or {}
            wrong = len(accepted.get("message_id", "")) != 36 or not accepted.get("received_at")
            return _unless(not wrong and accepted.get("duplicate") is (expected == "duplicate"), outcome)
        case "refused":
            error = outcome.get("service_error") or {}
            told_so = error.get("code") == "IDEMPOTENCY_KEY_REUSED" and error.get("error_type") == "Business"
            return _unless(told_so and "مفتاح" in error.get("text_ar", ""), outcome)
        case _:
            fault = outcome.get("fault") or {}
            told_so = fault.get("code") == "UNAUTHENTICATED"
            return _unless(told_so and fault.get("text") == "No valid credential was given.", outcome)


def _unless(good: bool, outcome: Mapping[str, Any]) -> str | None:
    return None if good else f"came out as {str(dict(outcome))[:300]}"
