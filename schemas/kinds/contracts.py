"""Contracts of licensees with their agents abroad: submitted, attested, decided."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.kinds.kind import CENTER, MINISTRY, NOBODY, SYSTEM, KindSchema
from schemas.kinds.record import (
    PUBLIC,
    RESTRICTED,
    Amount,
    Code,
    Country,
    Currency,
    Day,
    DecidedVersion,
    IataNumber,
    Id,
    Moment,
    PartnerText,
    Record,
    ShortText,
    Version,
)
from schemas.kinds.rules import in_calendar, in_order
from schemas.shapes import Shape

_AccountNumber = Annotated[str, Shape("[A-Z0-9]{5,34}")]
_GuaranteeNumber = Annotated[str, Shape("[A-Za-z0-9]", "[A-Za-z0-9._/-]{0,39}")]


class Bank(Record):
    """Where the agent keeps its account."""

    code: Annotated[Code, PUBLIC, Field(description="The bank, as the registry of banks names it.")]
    account: Annotated[
        _AccountNumber, RESTRICTED, Field(description="The account: IBAN or number, without spaces.")
    ]


class Guarantee(Record):
    """The bank guarantee for the contract."""

    number: Annotated[_GuaranteeNumber, RESTRICTED, Field(description="The bank's number for it.")]
    amount: Annotated[Amount, RESTRICTED, Field(description="Its amount, as a text such as `50000.00`.")]
    currency: Annotated[Currency, RESTRICTED, Field(description="ISO 4217, such as `SAR`.")]
    expiry_date: Annotated[Day, RESTRICTED, Field(description="Its last day.")]


class AgentContractSubmission(Record):
    """A contract between a licensee and an agent abroad."""

    contract_id: Annotated[Id, PUBLIC, Field(description="The contract.")]
    version: Version
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    agent_id: Annotated[Id, PUBLIC, Field(description="The agent abroad.")]
    agent_name: Annotated[ShortText, RESTRICTED, Field(description="The agent's registered name.")]
    country: Annotated[Country, PUBLIC, Field(description="Where the agent works, in three letters.")]
    mission_id: Annotated[Id, PUBLIC, Field(description="The Kingdom's mission that attests the contract.")]
    iata_number: Annotated[IataNumber, RESTRICTED, Field(description="The agent's IATA number.")]
    bank: Annotated[Bank, Field(description="The agent's account.")]
    guarantee: Annotated[Guarantee, Field(description="The bank guarantee.")]
    valid_from: Annotated[Day, PUBLIC, Field(description="The contract's first day.")]
    valid_until: Annotated[Day, PUBLIC, Field(description="The contract's last day.")]


class AgentContractAttestation(Record):
    """What the Kingdom's mission decided on a contract."""

    contract_id: Annotated[Id, PUBLIC, Field(description="The contract.")]
    version: DecidedVersion
    decision: Annotated[
        Literal["attested", "rejected"], PUBLIC, Field(description="Whether the mission attests it.")
    ]
    decided_at: Annotated[Moment, PUBLIC, Field(description="When it was decided.")]
    reference: Annotated[PartnerText, PUBLIC, Field(description="The mission's own name for the case.")]


class AgentContractDecision(Record):
    """Whether a contract counts."""

    contract_id: Annotated[Id, PUBLIC, Field(description="The contract.")]
    version: DecidedVersion
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    agent_id: Annotated[Id, PUBLIC, Field(description="The agent abroad.")]
    decision: Annotated[
        Literal["valid", "refused"],
        PUBLIC,
        Field(description="Whether applications for this agent are taken."),
    ]
    code: Annotated[
        Code | None, PUBLIC, Field(description="Why it was refused: an error code such as `iata_invalid`.")
    ] = None


KINDS: Final = (
    KindSchema(
        kind="agent_contract.submission",
        model=AgentContractSubmission,
        title_en="Contract with an agent abroad",
        title_ar="عقد مع وكيل خارجي",
        summary_en="A center submits a licensee's contract with an agent abroad. The gateway asks the "
        "registries about IATA membership, bank and guarantee and has the contract attested by the mission.",
        key=("contract_id", "version"),
        senders=CENTER,
        receivers=MINISTRY | SYSTEM,
        goes_to="The IATA and bank registries, each only its own fields, Foreign Affairs, and the ministry.",
        example={
            "contract_id": "CTR-5001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "agent_id": "AGT-2001",
            "agent_name": "Nusantara Pilgrim Travel",
            "country": "IDN",
            "mission_id": "MSN-IDN-JKT",
            "iata_number": "15301234",
            "bank": {"code": "BNKIDNJA", "account": "ID0012345678901234"},
            "guarantee": {
                "number": "LG-2026-118",
                "amount": "200000.00",
                "currency": "SAR",
                "expiry_date": "2027-06-30",
            },
            "valid_from": "2026-06-17",
            "valid_until": "2027-06-05",
        },
        rules=(in_order("valid_from", "valid_until"), in_calendar("valid_from"), in_calendar("valid_until")),
    ),
    KindSchema(
        kind="agent_contract.attestation",
        model=AgentContractAttestation,
        title_en="Attestation of a contract",
        title_ar="اعتماد عقد من الممثلية",
        summary_en="Foreign Affairs tells what the mission decided on a contract that was submitted before.",
        key=("contract_id", "version"),
        senders=SYSTEM,
        receivers=NOBODY,
        goes_to="The gateway: it completes the contract that waits for it.",
        example={
            "contract_id": "CTR-5001",
            "version": 1,
            "decision": "attested",
            "decided_at": "2026-06-20T11:40:00+07:00",
            "reference": "ATT-2026-0093",
        },
    ),
    KindSchema(
        kind="agent_contract.decision",
        model=AgentContractDecision,
        title_en="Decision on a contract",
        title_ar="قرار بشأن عقد وكيل",
        summary_en="What came of a contract once registries and mission have answered.",
        key=("contract_id", "version"),
        senders=NOBODY,
        receivers=CENTER | MINISTRY,
        goes_to="The center that submitted it, and the ministry.",
        example={
            "contract_id": "CTR-5001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "agent_id": "AGT-2001",
            "decision": "refused",
            "code": "bank_not_approved",
        },
    ),
)
