"""Gateways that are broken on purpose, to see that `benchmarks.large_and_small` would notice."""

from __future__ import annotations

from typing import Any


def lanes() -> None:
    """Claims begin with the same lanes each time, instead of with those whose turn it is."""
    from gateway.ledger.sql import carrying

    fair = carrying._most_urgent

    def unfair(tx: Any, cursor: Any, *given: Any) -> Any:
        cursor.last = ""
        return fair(tx, cursor, *given)

    carrying._most_urgent = unfair
