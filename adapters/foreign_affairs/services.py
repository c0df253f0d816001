"""Foreign Affairs' service: where its contract stands, and which faults of theirs are definite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.soap import SoapService

ISSUANCE: Final = "foreign_affairs.visa_issuance"
CANCELLATION: Final = "foreign_affairs.visa_cancellation"
ATTESTATION: Final = "foreign_affairs.contract_attestation"

VISAS: Final = SoapService(
    wsdl="foreign_affairs/visas.wsdl",
    service="VisasService",
    port="VisasSoap12",
    party="foreign-affairs",
    kinds={
        "IssueVisa": ISSUANCE,
        "GetVisaStatus": ISSUANCE,
        "CancelVisa": CANCELLATION,
        "AttestAgentContract": ATTESTATION,
    },
    # The only two by which they say that nothing was done. An internal error is not one of them.
    definite_faults=frozenset({"SERVICE_CLOSED", "TOO_MANY_REQUESTS"}),
)

#: By destination.
SERVICES: Final[Mapping[str, SoapService]] = {"foreign-affairs": VISAS}
