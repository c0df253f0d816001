"""What passes between the steps of admission."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from msgspec import Struct

from gateway.errors import Refused
from gateway.ledger.vault import DataKey
from gateway.message import BatchFacts, BatchId, PartyId
from gateway.policies.companions import Companions
from gateway.ports import BatchReader
from schemas.violation import Violation

Mode = Literal["lines", "all_or_nothing"]

#: How many rejected lines a receipt names. All of them are there by page.
MAX_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch as a party submits it. `body` is decoded and arrives while it is read."""

    party: PartyId
    idempotency_key: str
    media_type: str
    mode: Mode
    dry_run: bool
    reader: BatchReader
    body: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that can't be taken, with everything that is wrong with it."""

    line: int
    row: int | None
    reference: str | None
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a center gets back for a batch."""

    batch_id: BatchId | None
    counts: Mapping[str, int]
    rejected: tuple[Rejection, ...]
    more_rejected: bool = False
    replayed: bool = False
    dry_run: bool = False


class AllOrNothing(Refused):
    """`mode=all_or_nothing`, and some line is wrong: nothing was recorded. `rejected` names the lines."""

    def __init__(self, rejected: Sequence[Rejection]) -> None:
        super().__init__("all_or_nothing_rejected", status=422)
        self.rejected = tuple(rejected)


class CheckedLine(Struct, frozen=True):
    """One line after validation: `body` is canonical, or there are `violations`."""

    line: int
    row: int | None
    reference: str | None
    #: The canonical application, or the line as it was sent when it is rejected (None: unreadable).
    body: Mapping[str, Any] | None
    violations: tuple[Violation, ...] = ()
    person: tuple[str, str, str] | None = None
    arrival_date: str | None = None


@dataclass(slots=True)
class Tally:
    """What a receipt counts, while lines pass. The only thing of admission that changes in place."""

    lines: int = 0
    rejected: int = 0
    #: Rejected lines by the first code of each.
    codes: Counter[str] = field(default_factory=Counter)
    named: list[Rejection] = field(default_factory=list)
    references: set[str] = field(default_factory=set)
    persons: set[bytes] = field(default_factory=set)
    #: Set where the mahram that a line names must be in the batch.
    companions: Companions | None = None

    def add(self, line: CheckedLine) -> None:
        self.lines += 1
        if line.violations:
            self.reject(Rejection(line.line, line.row, line.reference, line.violations))
        elif self.companions and line.body:
            mahram = (line.body.get("mahram") or {}).get("reference")
            self.companions.take(line.line, line.row, line.reference or "", mahram)

    def reject(self, rejection: Rejection) -> None:
        """Count a rejected line; the first ones of the batch are named, also when they are found late."""
        self.rejected += 1
        self.codes[rejection.violations[0].code] += 1
        if len(self.named) < MAX_NAMED or rejection.line < self.named[-1].line:
            insort(self.named, rejection, key=lambda named: named.line)
            del self.named[MAX_NAMED:]

    def with_lines(self, lines: Iterable[CheckedLine]) -> Tally:
        """What this would be with these lines added."""
        tally = replace(self, codes=Counter(self.codes), named=list(self.named))
        for line in lines:
            tally.add(line)
        return tally

    def check(self, mode: Mode) -> None:
        """Raises `Refused` for a batch that can't be accepted as it is."""
        if self.lines == 0:
            raise Refused("batch_empty", status=422)
        if mode == "all_or_nothing" and self.rejected:
            raise AllOrNothing(self.named)

    def counts(self) -> dict[str, int]:
        """Lines by the state that a center sees first."""
        counts = {"accepted": self.lines - self.rejected, "rejected": self.rejected}
        return {"total": self.lines, **{state: n for state, n in counts.items() if n}}


@dataclass(frozen=True, slots=True)
class OpenIntake:
    """A batch being received under our intake lease (`batch_id` None: a dry run records nothing)."""

    submission: Submission
    batch_id: BatchId | None
    token: str
    key: DataKey | None
    facts: BatchFacts
