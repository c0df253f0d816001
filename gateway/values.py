"""Values: what is made once and never changed, a message and everything that is said of it on its way.

Those that are made for each message are frozen `msgspec.Struct`s: making a frozen dataclass costs some
eight times as much, copying one with a change some fifty times. The others are dataclasses. Neither kind is
checked when it is made: types are mypy's.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import msgspec

V = TypeVar("V")


def replace(value: V, /, **changes: Any) -> V:
    """The same value, but for these fields. Raises `TypeError` for a name that is no field of it."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]
