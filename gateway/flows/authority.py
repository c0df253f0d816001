"""On whose behalf may a party speak? A center for the licensees it serves, and for their agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Refused
from gateway.flows.desk import Desk
from gateway.message import PartyId
from gateway.policies.gate import serves_agent
from schemas.violation import Violation

_CENTER: Final = "service_center"


def acts_for(desk: Desk, licensee: str, agent: str | None = None) -> None:
    """Raises `Refused` (403) unless the sender may act for this licensee and agent.

    The ministry, the committee and other systems speak for themselves.
    """
    center = licensed(desk, "/licensee_id")
    if center is None:
        return
    if licensee not in center["licensees"]:
        raise refused("center_not_licensed", "/licensee_id")
    if agent is None:
        return
    if not serves_agent(center, agent):
        raise refused("agent_not_served", "/agent_id")
    known_agent(desk, licensee, agent)


def licensed(desk: Desk, pointer: str = "") -> Mapping[str, Any] | None:
    """The sending center's record; None when the sender is no center.

    Raises `Refused` (403) for a center that may not submit at all.
    """
    if desk.office.parties.get(desk.subject.party) != _CENTER:
        return None
    center = desk.fact("service_center", desk.subject.party)
    if center is None or center["status"] != "active":
        raise refused("center_not_licensed", pointer)
    return center


def known_agent(desk: Desk, licensee: str, agent: str) -> None:
    """Raises `Refused` (403) unless the agent is known and works for the licensee."""
    record = desk.fact("agent", agent)
    if record is None:
        raise refused("agent_unknown", "/agent_id")
    if licensee not in record["licensees"]:
        raise refused("agent_contract_invalid", "/agent_id")


def own_group(desk: Desk, licensee: str, group: str | None) -> None:
    """Raises `Refused` (403) when a center names a group that is registered to another licensee.

    The ministry may name any: that a group is in other hands may be what it has to report.
    """
    if group is None or desk.office.parties.get(desk.subject.party) != _CENTER:
        return
    known = desk.fact("group", group)
    if known is not None and known["licensee"] != licensee:
        raise refused("group_of_another_licensee", "/group_number")


def all_centers(desk: Desk) -> list[PartyId]:
    """Every service center: those that some news never reach, whoever is granted what."""
    return [party for party, kind in desk.office.parties.items() if kind == _CENTER]


def own_name(desk: Desk, id: str) -> str:
    """An id that its sender chose, told from the same one of another sender."""
    return f"{desk.subject.party}/{id}"


def refused(code: str, pointer: str, status: int = 403) -> Refused:
    """One violation as a refusal."""
    return Refused(code, violations=(Violation(code, pointer),), status=status)
