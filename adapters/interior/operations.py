"""What the gateway can ask of Interior."""

from __future__ import annotations

from typing import Final

from adapters.interior import convert
from adapters.interior.services import CLEARANCE, HOLD_NIC, HOLD_PASSPORTS, OVERSTAY, VERIFICATION
from gateway.message import Exchange, Operation
from gateway.soap import HEADER_FIELDS

#: A clearance and a verification are asked for anew when older than this at the time of issuing.
_CLEARANCE_VALID_S: Final = 72 * 3600
_VERIFICATION_VALID_S: Final = 24 * 3600
#: A hold is asked for anew when another source of the same check kept it waiting for longer than this.
_HOLD_VALID_S: Final = 24 * 3600

SECURITY_CLEARANCE: Final = Operation(
    name=CLEARANCE,
    destination="nic",
    repeatable=True,
    needs=frozenset(
        {
            "passport.number",
            "passport.issuing_state",
            "passport.expiry_date",
            "name.given",
            "name.father",
            "name.grandfather",
            "name.family",
            "birth_date",
            "nationality",
            "sex",
        }
    ),
    call=Exchange("CheckClearance", convert.clearance_request, convert.clearance_reply),
    follow_up=Exchange("InquireClearance", convert.clearance_inquiry, convert.clearance_reply),
    result_valid_s=_CLEARANCE_VALID_S,
    secret=True,
    context_needs=HEADER_FIELDS,
)

PASSPORT_VERIFICATION: Final = Operation(
    name=VERIFICATION,
    destination="passports",
    repeatable=True,
    needs=frozenset(
        {
            "passport.number",
            "passport.type",
            "passport.issuing_state",
            "passport.issue_date",
            "passport.expiry_date",
            "birth_date",
            "nationality",
        }
    ),
    call=Exchange("VerifyPassport", convert.verification_request, convert.verification_reply),
    result_valid_s=_VERIFICATION_VALID_S,
    context_needs=HEADER_FIELDS,
)

_HOLD: Final = Exchange("CheckLicenseeHold", convert.hold_request, convert.hold_reply)
_HOLD_NEEDS: Final = frozenset({"licensee_id", "season"})

LICENSEE_HOLD_NIC: Final = Operation(
    name=HOLD_NIC,
    destination="nic",
    repeatable=True,
    needs=_HOLD_NEEDS,
    call=_HOLD,
    result_valid_s=_HOLD_VALID_S,
    context_needs=HEADER_FIELDS,
)

LICENSEE_HOLD_PASSPORTS: Final = Operation(
    name=HOLD_PASSPORTS,
    destination="passports",
    repeatable=True,
    needs=_HOLD_NEEDS,
    call=_HOLD,
    result_valid_s=_HOLD_VALID_S,
    context_needs=HEADER_FIELDS,
)

#: Repeatable although it tells them something: they know a report by its reference.
OVERSTAY_REPORT: Final = Operation(
    name=OVERSTAY,
    destination="passports",
    repeatable=True,
    needs=frozenset({"visa_number", "due_date", "level"}),
    call=Exchange("ReportOverstay", convert.overstay_request, convert.overstay_reply),
    context_needs=HEADER_FIELDS,
)

OPERATIONS: Final = (
    SECURITY_CLEARANCE,
    PASSPORT_VERIFICATION,
    LICENSEE_HOLD_NIC,
    LICENSEE_HOLD_PASSPORTS,
    OVERSTAY_REPORT,
)
