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
    if not serves_agent(center, facts.agent):
        return "agent_not_served"
    licensee = look_up("licensee", facts.licensee)
    if licensee is None:
        return "licensee_unknown"
    if licensee["status"] != "active":
        return "licensee_inactive"
    return (
        _activation(facts, licensee, look_up, today)
        or _agent(facts, look_up, today)
        or _mission(facts, look_up)
        or _package(facts, look_up)
        or _group(facts, look_up)
        or _overstay(facts, look_up)
        or _window(look_up, today)
    )


def serves_agent(center: Mapping[str, Any], agent: str) -> bool:
    """Whether the center's registration covers this agent; one that names none covers all of them."""
    agents = center.get("agents")
    return not agents or agent in agents


def _activation(facts: BatchFacts, licensee: Mapping[str, Any], look_up: Lookup, today: date) -> str | None:
    """What was found for the season decides; a licensee known from the configuration needs no finding."""
    found = look_up("activation", f"{facts.licensee}/{facts.season}")
    if found is None:
        return "licensee_not_activated" if licensee.get("needs_activation") else None
    until = found.get("valid_until")
    holds = found["active"] and (until is None or date.fromisoformat(until) >= today)
    return None if holds else "licensee_not_activated"


def _agent(facts: BatchFacts, look_up: Lookup, today: date) -> str | None:
    agent = look_up("agent", facts.agent)
    if agent is None:
        return "agent_unknown"
    known_only_to_the_file = ("", agent.get("contract_until"))
    since, until = agent.get("contracts", {}).get(facts.licensee, known_only_to_the_file)
    holds = since <= today.isoformat() and (until is None or str(until) >= today.isoformat())
    if agent["status"] != "active" or not holds or facts.licensee not in agent["licensees"]:
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
    return None if package.get("season", facts.season) == facts.season else "package_not_approved"


def _group(facts: BatchFacts, look_up: Lookup) -> str | None:
    if facts.group_number is None:
        return None
    group = look_up("group", facts.group_number)
    owned = group is None or (
        group["licensee"] == facts.licensee and group.get("agent") in (None, facts.agent)
    )
    return None if owned else "group_of_another_licensee"


def _overstay(facts: BatchFacts, look_up: Lookup) -> str | None:
    """Whether the licensee or the agent is over the limit, as it stood after the latest movement."""
    for kind, id in (("licensee", facts.licensee), ("agent", facts.agent)):
        standing = look_up("overstay_standing", f"{kind}/{id}")
        if standing is not None and standing["over"]:
            return "overstay_limit"
    return None


def _window(look_up: Lookup, today: date) -> str | None:
    """Request windows of the control set in force; none: always open."""
    windows = (look_up("controls", "current") or {}).get("request_windows") or ()
    day = today.isoformat()
    if not windows or any(window["opens"] <= day <= window["closes"] for window in windows):
        return None
    return "window_closed"
