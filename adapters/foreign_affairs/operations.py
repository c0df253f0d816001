"""What the gateway can ask of Foreign Affairs."""

from __future__ import annotations

from typing import Final

from adapters.foreign_affairs import convert
from adapters.foreign_affairs.services import ATTESTATION, CANCELLATION, ISSUANCE
from gateway.message import Exchange, Operation
from gateway.soap import HEADER_FIELDS

VISA_ISSUANCE: Final = Operation(
    name=ISSUANCE,
    destination="foreign-affairs",
    repeatable=False,
    needs=frozenset(
        {
            "batch.mission_id",
            "batch.group_number",
            "visa_type",
            "passport.number",
            "passport.type",
            "passport.issuing_state",
            "passport.issue_date",
            "passport.expiry_date",
            "name.given",
            "name.father",
            "name.grandfather",
            "name.family",
            "name_ar.given",
            "name_ar.father",
            "name_ar.grandfather",
            "name_ar.family",
            "birth_date",
            "birth_country",
            "nationality",
            "sex",
            "travel.arrival_date",
            "travel.departure_date",
            "travel.entry_port",
        }
    ),
    call=Exchange("IssueVisa", convert.issuance_request, convert.issuance_reply),
    inquiry=Exchange("GetVisaStatus", convert.status_request, convert.status_reply),
    context_needs=HEADER_FIELDS,
)

VISA_CANCELLATION: Final = Operation(
    name=CANCELLATION,
    destination="foreign-affairs",
    repeatable=False,
    needs=frozenset(),
    call=Exchange("CancelVisa", convert.cancellation_request, convert.cancellation_reply),
    inquiry=Exchange("GetVisaStatus", convert.cancellation_status_request, convert.cancellation_status_reply),
    context_needs=HEADER_FIELDS
    | {f"earlier.{ISSUANCE}.visa_number", f"earlier.{ISSUANCE}.request_reference"},
)

#: Repeatable: they know a request by its reference, and receive it once. The decision comes later.
CONTRACT_ATTESTATION: Final = Operation(
    name=ATTESTATION,
    destination="foreign-affairs",
    repeatable=True,
    needs=frozenset(
        {
            "contract_id",
            "version",
            "licensee_id",
            "agent_id",
            "agent_name",
            "country",
            "mission_id",
            "valid_from",
            "valid_until",
        }
    ),
    call=Exchange("AttestAgentContract", convert.attestation_request, convert.attestation_reply),
    context_needs=HEADER_FIELDS,
)

OPERATIONS: Final = (VISA_ISSUANCE, VISA_CANCELLATION, CONTRACT_ATTESTATION)
