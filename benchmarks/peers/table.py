"""The result as a table for terminals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.table import Table

#: Title and the figure under it.
COLUMNS: Final = (
    ("applications/s", "applications_per_second"),
    ("CPU ms", "cpu_ms_per_application"),
    ("idle p50 ms", "p50_ms"),
    ("idle p99", "p99_ms"),
    ("half load p50 ms", "half_load_p50_ms"),
    ("half load p99", "half_load_p99_ms"),
    ("1,000 slow s", "slow_partners_s"),
    ("peak MB", "peak_mb"),
    ("KB written", "written_kb_per_application"),
)


def figures_table(runs: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each contender: medians over the rounds."""
    table = Table("", *(title for title, _ in COLUMNS), title="medians; CPU and KB are of one application")
    for name, run in runs.items():
        table.add_row(name, *(_shown(run.get(figure)) for _, figure in COLUMNS))
    return table


def components_table(runs: Mapping[str, Mapping[str, Any]]) -> Table:
    """CPU of an application by who used it."""
    parts = components(runs)
    table = Table("", *parts, title="CPU ms an application")
    for name, run in runs.items():
        table.add_row(name, *(_shown(run["cpu_ms_by_component"].get(part)) for part in parts))
    return table


def components(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those that any of them has; the partner last, for it is no part of the sum."""
    known = dict.fromkeys(part for run in runs.values() for part in run["cpu_ms_by_component"])
    return sorted(known, key=lambda part: part == "partner")


def ratios_table(ratios: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """Of the gateway to each peer: median, least and most over the rounds."""
    figures = list(next(iter(ratios.values()), {}))
    table = Table("", *figures, title="ratios in the same round: median (least to most)")
    for pair, found in ratios.items():
        table.add_row(pair, *(_spread(found[figure]) for figure in figures))
    return table


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _spread(found: Mapping[str, float]) -> str:
    return f"{found['median']:g} ({found['least']:g} to {found['most']:g})"
