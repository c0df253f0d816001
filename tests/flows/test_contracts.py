"""Contracts with agents abroad: registries, the mission's attestation, the agent's record."""

from __future__ import annotations

import pytest

from gateway.errors import Refused, Unavailable
from gateway.message import Answered, Declined, PartyId
from gateway.states import Outcome, State
from tests.flows.office import CENTER, LICENSING, World, send, told

_MISSION = PartyId("foreign-affairs")
_CONTRACT = {
    "contract_id": "CTR-9",
    "version": 1,
    "licensee_id": "LIC-1001",
    "agent_id": "AGT-9",
    "valid_from": "2026-06-01",
    "valid_until": "2027-05-31",
}


async def _attest(world: World, decision: str = "attested") -> None:
    await send(
        world, _MISSION, "agent_contract.attestation", contract_id="CTR-9", version=1, decision=decision
    )


async def _status(world: World) -> str:
    record = await world.engine.ledger.record("contract", "CTR-9")
    assert record is not None
    return str(record.facts["status"])


async def test_a_contract_that_all_vouch_for_makes_the_agent_known(world: World) -> None:
    await send(world, CENTER, "agent_contract.submission", **_CONTRACT)
    await world.carry_until_rest()
    assert await _status(world) == "awaiting_attestation"
    assert await world.engine.ledger.record("agent", "AGT-9") is None
    await _attest(world)
    agent = await world.engine.ledger.record("agent", "AGT-9")
    assert agent is not None
    assert agent.facts["contracts"] == {"LIC-1001": ["2026-06-01", "2027-05-31"]}
    assert [event["decision"] for event in await told(world, CENTER, "agent_contract.decision")] == ["valid"]


@pytest.mark.parametrize(
    ("destination", "action", "code"),
    [
        ("iata", "CheckMembership", "iata_invalid"),
        ("banks", "CheckAccount", "bank_not_approved"),
        ("banks", "CheckGuarantee", "guarantee_missing"),
    ],
)
async def test_what_a_registry_declines_ends_the_contract(
    world: World, destination: str, action: str, code: str
) -> None:
    scripts = world.engine.partners[destination].scripts  # type: ignore[attr-defined]
    assert action in scripts
    scripts[action] = [Declined(code.upper(), code)]
    taken = await send(world, CENTER, "agent_contract.submission", **_CONTRACT)
    await world.carry_until_rest()
    row = await world.engine.ledger.message(taken.message_id)
    assert row is not None
    assert (row.state, row.outcome, row.code) == (State.COMPLETED, Outcome.REFUSED, code)
    assert await _status(world) == "refused"
    (event,) = await told(world, CENTER, "agent_contract.decision")
    assert (event["decision"], event["code"]) == ("refused", code)
    await _attest(world)  # a late attestation opens nothing
    assert await world.engine.ledger.record("agent", "AGT-9") is None


async def test_a_mission_that_rejects_is_final(world: World) -> None:
    await send(world, CENTER, "agent_contract.submission", **_CONTRACT)
    await world.carry_until_rest()
    await _attest(world, "rejected")
    (event,) = await told(world, LICENSING, "agent_contract.decision")
    assert (event["decision"], event["code"]) == ("refused", "rejected_by_mission")


async def test_an_attestation_that_comes_before_the_registries_answered_is_kept(world: World) -> None:
    iata = world.engine.partners["iata"]
    iata.scripts["CheckMembership"] = [Unavailable("connect_failed"), Answered({})]  # type: ignore[attr-defined]
    await send(world, CENTER, "agent_contract.submission", **_CONTRACT)
    await world.carry_due()
    await _attest(world)
    assert await _status(world) == "submitted"
    await world.carry_until_rest()
    assert await _status(world) == "valid"


async def test_only_foreign_affairs_attests(world: World) -> None:
    await send(world, CENTER, "agent_contract.submission", **_CONTRACT)
    with pytest.raises(Refused, match="not_your_message"):
        await send(world, PartyId("nic"), "agent_contract.attestation", contract_id="CTR-9", version=1)
