"""What the gateway can ask of Foreign Affairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.foreign_affairs import convert
from gateway.message import Exchange, Operation
from gateway.soap import SoapService

VISA_ISSUANCE: Final = Operation(
    name=convert.ISSUANCE,
    destination="foreign-affairs",
    repeatable=False,
    needs=frozenset(
        {
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
)

VISA_CANCELLATION: Final = Operation(
    name="foreign_affairs.visa_cancellation",
    destination="foreign-affairs",
    repeatable=False,
    needs=frozenset(),
    call=Exchange("CancelVisa", convert.cancellation_request, convert.cancellation_reply),
    inquiry=Exchange("GetVisaStatus", convert.cancellation_status_request, convert.cancellation_status_reply),
)

OPERATIONS: Final = (VISA_ISSUANCE, VISA_CANCELLATION)

VISAS: Final = SoapService(
    wsdl="foreign_affairs/visas.wsdl",
    service="VisasService",
    port="VisasSoap12",
    party="foreign-affairs",
    kinds={
        "IssueVisa": VISA_ISSUANCE.name,
        "GetVisaStatus": VISA_ISSUANCE.name,
        "CancelVisa": VISA_CANCELLATION.name,
    },
    # The only two by which they say that nothing was done. An internal error is not one of them.
    definite_faults=frozenset({"SERVICE_CLOSED", "TOO_MANY_REQUESTS"}),
)

#: By destination.
SERVICES: Final[Mapping[str, SoapService]] = {"foreign-affairs": VISAS}
