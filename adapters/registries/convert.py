"""The registries' messages from and to the canonical bodies. Pure.

Of a licensee's activation check: GOSI and dues. Of an agent's contract: IATA, bank account and guarantee. A
reply that comes here is valid by its model; a status that is not known is never taken for a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Uncertain
from gateway.message import Answered, CallContext, Contested, Declined, Projection, Verdict

#: Business codes that decide nothing: a person looks at them.
_CONTESTED: Final = frozenset({"INVALID_INPUT", "LICENSEE_UNKNOWN", "AGENT_UNKNOWN", "BANK_UNKNOWN"})


# --- a licensee's activation -------------------------------------------------------------------------


def standing_request(check: Projection, _: CallContext) -> dict[str, Any]:
    """A `LicenseeQuestion`, the same for GOSI and for the dues registry."""
    return {"licensee_id": check["licensee_id"], "season": check["season"]}


def standing_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What a `LicenseeStanding` means. A BLOCK is an answer: it does not end the check."""
    if "service_error" in values:
        return _contested(values)
    if values["result"]["standing"] not in ("CLEAR", "BLOCK"):
        raise Uncertain("status_unknown")
    return Answered(dict(values["result"]))


# --- an agent's contract -----------------------------------------------------------------------------


def membership_request(contract: Projection, _: CallContext) -> dict[str, Any]:
    """A `MembershipQuestion`."""
    return {"iata_number": contract["iata_number"], "country": contract["country"]}


def membership_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What a `Membership` means."""
    if "service_error" in values:
        return _contested(values)
    if values["result"]["status"] == "MEMBER":
        return Answered(dict(values["result"]))
    return Declined("IATA_INVALID", "iata_invalid")


def account_request(contract: Projection, _: CallContext) -> dict[str, Any]:
    """An `AccountQuestion`."""
    return {
        "agent_id": contract["agent_id"],
        "bank_code": contract["bank.code"],
        "account": contract["bank.account"],
    }


def account_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What an `Account` means."""
    if "service_error" in values:
        return _contested(values)
    if values["result"]["status"] == "APPROVED":
        return Answered({"status": "APPROVED"})
    return Declined("BANK_NOT_APPROVED", "bank_not_approved")


def guarantee_request(contract: Projection, _: CallContext) -> dict[str, Any]:
    """A `GuaranteeQuestion`."""
    return {
        "licensee_id": contract["licensee_id"],
        "agent_id": contract["agent_id"],
        "number": contract["guarantee.number"],
        "amount": contract["guarantee.amount"],
        "currency": contract["guarantee.currency"],
        "expiry_date": contract["guarantee.expiry_date"],
    }


def guarantee_reply(values: Mapping[str, Any], _: CallContext) -> Verdict:
    """What a `Guarantee` means. One for less, or not for as long as the contract says, is missing too."""
    if "service_error" in values:
        return _contested(values)
    if values["result"]["status"] == "HELD":
        return Answered(dict(values["result"]))
    return Declined("GUARANTEE_MISSING", "guarantee_missing")


def _contested(values: Mapping[str, Any]) -> Verdict:
    """The code goes into clear columns and metric labels: only what is known does."""
    code = values["service_error"]["code"]
    return Contested(code if code in _CONTESTED else "partner_code_unknown")
