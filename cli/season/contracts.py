"""Part one: agents abroad, their contracts, and who vouches for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cli.season.cast import BAD_CONTRACTS, Licensee
from cli.season.pace import WEEK, at, rest, step_to, together
from cli.season.stage import Season


async def contracts(season: Season) -> None:
    """The registries vouch for agents, the missions attest their contracts days later."""
    spare = season.working[3]
    await together(_contract(season, licensee) for licensee in season.cast)
    for fault in BAD_CONTRACTS:
        await _contract(season, spare, fault)
    await rest(season)
    await step_to(season, season.today + WEEK)
    await _attest(season)
    decided = await season.center(spare).notifications()
    codes = {event["data"].get("code") for event in decided if event["kind"] == "agent_contract.decision"}
    for fault, code in BAD_CONTRACTS.items():
        season.saw(f"a contract with a bad {fault} ends as {code}", code in codes)


async def _contract(season: Season, licensee: Licensee, fault: str | None = None) -> None:
    number = 7000 + licensee.number
    await season.center(licensee).send(
        "agent_contract.submission",
        contract_id=licensee.contract if fault is None else f"CTR-BAD-{fault}", version=1,
        licensee_id=licensee.id, agent_id=licensee.agent if fault is None else f"AGT-BAD-{fault}",
        agent_name=f"Agent {number}", country=licensee.country, mission_id=licensee.mission,
        iata_number=f"91{number}00" if fault == "iata" else f"91{number}01",
        bank={"code": "bank_one", "account": f"SA44200000{number}" + ("00" if fault == "bank" else "01")},
        guarantee=_guarantee(season, number, fault),
        valid_from=season.today.isoformat(),
        valid_until=(season.today + timedelta(days=360)).isoformat(),
    )  # fmt: skip


def _guarantee(season: Season, number: int, fault: str | None) -> dict[str, str]:
    return {
        "number": f"G-{number}-" + ("00" if fault == "guarantee" else "77"),
        "amount": "200000.00",
        "currency": "SAR",
        "expiry_date": (season.today + timedelta(days=400)).isoformat(),
    }


async def _attest(season: Season) -> None:
    """The missions answer for every contract that reached Foreign Affairs."""
    async with season.players.partners.get("/_attestations") as reply:
        received = await reply.json()
    for request in received:
        await season.players.foreign_affairs.call(
            "attestations", "NotifyAttestation", _attestation(season, request)
        )


def _attestation(season: Season, request: Mapping[str, Any]) -> dict[str, Any]:
    bad = request["contract_id"] == "CTR-BAD-mission"
    return {
        "contract_id": request["contract_id"],
        "version": request["version"],
        "decision": "REJECTED" if bad else "ATTESTED",
        "decided_at": at(season.today, 10),
        "reference": request["reference"],
    }
