"""May a call be repeated now? Repetitions are a share of first calls, so that they never add up to a storm.

A partner in trouble fails many first calls; without a bound each of them comes back, again and again, and
keeps it down. What is over the budget is put off, not dropped.
"""

from __future__ import annotations

from gateway.message import Micros
from gateway.policies.breaker import Window
from gateway.settings.protection import RetryBudget


def may_repeat(first: int, repeated: int, budget: RetryBudget) -> bool:
    """Given the calls of the last `window_s` seconds."""
    return repeated < budget.floor_per_s * budget.window_s + budget.share * first


class RetryAccount:
    """The calls of one process to one destination."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls = Window()

    def note(self, now: Micros, window_us: int, *, repeated: bool) -> None:
        """A call is sent. `window_us` is the budget's, in microseconds."""
        self._calls.count(now, window_us, not repeated, repeated)

    def allows(self, now: Micros, budget: RetryBudget) -> bool:
        """Whether one more repetition is within the budget."""
        first, second = self._calls.sums(now, round(budget.window_s * 1_000_000))
        return may_repeat(first, second, budget)
