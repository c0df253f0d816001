"""Interior's two services: where their contracts stand, and which faults of theirs are definite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.soap import SoapService

CLEARANCE: Final = "interior.security_clearance"
VERIFICATION: Final = "interior.passport_verification"
HOLD_NIC: Final = "interior.licensee_hold_nic"
HOLD_PASSPORTS: Final = "interior.licensee_hold_passports"
OVERSTAY: Final = "interior.overstay_report"

#: Faults and technical errors by which both systems say that a request was not looked at.
_DEFINITE_FAULTS: Final = frozenset({"SERVICE_CLOSED", "TOO_MANY_REQUESTS"})

NIC: Final = SoapService(
    wsdl="interior/nic.wsdl",
    service="ClearanceService",
    port="ClearanceSoap11",
    party="nic",
    kinds={"CheckClearance": CLEARANCE, "InquireClearance": CLEARANCE, "CheckLicenseeHold": HOLD_NIC},
    # The answer is secret, whatever the question is.
    classification="secret",
    definite_faults=_DEFINITE_FAULTS,
)

PASSPORTS: Final = SoapService(
    wsdl="interior/passports.wsdl",
    service="PassportsService",
    port="PassportsSoap11",
    party="passports",
    kinds={
        "VerifyPassport": VERIFICATION,
        "CheckLicenseeHold": HOLD_PASSPORTS,
        "ReportOverstay": OVERSTAY,
    },
    definite_faults=_DEFINITE_FAULTS,
)

#: By destination.
SERVICES: Final[Mapping[str, SoapService]] = {"nic": NIC, "passports": PASSPORTS}
