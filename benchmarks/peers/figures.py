"""Arithmetic of the benchmark: percentiles, medians over rounds, ratios of neighbours."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most, in three digits."""
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: rounded(value) for name, value in found.items()}


def rounded(value: float) -> float:
    """To three significant digits, or a whole number beyond that."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, max(0, 2 - math.floor(math.log10(abs(value)))))


def ratios(
    rounds: Sequence[Mapping[str, Mapping[str, float]]], figure: str, one: str, other: str
) -> list[float]:
    """`one` over `other` in each round that has the figure of both: never across rounds."""
    return [
        each[one][figure] / each[other][figure]
        for each in rounds
        if figure in each.get(one, {}) and each.get(other, {}).get(figure)
    ]


def medians(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each figure over the rounds that have it, also inside mappings. What is no number is left out."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for sample in samples for name in sample):
        values = [sample[name] for sample in samples if name in sample]
        if isinstance(values[0], Mapping):
            found[name] = medians(values)
        elif isinstance(values[0], int | float) and not isinstance(values[0], bool):
            found[name] = rounded(statistics.median(values))
    return found


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """Another one is first in each round, and every second round goes the other way."""
    step = -1 if turn % 2 else 1
    return [names[(turn + step * place) % len(names)] for place in range(len(names))]
