"""A unit of work on its way through a group-commit writer, whichever database it writes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError
from gateway.ledger.sql.transaction import Transaction


@dataclass(slots=True)
class Unit:
    """What one caller wants done in a transaction, and the future by which that caller is answered."""

    work: Callable[[Any], Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def run(self, transaction: Transaction) -> None:
        """One that refuses (a `GatewayError`) has written nothing, and costs the others nothing."""
        self.error = None
        try:
            self.result = self.work(transaction)
        except GatewayError as refusal:
            self.error = refusal


def resolve(units: Sequence[Unit]) -> None:
    """Answer the callers; in their own event loop."""
    for unit in units:
        if unit.future.done():  # the caller was cancelled; the commit stands
            continue
        if unit.error is not None:
            unit.future.set_exception(unit.error)
        else:
            unit.future.set_result(unit.result)
