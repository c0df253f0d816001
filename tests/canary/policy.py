"""What the need-to-know lists allow, read from their YAML: nothing of the gateway's code judges here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from schemas.kinds import KINDS, published_classes
from tests.canary.marks import Source

#: What a batch says, as lists of operations name it.
_BATCH: Final = "batch."
_VISA: Final = "earlier.foreign_affairs.visa_issuance.visa_number"
#: Messages that the gateway makes of others': (kind, field) to every (kind, field) that it is copied to.
COPIED: Final[Mapping[tuple[str, str], tuple[tuple[str, str], ...]]] = {
    ("complaint.submission", "text"): (("committee.referral", "text"),),
    ("complaint.submission", "subject"): (("committee.referral", "code"),),
    ("complaint.submission", "complaint_id"): (
        ("committee.referral", "subject_id"),
        ("committee.referral", "case_id"),
    ),
    ("complaint.submission", "at"): (("committee.referral", "at"),),
    ("violation.recorded", "text"): (("committee.referral", "text"),),
    ("violation.recorded", "code"): (("committee.referral", "code"),),
    ("violation.recorded", "violation_id"): (
        ("committee.referral", "subject_id"),
        ("committee.referral", "case_id"),
    ),
    ("violation.recorded", "at"): (("committee.referral", "at"),),
    ("licensee.activation_check", "check_id"): (("licensee.activation", "check_id"),),
    ("plan.submission", "quotas.pilgrims"): (("plan.decision", "quotas.pilgrims"),),
    ("visa.result", "visa.number"): (
        ("overstay.notice", "visa_number"),
        ("overstay.cleared", "visa_number"),
        ("visa.cancellation", _VISA),
    ),
}
#: Ids by which messages name records; kinds that only the gateway sends name them too.
_NAMES: Final = (
    "licensee_id",
    "agent_id",
    "mission_id",
    "group_number",
    "package_id",
    "contract_id",
    "center_id",
)
_MADE: Final = tuple(kind for kind, schema in KINDS.items() if schema.outgoing)


def told_as(source: Source) -> Iterator[tuple[str, str]]:
    """The field of a kind that a canary stands for, and those that the gateway copies it to for sure."""
    yield source.kind, source.path
    yield from COPIED.get((source.kind, source.path), ())


def meanings(source: Source) -> Iterator[tuple[str, str]]:
    """Every field of a kind that a canary may stand for: names of records are in other messages too."""
    yield from told_as(source)
    name = source.path.rpartition(".")[2]
    if name in _NAMES:
        for kind in _MADE:
            yield from ((kind, path) for path in published_classes(kind) if path.rpartition(".")[2] == name)


@dataclass(frozen=True, slots=True)
class Lists:
    """`config/confidentiality.yaml` and the itineraries, as data."""

    grants: Mapping[str, Mapping[str, frozenset[str]]]
    results: Mapping[str, frozenset[str]]
    events: Mapping[str, Mapping[str, frozenset[str]]]
    #: By operation: the kinds that go through it.
    routed: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, directory: Path) -> Lists:
        policy = _load(directory / "confidentiality.yaml")
        routed: dict[str, set[str]] = {}
        for kind, route in _load(directory / "routes.yaml")["itineraries"].items():
            for stage in route["stages"]:
                for operation in stage:
                    routed.setdefault(operation, set()).add(kind)
        return cls(
            {name: _fields(lists) for name, lists in policy["grants"].items()},
            {receiver: frozenset(fields) for receiver, fields in policy["results"].items()},
            {name: _fields(lists) for name, lists in policy["events"].items()},
            {operation: frozenset(kinds) for operation, kinds in routed.items()},
        )

    def to_partner(self, destination: str, operations: Iterable[str], source: Source) -> bool:
        """Whether a call of one of these operations may carry it."""
        return any(self.partner_path(destination, operation, source) is not None for operation in operations)

    def partner_path(self, destination: str, operation: str, source: Source) -> str | None:
        """The granted path that a canary stands for in an operation."""
        granted = self.grants.get(destination, {}).get(operation, frozenset())
        kinds = self.routed.get(operation, frozenset())
        for kind, path in meanings(source):
            if kind in kinds and path in granted:
                return path
            # The visa goes by its batch; a single message speaks for itself.
            if f"{_BATCH}{path}" in granted and (kind in kinds or kind == "visa.batch"):
                return f"{_BATCH}{path}"
        return None

    def in_event(self, receiver: str, sort: str, kind: str, source: Source) -> bool:
        """Whether a party may find it in an event of this kind."""
        return any(
            found == kind and path in self.told(receiver, sort, kind) for found, path in meanings(source)
        )

    def told(self, receiver: str, sort: str, kind: str) -> frozenset[str]:
        own = self.events.get(receiver, {}).get(kind)
        return self.events.get(sort, {}).get(kind, frozenset()) if own is None else own

    def in_results(self, sort: str, source: Source) -> bool:
        """Whether a party may find it in results of its own messages."""
        shown = self.results.get(sort, frozenset())
        if source.kind == "visa.batch":
            return f"{_BATCH}{source.path}" in shown
        if source.kind == "visa.result":
            return source.path in shown
        return source.kind == "visa.application" and source.path in shown


def _load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text("utf-8"))


def _fields(lists: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    return {name: frozenset(one["fields"]) for name, one in lists.items()}
