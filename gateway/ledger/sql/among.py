"""A column that has one of several values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def among(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """What stands after the column, and the values, of which there is one at least.

    The last one is repeated up to a power of two: few texts of a statement, and each is prepared once.
    """
    size = 1 << (len(values) - 1).bit_length()
    return f"IN ({', '.join('?' * size)})", [*values, *(values[-1],) * (size - len(values))]
