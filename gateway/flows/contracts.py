"""Contracts of licensees with agents abroad: vouched for by registries, attested by the Kingdom's mission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.flows.authority import acts_for, refused
from gateway.flows.desk import Desk
from gateway.flows.flow import Flow, Standing, newer
from gateway.message import Body, PartyId
from gateway.states import Outcome


def submission(body: Body, desk: Desk) -> None:
    """A contract, or a new version of it. The registries and the mission are asked next."""
    id, licensee = body["contract_id"], body["licensee_id"]
    acts_for(desk, licensee)
    known = desk.fact("contract", id)
    if known is not None and known["licensee"] != licensee:
        raise refused("record_unknown", "/contract_id")
    newer(desk, "contract", id, body["version"])
    facts = {
        "id": id,
        "licensee": licensee,
        "agent": body["agent_id"],
        "country": body["country"],
        "mission": body["mission_id"],
        "valid_from": body["valid_from"],
        "valid_until": body["valid_until"],
        "status": "submitted",
        "attestation": None,
        "submitted_by": desk.subject.party,
    }
    desk.put("contract", id, facts, version=body["version"], owner=licensee)
    desk.publish("agent_contract.submission", body, about=id)


def asked(body: Body, standing: Standing, desk: Desk) -> None:
    """The registries have answered, and the mission has the contract, or one of them has declined it."""
    record = desk.books.record("contract", body["contract_id"])
    if record is None or record.version != str(body["version"]) or standing.outcome is None:
        return
    if standing.outcome is Outcome.REFUSED:
        _decided(record.facts, body["version"], "refused", standing.code, desk)
    elif record.facts["attestation"] is None:
        facts = {**record.facts, "status": "awaiting_attestation"}
        desk.put("contract", record.id, facts, version=body["version"], owner=record.owner)
    else:  # the mission was quicker than our own books
        _attested(record.facts, body["version"], desk)


def attestation(body: Body, desk: Desk) -> None:
    """The mission's answer, days later."""
    record = desk.books.record("contract", body["contract_id"])
    if record is None or record.version != str(body["version"]):
        raise refused("record_unknown", "/contract_id", status=422)
    facts = {**record.facts, "attestation": body["decision"]}
    if record.facts["status"] == "submitted":  # the registries have not answered yet
        desk.put("contract", record.id, facts, version=body["version"], owner=record.owner)
    elif record.facts["status"] == "awaiting_attestation":
        _attested(facts, body["version"], desk)


def _attested(facts: Mapping[str, Any], version: int, desk: Desk) -> None:
    if facts["attestation"] == "rejected":
        _decided(facts, version, "refused", "rejected_by_mission", desk)
        return
    _decided(facts, version, "valid", None, desk)
    agent = desk.fact("agent", facts["agent"]) or {"status": "active", "licensees": ()}
    serving = sorted({*agent["licensees"], facts["licensee"]})
    known = {
        **agent,
        "id": facts["agent"],
        "licensees": serving,
        "country": facts["country"],
        "contracts": {
            **agent.get("contracts", {}),
            facts["licensee"]: [facts["valid_from"], facts["valid_until"]],
        },
    }
    desk.put("agent", facts["agent"], known, version=version)


def _decided(facts: Mapping[str, Any], version: int, decision: str, code: str | None, desk: Desk) -> None:
    status = {**facts, "status": decision, "code": code}
    desk.put("contract", facts["id"], status, version=version, owner=facts["licensee"])
    event = {
        "contract_id": facts["id"],
        "version": version,
        "licensee_id": facts["licensee"],
        "agent_id": facts["agent"],
        "decision": decision,
        **({} if code is None else {"code": code}),
    }
    desk.publish("agent_contract.decision", event, about=facts["id"], to=[PartyId(facts["submitted_by"])])


FLOWS: Final = (
    Flow("agent_contract.submission", submission, asked),
    Flow("agent_contract.attestation", attestation, only=frozenset({"foreign-affairs"})),
)
