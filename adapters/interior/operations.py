"""What the gateway can ask of Interior."""

from __future__ import annotations

from typing import Final

from adapters.interior import convert
from adapters.interior.services import CLEARANCE, VERIFICATION
from gateway.message import Exchange, Operation

#: A clearance and a verification are asked for anew when older than this at the time of issuing.
_CLEARANCE_VALID_S: Final = 72 * 3600
_VERIFICATION_VALID_S: Final = 24 * 3600

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
)

OPERATIONS: Final = (SECURITY_CLEARANCE, PASSPORT_VERIFICATION)
