"""Code tables: the closed lists of values, each with its English and Arabic name.

A table is a CSV file in this folder. It is read at first use and kept.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Code:
    """One allowed value."""

    code: str
    en: str
    ar: str


@cache
def table(name: str) -> Mapping[str, Code]:
    """The table `codes/NAME.csv`, by code. Raises `FileNotFoundError` for a table that does not exist."""
    return MappingProxyType({row["code"]: Code(row["code"], row["en"], row["ar"]) for row in rows(name)})


def rows(name: str) -> list[dict[str, str]]:
    """The rows of `codes/NAME.csv`, in the file's order."""
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
