"""What the gateway can ask of Interior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.interior import convert
from gateway.message import Exchange, Operation
from gateway.soap import SoapService

#: Faults and technical errors by which both systems say that a request was not looked at.
_DEFINITE_FAULTS: Final = frozenset({"SERVICE_CLOSED", "TOO_MANY_REQUESTS"})
#: A clearance and a verification are asked for anew when older than this at the time of issuing.
_CLEARANCE_VALID_S: Final = 72 * 3600
_VERIFICATION_VALID_S: Final = 24 * 3600

SECURITY_CLEARANCE: Final = Operation(
    name="interior.security_clearance",
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
)

PASSPORT_VERIFICATION: Final = Operation(
    name="interior.passport_verification",
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

NIC: Final = SoapService(
    wsdl="interior/nic.wsdl",
    service="ClearanceService",
    port="ClearanceSoap11",
    party="nic",
    kinds={"CheckClearance": SECURITY_CLEARANCE.name, "InquireClearance": SECURITY_CLEARANCE.name},
    # The answer is secret, whatever the question is.
    classification="secret",
    definite_faults=_DEFINITE_FAULTS,
)

PASSPORTS: Final = SoapService(
    wsdl="interior/passports.wsdl",
    service="PassportsService",
    port="PassportsSoap11",
    party="passports",
    kinds={"VerifyPassport": PASSPORT_VERIFICATION.name},
    definite_faults=_DEFINITE_FAULTS,
)

#: By destination.
SERVICES: Final[Mapping[str, SoapService]] = {"nic": NIC, "passports": PASSPORTS}
