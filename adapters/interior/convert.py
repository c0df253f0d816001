"""Interior's messages from and to the canonical bodies. Pure.

Of a visa application: `interior.security_clearance` and `interior.passport_verification`. Of a licensee's
activation check: the two holds. Of an overstay notice: `interior.overstay_report`. A reply that comes here is
valid by its schema: a status that it does not know never arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Uncertain
from gateway.message import Answered, CallContext, Contested, Declined, Deferred, Projection, Verdict

#: Business codes that decide nothing: a person looks at them.
_CONTESTED: Final = frozenset(
    {"PERSON_AMBIGUOUS", "INVALID_INPUT", "LICENSEE_UNKNOWN", "VISA_UNKNOWN", "ALREADY_DEPARTED"}
)
#: The center never learns the reason of a refused clearance.
_REFUSED: Final = "refused"
_NOT_ACCEPTED: Final = "passport_not_accepted"


def clearance_request(person: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `CheckClearance`."""
    return {
        "request_reference": context.request_reference,
        "person": {
            "passport_number": person["passport.number"],
            "issuing_state": person["passport.issuing_state"],
            "expiry_date": person["passport.expiry_date"],
            "name": {
                "given": person["name.given"],
                "father": person["name.father"],
                "grandfather": person["name.grandfather"],
                "family": person["name.family"],
            },
            "birth_date": person["birth_date"],
            "nationality": person["nationality"],
            "sex": person["sex"],
        },
    }


def clearance_inquiry(_: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `InquireClearance`: the Center's reference, and nothing of the person."""
    return {"reference": context.partner_reference}


def clearance_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What `CheckClearanceResponse` or `InquireClearanceResponse` means."""
    if "service_error" in values:
        return _clearance_error(values["service_error"]["code"])
    match values["result"]["status"]:
        case "CLEAR":
            return Answered({"status": "CLEAR"})
        case "HIT":
            return Declined("HIT", _REFUSED)
        case "PENDING":
            return Deferred("answer_pending", values["result"]["reference"])
        case _:
            raise Uncertain("status_unknown")


def _clearance_error(code: str) -> Verdict:
    return Contested(_known(code))


def verification_request(document: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `VerifyPassport`."""
    return {
        "request_reference": context.request_reference,
        "passport_number": document["passport.number"],
        "passport_type": document["passport.type"],
        "issuing_state": document["passport.issuing_state"],
        "issue_date": document["passport.issue_date"],
        "expiry_date": document["passport.expiry_date"],
        "birth_date": document["birth_date"],
        "nationality": document["nationality"],
    }


def verification_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What `VerifyPassportResponse` means."""
    if "service_error" in values:
        code = values["service_error"]["code"]
        return Declined(code, _NOT_ACCEPTED) if code == "NOT_FOUND" else Contested(_known(code))
    match values["result"]["status"]:
        case "VALID":
            return Answered({"status": "VALID"})
        case "LOST" | "BANNED" | "ALREADY_INSIDE" as status:
            return Declined(status, _NOT_ACCEPTED)
        case _:
            raise Uncertain("status_unknown")


def hold_request(check: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `CheckLicenseeHold`, the same for both."""
    return {
        "request_reference": context.request_reference,
        "licence_number": check["licensee_id"],
        "season": check["season"],
    }


def hold_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What `CheckLicenseeHoldResponse` means. A BLOCK is an answer: it does not end the check."""
    if "service_error" in values:
        return Contested(_known(values["service_error"]["code"]))
    hold = values["result"]
    if hold["standing"] not in ("CLEAR", "BLOCK"):
        raise Uncertain("status_unknown")
    code = {"code": hold["code"]} if "code" in hold else {}
    return Answered({"standing": hold["standing"], "valid_until": hold["valid_until"].isoformat(), **code})


def overstay_request(notice: Projection, context: CallContext) -> dict[str, Any]:
    """Values of `ReportOverstay`. They know the person by the visa: nothing else goes along."""
    return {
        "request_reference": context.request_reference,
        "visa_number": notice["visa_number"],
        "due_date": notice["due_date"],
        "level": notice["level"],
    }


def overstay_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What `ReportOverstayResponse` means."""
    if "service_error" in values:
        return Contested(_known(values["service_error"]["code"]))
    receipt = values["result"]
    if receipt["status"] != "ACKNOWLEDGED":
        raise Uncertain("status_unknown")
    return Answered({"status": receipt["status"], "reference": receipt["reference"]})


def _known(code: str) -> str:
    """A code of theirs that we know, or that it is none: it goes into clear columns and metric labels.

    Neither says anything of the person, so a person decides.
    """
    return code if code in _CONTESTED else "partner_code_unknown"
