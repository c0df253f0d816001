"""The 41 flows of the network, each found in what the gateway says that it carried (`/v1/admin/census`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: What is counted (`message`, `attempt`, `event`, `code`, `record`, `movement`, `season`), its name, and its
#: detail if that matters.
Trace = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One flow, and by what it is recognised. All of its traces must be there."""

    number: int
    flow: str
    traces: tuple[Trace, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """How often a flow was carried, and a message that `show` explains."""

    row: Row
    count: int
    example: str | None


def found(census: Iterable[Mapping[str, Any]], sent: Mapping[str, Sequence[str]]) -> list[Found]:
    """Every row with what was found of it: the fewest of its traces counts.

    `sent` are messages that the season noted itself, where their kind alone does not tell the flow.
    """
    noted = [
        {"what": "season", "name": name, "detail": "", "count": len(ids), "example": ids[0]}
        for name, ids in sent.items()
    ]
    tallies = [*census, *noted]
    return [_found(row, tallies) for row in ROWS]


def _found(row: Row, tallies: list[Mapping[str, Any]]) -> Found:
    matching = [[tally for tally in tallies if _is(tally, trace)] for trace in row.traces]
    counts = [sum(tally["count"] for tally in of_trace) for of_trace in matching]
    examples = (tally["example"] for of_trace in matching for tally in of_trace if tally["example"])
    return Found(row, min(counts), next(examples, None))


def _is(tally: Mapping[str, Any], trace: Trace) -> bool:
    what, name, detail = trace
    return tally["what"] == what and tally["name"] == name and detail in (None, tally["detail"])


def _message(kind: str, detail: str | None = None) -> Trace:
    return ("message", kind, detail)


def _event(kind: str, receiver: str | None = None) -> Trace:
    return ("event", kind, receiver)


def _asked(step: str, outcome: str = "ok") -> Trace:
    return ("attempt", step, outcome)


_CHECK: Final = _message("licensee.activation_check")
_CONTRACT: Final = _message("agent_contract.submission")


def _row(number: int, flow: str, *traces: Trace) -> Row:
    return Row(number, flow, traces)


ROWS: Final = (
    _row(1, "visa requests received", _message("visa.application")),
    _row(
        2,
        "and issued",
        _message("visa.application", "issued"),
        _asked("interior.security_clearance", "answered"),
        _asked("interior.passport_verification"),
        _asked("foreign_affairs.visa_issuance"),
        _event("visa.result"),
    ),
    _row(
        3,
        "visa flow to licensees followed",
        _event("visa_flow.report", "licensing"),
        ("held", "plan_exceeded", None),
    ),
    _row(
        4,
        "compliance with service packages",
        _message("compliance.report"),
        _message("inspection.report"),
        _event("compliance.report"),
    ),
    _row(5, "regulatory status of companies", _message("licensee.status"), _event("licensee.status")),
    _row(6, "any past message retrievable", ("season", "retrieved", None)),
    _row(7, "phantom companies, traded groups", _event("unauthorised_activity.reported", "licensing")),
    _row(8, "season calendar, many countries", _message("controls.published"), _message("season.report")),
    _row(9, "service centers licensed", _message("service_center.registration")),
    _row(10, "activation: National Information Center", _asked("interior.licensee_hold_nic"), _CHECK),
    _row(11, "activation: Passports", _asked("interior.licensee_hold_passports"), _CHECK),
    _row(12, "activation: the ministry itself", _event("licensee.activation", "licensing"), _CHECK),
    _row(13, "activation: dues to other bodies", _asked("registries.dues"), _CHECK),
    _row(14, "administrative staff", _message("readiness.report"), _event("readiness.report")),
    _row(15, "social insurance certificates", _asked("registries.gosi_certificate"), _CHECK),
    _row(16, "three sites", _message("readiness.report"), _event("readiness.report")),
    _row(17, "vehicles and equipment", _message("readiness.report"), _event("readiness.report")),
    _row(
        18,
        "service packages submitted and decided",
        _message("package.submission"),
        _message("package.decision"),
        _event("package.submission", "licensing"),
        _event("package.decision"),
    ),
    _row(19, "operational plan, part 1", ("season", "plan part 1", None), _message("plan.decision")),
    _row(20, "operational plan, part 2", ("season", "plan part 2", None), _message("plan.decision")),
    _row(21, "controls built or amended", _message("controls.published"), _event("controls.published")),
    _row(
        22,
        "overstay ratios and counts",
        ("record", "overstay_standing", None),
        _message("overstay.notice"),
    ),
    _row(23, "capacity ceilings of missions", _message("mission.capacity"), _event("mission.capacity")),
    _row(24, "agent's IATA membership", _asked("registries.iata_membership"), _CONTRACT),
    _row(
        25,
        "agent's contract attested by the mission",
        _asked("foreign_affairs.contract_attestation"),
        _message("agent_contract.attestation"),
    ),
    _row(26, "agent's account at an approved bank", _asked("registries.bank_account"), _CONTRACT),
    _row(27, "bank guarantees", _asked("registries.bank_guarantee"), _CONTRACT),
    _row(28, "licensee activated", _event("licensee.activation"), _CHECK),
    _row(29, "the visa gate", _message("visa.application", "issued"), ("record", "activation", None)),
    _row(30, "arrivals", _message("movement.arrival"), ("movement", "arrival", "matched")),
    _row(31, "departures", _message("movement.departure"), ("movement", "departure", "matched")),
    _row(
        32,
        "overstays",
        _message("overstay.notice"),
        _asked("interior.overstay_report"),
        _event("overstay.notice"),
        _event("overstay.cleared"),
    ),
    _row(
        33,
        "violations referred to the committee",
        _message("violation.recorded"),
        _event("committee.referral", "committee"),
        _message("committee.decision"),
    ),
    _row(
        34,
        "complaints received and referred",
        _message("complaint.submission"),
        _event("committee.referral", "committee"),
        _event("committee.decision"),
    ),
    _row(
        35, "lost pilgrims guided", ("season", "case lost", None), _event("case.report", "pilgrim-services")
    ),
    _row(36, "health followed", ("season", "case health", None), _event("case.report", "pilgrim-services")),
    _row(37, "movements inside the Kingdom", ("season", "case transport", None), _event("case.report")),
    _row(38, "investigations", _message("investigation.opened"), _event("investigation.opened")),
    _row(39, "penalties", _message("penalty.issued"), _event("penalty.issued")),
    _row(40, "data and reports from the linked systems", _event("visa_flow.report"), _event("season.report")),
    _row(41, "agents' e-services through the centers", _CONTRACT, _message("visa.application")),
)
