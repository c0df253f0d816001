"""The tables of docs/performance.md that compare: written between marks, from benchmarks/latest.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.pages import between
from benchmarks.peers.table import COLUMNS, components

BEGIN: Final = "<!-- made by benchmarks/bench.py -->"
END: Final = "<!-- to here -->"
_RATIOS: Final = (
    ("applications/s", "applications_per_second"),
    ("CPU", "cpu_ms_per_application"),
    ("p50 idle", "p50_ms"),
    ("slow partners", "slow_partners_s"),
)


def filled(page: str, latest: Mapping[str, Any]) -> str:
    """The page with the tables of this document. Raises `ValueError` when it has no marks."""
    return between(page, BEGIN, END, "\n\n" + "\n".join(_lines(latest)) + "\n\n")


def _lines(latest: Mapping[str, Any]) -> Iterator[str]:
    against = latest["against"]
    runs = {name: latest["runs"][name] for name in against["runs"]}
    yield _measured(against["method"], len(against["rounds"]) * len(runs))
    yield ""
    yield from _markdown(
        ["", *(title for title, _ in COLUMNS)],
        [[name, *(_shown(run.get(figure)) for _, figure in COLUMNS)] for name, run in runs.items()],
    )
    yield ""
    yield "CPU ms an application, by who used it:"
    yield ""
    parts = components(runs)
    yield from _markdown(
        ["", *parts],
        [
            [name, *(_shown(run["cpu_ms_by_component"].get(part)) for part in parts)]
            for name, run in runs.items()
        ],
    )
    yield ""
    yield "How many times better, in the same round: median (least to most):"
    yield ""
    yield from _markdown(
        ["", *(title for title, _ in _RATIOS)],
        [
            [pair, *(_spread(found.get(figure)) for _, figure in _RATIOS)]
            for pair, found in against["ratios"].items()
        ],
    )


def _measured(method: Mapping[str, Any], runs: int) -> str:
    busy = method["busy_samples"]
    return (
        f"Measured on {method['date']}, {method['machine']}, {method['calibration_ms']:g} ms for a million "
        f"steps of a plain Python loop; medians of {method['rounds']} round(s) of {method['applications']} "
        f"applications, {'with the machine to itself' if not busy else _doubt(busy, runs)}:"
    )


def _doubt(busy: int, runs: int) -> str:
    said = f"{busy} of {runs} runs while others used the machine too"
    return said if 2 * busy < runs else f"**provisional**, for {said}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _spread(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{found['median']:g} ({found['least']:g} to {found['most']:g})"
