"""The registries' services: what can be asked below which path, and which errors of theirs are definite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.registries import messages
from gateway.rest import RestAction, RestService

GOSI_CERTIFICATE: Final = "registries.gosi_certificate"
DUES_STANDING: Final = "registries.dues"
IATA_MEMBERSHIP: Final = "registries.iata_membership"
BANK_ACCOUNT: Final = "registries.bank_account"
BANK_GUARANTEE: Final = "registries.bank_guarantee"

#: Technical errors by which they all say that a request was not looked at.
_DEFINITE: Final = frozenset({"SERVICE_CLOSED", "TOO_MANY_REQUESTS"})

GOSI: Final = RestService(
    party="gosi",
    base_path="/v1",
    actions={
        "CheckCertificate": RestAction(
            "/certificates/check", messages.LicenseeQuestion, messages.LicenseeStanding
        )
    },
    definite_errors=_DEFINITE,
)

DUES: Final = RestService(
    party="dues",
    base_path="/v1",
    actions={
        "CheckDues": RestAction("/standings/check", messages.LicenseeQuestion, messages.LicenseeStanding)
    },
    definite_errors=_DEFINITE,
)

IATA: Final = RestService(
    party="iata",
    base_path="/v1",
    actions={
        "CheckMembership": RestAction("/memberships/check", messages.MembershipQuestion, messages.Membership)
    },
    definite_errors=_DEFINITE,
)

BANKS: Final = RestService(
    party="banks",
    base_path="/v1",
    actions={
        "CheckAccount": RestAction("/accounts/check", messages.AccountQuestion, messages.Account),
        "CheckGuarantee": RestAction("/guarantees/check", messages.GuaranteeQuestion, messages.Guarantee),
    },
    definite_errors=_DEFINITE,
)

#: By destination.
SERVICES: Final[Mapping[str, RestService]] = {"gosi": GOSI, "dues": DUES, "iata": IATA, "banks": BANKS}
