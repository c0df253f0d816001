"""Interior's messages from and to the canonical application. Pure.

`contracts.md`, kinds `interior.security_clearance` and `interior.passport_verification`. A reply that comes
here is valid by its schema: a status that it does not know never arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Uncertain
from gateway.message import Answered, CallContext, Contested, Declined, Deferred, Projection, Verdict

#: The center never learns the reason of a refused clearance.
_CONTESTED: Final = frozenset({"PERSON_AMBIGUOUS", "INVALID_INPUT"})
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


def _known(code: str) -> str:
    """A code of theirs that we know, or that it is none: it goes into clear columns and metric labels.

    Neither says anything of the person, so a person decides.
    """
    return code if code in _CONTESTED else "partner_code_unknown"


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
