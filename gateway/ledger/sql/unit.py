"""A unit of work on its way through a group-commit writer, whichever database it writes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

from gateway.errors import GatewayError
from gateway.ledger.sql.transaction import Transaction

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """Work on one item that costs less when a transaction does it for many of them.

    `do` is given the items that stand side by side in a group, in their order, and gives each its result, or
    the refusal that its caller gets. One that is refused has written nothing.
    """

    __slots__ = ("do", "item")

    def __init__(
        self, do: Callable[[Transaction, Sequence[Item]], Sequence[Result | GatewayError]], item: Item
    ) -> None:
        self.do = do
        self.item = item

    def __call__(self, tx: Transaction) -> Result:
        """The same for one alone. Raises the refusal."""
        (end,) = self.do(tx, (self.item,))
        if isinstance(end, GatewayError):
            raise end
        return end


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


def run_all(units: Sequence[Unit], transaction: Transaction) -> None:
    """All units of a group, in their order; those that are done together at once.

    Raises what is no refusal: the group is to be undone then, and each unit to be run alone.
    """
    for do, beside in groupby(units, key=_together):
        if do is None:
            for unit in beside:
                unit.run(transaction)
        else:
            _run_together(do, list(beside), transaction)


def _together(unit: Unit) -> Callable[..., Any] | None:
    return unit.work.do if isinstance(unit.work, Together) else None


def _run_together(do: Callable[..., Any], units: list[Unit], transaction: Transaction) -> None:
    ends = do(transaction, [unit.work.item for unit in units])  # type: ignore[attr-defined]
    for unit, end in zip(units, ends, strict=True):
        refused = isinstance(end, GatewayError)
        unit.result, unit.error = (None, end) if refused else (end, None)


def resolve(units: Sequence[Unit]) -> None:
    """Answer the callers; in their own event loop."""
    for unit in units:
        if unit.future.done():  # the caller was cancelled; the commit stands
            continue
        if unit.error is not None:
            unit.future.set_exception(unit.error)
        else:
            unit.future.set_result(unit.result)
