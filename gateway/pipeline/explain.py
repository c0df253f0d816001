"""Why the gate was closed: how the records stood when it was looked at, in sentences for operators.

Every version of every record is kept, and a decision keeps how far they had come; so what a decision was
taken under can be told afterwards, whatever has changed since. Records hold nothing of a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gateway.flows.restored import RESTORATION, open_days
from gateway.flows.visas import CAPACITY, CONTROLS
from gateway.ledger.books import Record
from gateway.ledger.port import Ledger
from gateway.message import BatchFacts

#: A record, by kind and id.
_Name = tuple[str, str]
_Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """An application that was refused or held."""

    code: str
    #: The center that submitted it.
    party: str
    facts: BatchFacts
    #: How far the records had come (`Record.seq`).
    records: int


async def explain(decision: Decision, ledger: Ledger) -> list[str]:
    """A sentence for each record that decided, as it stood then; none for a code that no record decides."""
    look = _DECIDING.get(decision.code)
    if look is None:
        return []
    names = list(look(decision))
    if decision.code in _BY_PLAN:
        names += await _plans(decision, ledger)
    return [await _sentence(name, decision, ledger) for name in names]


async def _sentence(name: _Name, decision: Decision, ledger: Ledger) -> str:
    kind, id = name
    label = f"{_LABELS.get(kind, kind)} {id}" if name != CONTROLS else "the control set"
    record = await ledger.record(kind, id, at=decision.records)
    if record is None:
        return f"{label} was not known"
    return f"{label} {_STOOD[kind](record.facts, decision)} ({_origin(record)})"


def _origin(record: Record) -> str:
    if record.message_id is None:
        return f"version {record.version}, from the configuration"
    return f"version {record.version}, message {record.message_id}"


async def _plans(decision: Decision, ledger: Ledger) -> list[_Name]:
    """The licensee's plans that were known then."""
    known = await ledger.look(lambda books: books.records("plan", owner=decision.facts.licensee))
    at = decision.records
    return [("plan", plan.id) for plan in known if await ledger.record("plan", plan.id, at=at)]


# --- which records decide -------------------------------------------------------------------------------


def _center(decision: Decision) -> Iterable[_Name]:
    return (("service_center", decision.party),)


def _licensee(decision: Decision) -> Iterable[_Name]:
    return (("licensee", decision.facts.licensee),)


def _activation(decision: Decision) -> Iterable[_Name]:
    return (("activation", f"{decision.facts.licensee}/{decision.facts.season}"),)


def _agent(decision: Decision) -> Iterable[_Name]:
    return (("agent", decision.facts.agent),)


def _mission(decision: Decision) -> Iterable[_Name]:
    return (("mission", decision.facts.mission),)


def _package(decision: Decision) -> Iterable[_Name]:
    return (("package", decision.facts.package or "(none)"),)


def _group(decision: Decision) -> Iterable[_Name]:
    return (("group", decision.facts.group_number or "(none)"),)


def _overstay(decision: Decision) -> Iterable[_Name]:
    of_licensee = f"licensee/{decision.facts.licensee}"
    return (("overstay_standing", of_licensee), ("overstay_standing", f"agent/{decision.facts.agent}"))


def _controls(decision: Decision) -> Iterable[_Name]:
    return (CONTROLS,)


def _capacity(decision: Decision) -> Iterable[_Name]:
    return ((CAPACITY, decision.facts.mission),)


def _restoration(decision: Decision) -> Iterable[_Name]:
    return ((RESTORATION, "foreign-affairs"),)


def _nothing(decision: Decision) -> Iterable[_Name]:
    return ()


_DECIDING: Final[Mapping[str, Callable[[Decision], Iterable[_Name]]]] = MappingProxyType(
    {
        "center_not_licensed": _center,
        "agent_not_served": _center,
        "licensee_unknown": _licensee,
        "licensee_inactive": _licensee,
        "licensee_not_activated": _activation,
        "agent_unknown": _agent,
        "agent_contract_invalid": _agent,
        "mission_unknown": _mission,
        "mission_closed": _mission,
        "package_not_approved": _package,
        "group_of_another_licensee": _group,
        "overstay_limit": _overstay,
        "window_closed": _controls,
        "month_unplanned": _controls,
        "plan_missing": _nothing,
        "plan_exceeded": _nothing,
        "mission_capacity": _capacity,
        "reconciliation_pending": _restoration,
    }
)
#: Decided by the places of the licensee's plans, whose ids the application does not name.
_BY_PLAN: Final = frozenset({"plan_missing", "plan_exceeded"})
#: The codes that records decide.
EXPLAINED: Final = frozenset(_DECIDING)


# --- how a record stood ---------------------------------------------------------------------------------


def _status(facts: _Facts, decision: Decision) -> str:
    return f"stood as {facts['status']}"


def _submitting(facts: _Facts, decision: Decision) -> str:
    if decision.code == "agent_not_served":
        return f"stood as registered for the agents {_listed(facts.get('agents') or ())}"
    return _serving(facts, decision)


def _serving(facts: _Facts, decision: Decision) -> str:
    serves = decision.facts.licensee in facts.get("licensees", ())
    return f"stood as {facts['status']}, {'' if serves else 'not '}serving {decision.facts.licensee}"


def _contracted(facts: _Facts, decision: Decision) -> str:
    file_only = (None, facts.get("contract_until"))
    since, until = facts.get("contracts", {}).get(decision.facts.licensee, file_only)
    said = _serving(facts, decision) + (f", contract from {since}" if since else "")
    return f"{said}{'' if since else ', contract'} until {until}" if until else said


def _activated(facts: _Facts, decision: Decision) -> str:
    until = facts.get("valid_until")
    return f"stood as {'active' if facts['active'] else 'not active'}" + (f" until {until}" if until else "")


def _owned(facts: _Facts, decision: Decision) -> str:
    return f"stood as {facts['status']}, of {facts['licensee']}"


def _registered(facts: _Facts, decision: Decision) -> str:
    return f"was registered to {facts['licensee']}"


def _overstaying(facts: _Facts, decision: Decision) -> str:
    return "stood over the limit" if facts["over"] else "stood within the limit"


def _rules(facts: _Facts, decision: Decision) -> str:
    if decision.code == "month_unplanned":
        return f"said unplanned_months: {facts.get('unplanned_months', 'closed')}"
    windows = facts.get("request_windows") or ()
    return "had the request windows " + _listed(f"{one['opens']} to {one['closes']}" for one in windows)


def _planned(facts: _Facts, decision: Decision) -> str:
    return f"(part {facts['part']}) stood as {facts['status']}"


def _ceilings(facts: _Facts, decision: Decision) -> str:
    windows = (f"{one['opens']} to {one['closes']} for {one['ceiling']}" for one in facts["windows"])
    return "had the windows " + _listed(windows)


def _days_read(facts: _Facts, decision: Decision) -> str:
    return "waited for the partner's lists of " + _listed(open_days(facts))


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "(none)"


_STOOD: Final[Mapping[str, Callable[[_Facts, Decision], str]]] = MappingProxyType(
    {
        "service_center": _submitting,
        "licensee": _status,
        "activation": _activated,
        "agent": _contracted,
        "mission": _status,
        "package": _owned,
        "group": _registered,
        "overstay_standing": _overstaying,
        "controls": _rules,
        "plan": _planned,
        CAPACITY: _ceilings,
        RESTORATION: _days_read,
    }
)
_LABELS: Final = {
    "service_center": "service center",
    "activation": "the activation of",
    "overstay_standing": "the overstays of",
    CAPACITY: "the capacity of mission",
}
