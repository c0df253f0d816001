"""The benchmark's own check: everybody asked everything, each application was issued exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from benchmarks.peers.contender import Outcome

#: So many are named; the rest is counted.
_NAMED: Final = 3
#: Of each application.
_CALLS: Final = ("CheckClearance", "VerifyPassport", "IssueVisa")


def faults(given: Collection[str], evidence: Mapping[str, Any], outcomes: Iterable[Outcome]) -> list[str]:
    """What is wrong, empty when nothing is.

    `given`: the passports handed in. `evidence`: the partner's (`stub.Register.evidence`). `outcomes`: what
    the contender says.
    """
    said, asked_for = list(outcomes), set(given)
    visas = [(passport, number) for passport, number in evidence["visas"]]
    issued = Counter(passport for passport, _ in visas)
    told = Counter(outcome.passport for outcome in said)
    numbers = dict(visas)
    wrong = [each.passport for each in said if each.visa is None or numbers.get(each.passport) != each.visa]
    return [
        *_fault("never issued", [one for one in given if not issued[one]]),
        *_fault("issued more than once", [one for one, times in issued.items() if times > 1]),
        *_fault("issued, and never asked for", [one for one in issued if one not in asked_for]),
        *_fault("no outcome", [one for one in given if not told[one]]),
        *_fault("more than one outcome", [one for one, times in told.items() if times > 1]),
        *_fault("another visa than the partner's", [one for one in wrong if issued[one]]),
        *_left_out(len(given), evidence["calls"]),
    ]


def unsigned(evidence: Mapping[str, Any]) -> list[str]:
    """What is wrong where all was to be signed."""
    return [f"not signed: {evidence['unsigned']} requests"] if evidence["unsigned"] else []


def _left_out(given: int, calls: Mapping[str, int]) -> list[str]:
    """Whoever asks less does less than the others."""
    return [
        f"{name}: {calls.get(name, 0)} calls for {given}" for name in _CALLS if calls.get(name, 0) < given
    ]


def _fault(what: str, passports: Sequence[str]) -> list[str]:
    """The passports are made up: they may be shown."""
    if not passports:
        return []
    return [f"{what}: {len(passports)} ({', '.join(passports[:_NAMED])})"]
