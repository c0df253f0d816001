"""Foreign Affairs' messages from and to the canonical bodies. Pure.

Of a visa application and its cancellation, and of an agent's contract. An answer about another request
than ours raises `Uncertain`: it says nothing about ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from adapters.foreign_affairs.services import ISSUANCE
from gateway.errors import Refused, Uncertain
from gateway.message import (
    Absent,
    Answered,
    CallContext,
    Contested,
    Declined,
    Deferred,
    Projection,
    StillProcessing,
    Verdict,
)
from schemas.hijri import OutsideCalendarError, agree, to_hijri

#: The step whose visa a cancellation is about.
#: The same code as after a refused clearance: a center can't tell which of the two it was.
_REFUSED: Final = "refused"
#: Business codes that are no verdict on the pilgrim: a person looks at them.
_CONTESTED: Final = frozenset({"INVALID_INPUT", "PERSON_AMBIGUOUS"})
#: Likewise, on a contract.
_CONTRACT_CONTESTED: Final = frozenset({"INVALID_INPUT", "MISSION_UNKNOWN", "AGENT_UNKNOWN"})


# --- issuing -----------------------------------------------------------------------------------------


def issuance_request(application: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `IssueVisa`."""
    return {
        "request_reference": context.request_reference,
        "visa_type": application["visa_type"],
        "mission": application["batch.mission_id"],
        "group_number": application["batch.group_number"],
        "passport": _passport(application),
        "name": _name(application, "name"),
        "name_ar": _arabic_name(application),
        # Gregorian alone: the calendar table begins in 1924, and some pilgrims were born before.
        "birth_date": application["birth_date"],
        "birth_country": application["birth_country"],
        "nationality": application["nationality"],
        "sex": application["sex"],
        "travel": {
            "arrival_date": _date_pair(application["travel.arrival_date"]),
            "departure_date": _date_pair(application["travel.departure_date"]),
            "entry_port": application["travel.entry_port"],
        },
    }


def issuance_reply(values: Mapping[str, Any], context: CallContext) -> Verdict:
    """What `IssueVisaResponse` means."""
    if "result" in values:
        return _issued(values["result"], context.request_reference)
    match values["service_error"]["code"]:
        case "MISSION_CAPACITY_EXCEEDED":
            return Deferred("mission_capacity")
        case "ALREADY_ISSUED":
            return _already_issued(values.get("issued_under"), context)
        case code if code in _CONTESTED:
            return Contested(code)
        case code:
            return Declined(code, _REFUSED)


def _already_issued(issued: Mapping[str, Any] | None, context: CallContext) -> Verdict:
    """Taken only when it is our own; without the visa, it is still to be asked for."""
    if issued is None or issued["request_reference"] != context.request_reference:
        return Contested("ALREADY_ISSUED")
    if "visa" not in issued:
        raise Uncertain("visa_missing")
    return _issued(issued["visa"], context.request_reference)


# --- what became of it -------------------------------------------------------------------------------


def status_request(_: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `GetVisaStatus`: our reference, and nothing of the person."""
    return {"request_reference": context.request_reference}


def status_reply(values: Mapping[str, Any], context: CallContext) -> Verdict:
    """What `GetVisaStatusResponse` says of an issuance."""
    status = _status(values, context.request_reference)
    if status is None:
        return StillProcessing()
    if "issued" in status:
        return _issued(status["issued"], context.request_reference)
    if "refused" in status:
        return Declined(status["refused"], _REFUSED)
    if "cancelled" in status:
        return Contested("CANCELLED")
    return Absent() if "absent" in status else StillProcessing()


def _status(values: Mapping[str, Any], reference: str) -> Mapping[str, Any] | None:
    """The status of the request; None when the question itself was refused, which decides nothing."""
    if "service_error" in values:
        return None
    status: Mapping[str, Any] = values["result"]
    _check_reference(status, reference)
    return status


# --- cancelling --------------------------------------------------------------------------------------


def cancellation_request(_: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `CancelVisa`: the visa by its number and our reference, nothing of the person."""
    issuance = context.earlier[ISSUANCE]
    return {
        "request_reference": issuance["request_reference"],
        "visa_number": issuance["visa_number"],
        "reason": "REQUESTED",
    }


def cancellation_reply(values: Mapping[str, Any], context: CallContext) -> Verdict:
    """What `CancelVisaResponse` means."""
    if "service_error" in values:
        code = values["service_error"]["code"]
        return Contested(code) if code in _CONTESTED else Declined(code, "not_cancellable")
    issuance, result = context.earlier[ISSUANCE], values["result"]
    _check_reference(result, issuance["request_reference"])
    return _cancelled(result["cancelled"], issuance["visa_number"])


def cancellation_status_request(_: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `GetVisaStatus`, for the issuance that is to be cancelled."""
    return {"request_reference": context.earlier[ISSUANCE]["request_reference"]}


def cancellation_status_reply(values: Mapping[str, Any], context: CallContext) -> Verdict:
    """What `GetVisaStatusResponse` says of a cancellation: still issued means not cancelled."""
    issuance = context.earlier[ISSUANCE]
    status = _status(values, issuance["request_reference"])
    if status is None or "processing" in status:
        return StillProcessing()
    if "cancelled" in status:
        return _cancelled(status["cancelled"], issuance["visa_number"])
    if "issued" in status:
        return Absent()
    # Neither issued nor cancelled, though it was issued once.
    return Contested("VISA_UNKNOWN")


def _cancelled(visa_number: str, ours: str) -> Verdict:
    return Answered({"visa_number": visa_number}) if visa_number == ours else Contested("ANOTHER_VISA")


# --- attesting an agent's contract --------------------------------------------------------------------


def attestation_request(contract: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `AttestAgentContract`."""
    return {
        "request_reference": context.request_reference,
        "contract_id": contract["contract_id"],
        "contract_version": contract["version"],
        "licensee": contract["licensee_id"],
        "agent": contract["agent_id"],
        "agent_name": contract["agent_name"],
        "country": contract["country"],
        "mission": contract["mission_id"],
        "valid_from": _date_pair(contract["valid_from"]),
        "valid_until": _date_pair(contract["valid_until"]),
    }


def attestation_reply(values: Mapping[str, Any], context: CallContext) -> Verdict:
    """What `AttestAgentContractResponse` means: received, under the mission's reference. Not attested yet."""
    if "service_error" in values:
        return _contract_error(values["service_error"]["code"])
    receipt = values["result"]
    _check_reference(receipt, context.request_reference)
    if receipt["status"] != "RECEIVED":
        raise Uncertain("status_unknown")
    return Answered({"status": receipt["status"], "reference": receipt["reference"]})


def _contract_error(code: str) -> Verdict:
    if code == "REJECTED_BY_MISSION":
        return Declined(code, "rejected_by_mission")
    # The code goes into clear columns and metric labels: only what is known does.
    return Contested(code if code in _CONTRACT_CONTESTED else "partner_code_unknown")


# --- parts -------------------------------------------------------------------------------------------


def _passport(application: Projection) -> dict[str, Any]:
    return {
        "number": application["passport.number"],
        "type": application["passport.type"],
        "issuing_state": application["passport.issuing_state"],
        "issue_date": application["passport.issue_date"],
        "expiry_date": application["passport.expiry_date"],
    }


def _name(application: Projection, field: str) -> dict[str, Any]:
    return {part: application[f"{field}.{part}"] for part in ("given", "father", "grandfather", "family")}


def _arabic_name(application: Projection) -> dict[str, Any] | None:
    name = _name(application, "name_ar")
    return name if name["given"] else None


def _date_pair(text: str) -> dict[str, str]:
    """A canonical date in both calendars."""
    try:
        return {"gregorian": text, "hijri": to_hijri(date.fromisoformat(text))}
    except OutsideCalendarError as error:
        raise Refused("conversion_failed", "a date outside the Umm al-Qura table") from error


def _issued(visa: Mapping[str, Any], reference: str) -> Verdict:
    _check_reference(visa, reference)
    dates = ("valid_from", "valid_until", "stay_until")
    if not all(_agrees(visa[name]) for name in dates):
        # It is issued, but for when? Gregorian is authoritative only where both agree.
        return Contested("DATE_MISMATCH")
    return Answered(
        {
            "visa_number": visa["visa_number"],
            **{name: visa[name]["gregorian"].isoformat() for name in dates},
        }
    )


def _agrees(pair: Mapping[str, Any]) -> bool:
    try:
        return agree(pair["gregorian"], pair["hijri"])
    except OutsideCalendarError:
        return False


def _check_reference(answer: Mapping[str, Any], ours: str) -> None:
    if answer["request_reference"] != ours:
        raise Uncertain("another_reference")
