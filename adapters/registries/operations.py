"""What the gateway can ask of the registries. All of it may be repeated."""

from __future__ import annotations

from typing import Final

from adapters.registries import convert
from adapters.registries.services import (
    BANK_ACCOUNT,
    BANK_GUARANTEE,
    DUES_STANDING,
    GOSI_CERTIFICATE,
    IATA_MEMBERSHIP,
)
from gateway.message import Exchange, Operation

#: A standing is asked for anew when another source of the same check kept it waiting for longer than this.
_STANDING_VALID_S: Final = 24 * 3600
_STANDING_NEEDS: Final = frozenset({"licensee_id", "season"})

SOCIAL_INSURANCE: Final = Operation(
    name=GOSI_CERTIFICATE,
    destination="gosi",
    repeatable=True,
    needs=_STANDING_NEEDS,
    call=Exchange("CheckCertificate", convert.standing_request, convert.standing_reply),
    result_valid_s=_STANDING_VALID_S,
)

DUES: Final = Operation(
    name=DUES_STANDING,
    destination="dues",
    repeatable=True,
    needs=_STANDING_NEEDS,
    call=Exchange("CheckDues", convert.standing_request, convert.standing_reply),
    result_valid_s=_STANDING_VALID_S,
)

MEMBERSHIP: Final = Operation(
    name=IATA_MEMBERSHIP,
    destination="iata",
    repeatable=True,
    needs=frozenset({"iata_number", "country"}),
    call=Exchange("CheckMembership", convert.membership_request, convert.membership_reply),
)

ACCOUNT: Final = Operation(
    name=BANK_ACCOUNT,
    destination="banks",
    repeatable=True,
    needs=frozenset({"agent_id", "bank.code", "bank.account"}),
    call=Exchange("CheckAccount", convert.account_request, convert.account_reply),
)

GUARANTEE: Final = Operation(
    name=BANK_GUARANTEE,
    destination="banks",
    repeatable=True,
    needs=frozenset(
        {
            "licensee_id",
            "agent_id",
            "guarantee.number",
            "guarantee.amount",
            "guarantee.currency",
            "guarantee.expiry_date",
        }
    ),
    call=Exchange("CheckGuarantee", convert.guarantee_request, convert.guarantee_reply),
)

OPERATIONS: Final = (SOCIAL_INSURANCE, DUES, MEMBERSHIP, ACCOUNT, GUARANTEE)
