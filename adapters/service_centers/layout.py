"""How the nested fields of an application lie in formats that have only names: dotted paths and elements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final

from schemas.application import BatchHeader, leaf_paths

#: CSV columns that speak of the whole batch.
BATCH_PREFIX: Final = "batch."
#: The lists of an application, by dotted path, with the name of the XML element that is repeated.
LIST_ITEMS: Final[Mapping[str, str]] = {"passport.mrz": "line", "disclosures": "disclosure"}

#: A dotted path taken apart; list positions are ints from 0.
Path = tuple[str | int, ...]
_SLOT: Final = re.compile("[1-9][0-9]?")


@cache
def header_fields() -> tuple[str, ...]:
    """The batch's own fields, in the order of the model."""
    return tuple(BatchHeader.model_fields)


@cache
def application_columns() -> Mapping[str, Path]:
    """Every CSV column of an application, `passport.number` or `passport.mrz.1`, and where it leads."""
    return {column: path_of(column) for column in leaf_paths()}


@cache
def containers() -> frozenset[str]:
    """Dotted paths of the objects inside an application: `passport`, `travel`, …"""
    paths = (path[:end] for path in application_columns().values() for end in range(1, len(path)))
    return frozenset(".".join(map(str, path)) for path in paths) - LIST_ITEMS.keys()


def path_of(column: str) -> Path:
    """A column's name taken apart: `passport.mrz.1` leads to the first item of a list."""
    return tuple(int(step) - 1 if _SLOT.fullmatch(step) else step for step in column.split("."))


def nest(cells: Iterable[tuple[Path, str]]) -> dict[str, Any]:
    """Put each text where its path leads. A gap in a list becomes an empty text, never a shift."""
    fields: dict[str, Any] = {}
    for path, text in cells:
        if len(path) == 1:
            fields[str(path[0])] = text
            continue
        place: Any = fields
        for step, following in pairwise(path):
            place = _enter(place, step, [] if isinstance(following, int) else {})
        _put(place, path[-1], text)
    return fields


def flatten(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The reverse of `nest`: columns and their texts."""
    for name, value in fields.items():
        yield from _flatten_value(value, f"{prefix}{name}")


def _flatten_value(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from flatten(value, f"{path}.")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, item in enumerate(value, start=1):
            yield from _flatten_value(item, f"{path}.{position}")
    elif value is not None:
        yield path, str(value)


def _enter(place: Any, step: str | int, empty: Any) -> Any:
    if isinstance(step, str):
        return place.setdefault(step, empty)
    if step >= len(place):
        _put(place, step, empty)
    return place[step]


def _put(place: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int):
        place.extend([""] * (step + 1 - len(place)))
    place[step] = value
