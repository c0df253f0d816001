"""Places for what is received at the same time: so many in all, and of these a quarter for one party.

What is being received costs memory. Without a share of its own, a party that opens as much as it can would
shut out all others. Where others have all places, whoever asks may stand in line for a moment: many centers
that send in the same minute are served one after the other, in place of being sent away to come again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from gateway.web.problems import RateLimited

#: The part of all places that one party may have.
_SHARE: Final = 4


class Places:
    """Who has how many places right now, and who waits for one. Used in one event loop."""

    def __init__(self) -> None:
        self._taken = 0
        #: By party: places, and requests in line.
        self._of: Counter[str] = Counter()
        self._line: deque[asyncio.Future[None]] = deque()

    @contextmanager
    def one(self, party: str, most: int) -> Iterator[None]:
        """A place of `party` among `most`. Raises `RateLimited` when all are taken, or its share is."""
        if self._taken >= most or self._line:
            raise RateLimited
        with self._share(party, most):
            self._taken += 1
            try:
                yield
            finally:
                self._hand_over()

    @asynccontextmanager
    async def soon(self, party: str, most: int, longest_s: float) -> AsyncIterator[None]:
        """The same, after standing in line so long at most, first come, first served."""
        with self._share(party, most):
            await self._turn(most, longest_s)
            try:
                yield
            finally:
                self._hand_over()

    @contextmanager
    def _share(self, party: str, most: int) -> Iterator[None]:
        """Those in line count as well."""
        if self._of[party] >= max(1, most // _SHARE):
            raise RateLimited
        self._of[party] += 1
        try:
            yield
        finally:
            self._of[party] -= 1
            if not self._of[party]:  # whoever has left is not remembered
                del self._of[party]

    async def _turn(self, most: int, longest_s: float) -> None:
        if self._taken < most and not self._line:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(longest_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # a place was handed over in this very moment
                self._hand_over()
            elif turn in self._line:
                self._line.remove(turn)
            if isinstance(error, TimeoutError):
                raise RateLimited from None
            raise

    def _hand_over(self) -> None:
        """A place is free: the next one in line has it."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1
