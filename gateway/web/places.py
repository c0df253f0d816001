"""Places for what is received at the same time: so many in all, and of these a quarter for one party.

What is being received costs memory. Without a share of its own, a party that opens as much as it can would
shut out all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.web.problems import RateLimited

#: The part of all places that one party may have.
_SHARE: Final = 4


class Places:
    """Who has how many places right now."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, party: str, most: int) -> Iterator[None]:
        """A place of `party` among `most`. Raises `RateLimited` when all are taken, or its share is."""
        if self._taken.total() >= most or self._taken[party] >= max(1, most // _SHARE):
            raise RateLimited
        self._taken[party] += 1
        try:
            yield
        finally:
            self._leave(party)

    def _leave(self, party: str) -> None:
        self._taken[party] -= 1
        if not self._taken[party]:  # whoever has left is not remembered
            del self._taken[party]
