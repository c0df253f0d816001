"""What Foreign Affairs tells us, over services that we offer: ceilings of missions, attested contracts.

`contracts.md`, kinds `mission.capacity` and `agent_contract.attestation`. Values that come here are valid by
the schema, so a converter only renames and writes days and times as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.ports import InboundOperation
from gateway.soap import SoapService

CAPACITY: Final = "mission.capacity"
ATTESTATION: Final = "agent_contract.attestation"
_SENDER: Final = "foreign-affairs"
_DECISIONS: Final = {"ATTESTED": "attested", "REJECTED": "rejected"}

CAPACITY_SERVICE: Final = SoapService(
    wsdl="served/capacity.wsdl",
    service="CapacityService",
    port="CapacitySoap12",
    party="umrah-gateway",
    kinds={"PublishMissionCapacity": CAPACITY},
    classification="public",
)

ATTESTATION_SERVICE: Final = SoapService(
    wsdl="served/attestations.wsdl",
    service="AttestationsService",
    port="AttestationsSoap12",
    party="umrah-gateway",
    kinds={"NotifyAttestation": ATTESTATION},
)

#: What we offer to Foreign Affairs, by the last part of the path.
SERVED: Final[Mapping[str, SoapService]] = {
    "capacity": CAPACITY_SERVICE,
    "attestations": ATTESTATION_SERVICE,
}


def capacity(values: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `mission.capacity`. Which of two days comes first is for the kind's own rules."""
    window = values["window"]
    return {
        "mission_id": values["mission_id"],
        "version": values["version"],
        "window": {"opens": window["opens"].isoformat(), "closes": window["closes"].isoformat()},
        "ceiling": values["ceiling"],
    }


def attestation(values: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `agent_contract.attestation`."""
    return {
        "contract_id": values["contract_id"],
        "version": values["version"],
        "decision": _DECISIONS[values["decision"]],
        "decided_at": values["decided_at"].isoformat(),
        "reference": values["reference"],
    }


INBOUND: Final = (
    InboundOperation(
        CAPACITY,
        "PublishMissionCapacity",
        "capacity",
        _SENDER,
        capacity,
        key=("mission_id", "window.opens", "window.closes", "version"),
    ),
    InboundOperation(
        ATTESTATION,
        "NotifyAttestation",
        "attestations",
        _SENDER,
        attestation,
        key=("contract_id", "version"),
    ),
)
