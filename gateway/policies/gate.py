"""The gate: may this center, for this licensee and agent, ask this mission for visas now?

Looked at when a batch comes in, and again inside the commit that records an issuing intent, so that a
suspension acts on everything not yet sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from gateway.message import BatchFacts

#: (kind, id) to the reference record's facts, or None when it is unknown.
Lookup = Callable[[str, str], Mapping[str, Any] | None]


def closed_by(party: str, facts: BatchFacts, look_up: Lookup, today: date) -> str | None:
    """The code of the first condition that closes the gate, or None when it is open."""
    center = look_up("service_center", party)
    if center is None or center["status"] != "active" or facts.licensee not in center["licensees"]:
        return "center_not_licensed"
    licensee = look_up("licensee", facts.licensee)
    if licensee is None:
        return "licensee_unknown"
    if licensee["status"] != "active":
        return "licensee_inactive"
    return (
        _agent(facts, look_up, today)
        or _mission(facts, look_up)
        or _package(facts, look_up)
        or _group(facts, look_up)
    )


def _agent(facts: BatchFacts, look_up: Lookup, today: date) -> str | None:
    agent = look_up("agent", facts.agent)
    if agent is None:
        return "agent_unknown"
    contract_until = agent.get("contract_until")
    expired = contract_until is not None and date.fromisoformat(str(contract_until)) < today
    if agent["status"] != "active" or expired or facts.licensee not in agent["licensees"]:
        return "agent_contract_invalid"
    return None


def _mission(facts: BatchFacts, look_up: Lookup) -> str | None:
    mission = look_up("mission", facts.mission)
    if mission is None:
        return "mission_unknown"
    return None if mission["status"] == "open" else "mission_closed"


def _package(facts: BatchFacts, look_up: Lookup) -> str | None:
    if facts.package is None:
        return None
    package = look_up("package", facts.package)
    if package is None or package["status"] != "approved" or package["licensee"] != facts.licensee:
        return "package_not_approved"
    return None


def _group(facts: BatchFacts, look_up: Lookup) -> str | None:
    if facts.group_number is None:
        return None
    group = look_up("group", facts.group_number)
    owned = group is None or group["licensee"] == facts.licensee
    return None if owned else "group_of_another_licensee"
