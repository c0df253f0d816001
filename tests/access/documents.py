"""The table of docs/access.md, between its markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.access.judge import Tally
from tests.access.probes import KNOWN

ACCESS: Final = Path(__file__).parents[2] / "docs" / "access.md"
BEGIN: Final = "<!-- cross-tenant: begin -->"
END: Final = "<!-- cross-tenant: end -->"


def written(tallies: Sequence[Tally], changed: int, when: str) -> str:
    """What stands between the markers."""
    probes = sum(tally.probes for tally in tallies)
    leaks = sum(len(tally.leaks) for tally in tallies)
    unexplained = sum(len(tally.unexplained) for tally in tallies)
    return "\n".join(
        [
            f"{probes:,} probes on {when}, each with its twin, over {len({t.route for t in tallies})} routes "
            f"in the names of two centers: **{leaks}** canaries of another party, **{unexplained}** answers "
            f"that differ without being named below, **{changed}** documents of the other changed.",
            "",
            "| route | probes, first / second center | canaries | differ | named below | commonest answers |",
            "|---|---|---|---|---|---|",
            *(_row(route, of_route) for route, of_route in _by_route(tallies)),
            "",
            "| what an answer tells all the same | code | why | met |",
            "|---|---|---|---|",
            *_known(tallies),
        ]
    )


def put(text: str) -> None:
    """Between the markers, in place of what stood there."""
    before, rest = ACCESS.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    ACCESS.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _by_route(tallies: Sequence[Tally]) -> Iterable[tuple[tuple[str, str], list[Tally]]]:
    for route in sorted({tally.route for tally in tallies}, key=lambda route: (route[1], route[0])):
        yield route, [tally for tally in tallies if tally.route == route]


def _row(route: tuple[str, str], tallies: list[Tally]) -> str:
    answers: Counter[str] = sum((tally.answers for tally in tallies), Counter())
    commonest = ", ".join(f"{code} ({count:,})" for code, count in answers.most_common(4))
    probes = " / ".join(f"{tally.probes:,}" for tally in tallies)
    leaks, unexplained = sum(len(t.leaks) for t in tallies), sum(len(t.unexplained) for t in tallies)
    known = sum(tally.known.total() for tally in tallies)
    return f"| `{' '.join(route)}` | {probes} | {leaks} | {unexplained} | {known:,} | {commonest} |"


def _known(tallies: Sequence[Tally]) -> Iterable[str]:
    met: Counter[str] = sum((tally.known for tally in tallies), Counter())
    for family, known in KNOWN.items():
        yield f"| {family} | `{known.code}` | {known.why} | {met[family]:,} |"
