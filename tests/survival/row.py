"""The judge: what the gateway says of everything that it accepted, beside what the partners really did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.survival.center import Center

#: What an accepted application may be in the end.
SETTLED: Final = frozenset({"issued", "refused", "rejected", "cancelled", "expired", "under_review"})


@dataclass
class Row:
    """One row of the table: a fault, an engine, and what it left behind."""

    fault: str
    engine: str
    runs: int
    accepted: int
    #: Accepted, and neither final nor left to a person.
    lost: int
    issued_twice: int
    other: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "engine": self.engine,
            "runs": self.runs,
            "accepted": self.accepted,
            "lost": self.lost,
            "issued_twice": self.issued_twice,
            "other": self.other,
        }

    def faults(self) -> list[str]:
        """What this row shows that must not be; empty for a row that holds."""
        wrong = [f"{self.lost} lost"] if self.lost else []
        if self.issued_twice:
            wrong.append(f"{self.issued_twice} issued twice")
        return [*wrong, *self.other.get("broken", ())]


def judge(center: Center, fault: str, runs: int, *, rest_s: float = 90, **other: Any) -> Row:
    """Wait until everything rests, then compare with the partners' evidence.

    `other["broken"]` names what else does not hold; callers add to it.
    """
    center.wait_until_settled(rest_s)
    lines = [line for batch in center.receipts.values() for line in center.lines_of(batch)]
    final = Counter(line["state"] for line in lines)
    evidence = center.home.evidence()
    missing = center.lines * len(center.receipts) - len(lines)
    unsettled = sum(count for state, count in final.items() if state not in SETTLED)
    forgotten = max(0, evidence["distinct_applications"] - final["issued"] - final["under_review"])
    invented = max(0, final["issued"] - evidence["distinct_applications"])
    broken = list(other.pop("broken", ()))
    broken += [f"{forgotten} issued and forgotten"] if forgotten else []
    broken += [f"{invented} shown as issued and never issued"] if invented else []
    # Where a call may be repeated, no fault leaves anything undecided.
    needless = final["under_review"] if center.home.foreign_affairs == "deduplicates" else 0
    broken += [f"{needless} left to a person"] if needless else []
    journal = journal_verified(center)
    broken += [] if journal == "whole" else [f"journal: {journal}"]
    return Row(
        fault=fault,
        engine=center.home.engine,
        runs=runs,
        accepted=len(lines),
        lost=missing + unsettled,
        issued_twice=len(evidence["issued_twice"]),
        other={
            "broken": broken,
            "under_review": final["under_review"],
            "final": dict(final),
            "journal": journal,
            **other,
        },
    )


def journal_verified(center: Center) -> str:
    """`whole`, or what the gateway's own verifier says of the journal."""
    code, said = center.home.run("audit", "verify")
    return "whole" if code == 0 else said[-300:]
