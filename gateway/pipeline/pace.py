"""How many messages to carry at once: as many as the event loop can serve without keeping others waiting.

With slow partners messages mostly wait, and many may be in flight. With fast ones the processor is the limit:
more in flight would not carry more, only make every request to the loop (a center asking for its batch's
status) queue behind them. So the loop's own lag decides, additive increase and multiplicative decrease.
"""

from __future__ import annotations

import asyncio
from typing import Final

_LOOK_EVERY_S: Final = 0.02
_LAG_S: Final = 0.008
_FLOOR: Final = 8
_STEP: Final = 4
_CUT: Final = 0.8


def next_limit(limit: int, lag_s: float, ceiling: int) -> int:
    """The limit after a look at the loop: lower when it lagged, else higher, never below the floor."""
    if lag_s > _LAG_S:
        return max(min(_FLOOR, ceiling), int(limit * _CUT))
    return min(ceiling, limit + _STEP)


class Pace:
    """The limit in force. `keep` adjusts it for as long as it runs."""

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self.limit = min(ceiling, 4 * _FLOOR)

    async def keep(self) -> None:
        """Measure the loop's lag again and again."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_EVERY_S
            await asyncio.sleep(_LOOK_EVERY_S)
            self.limit = next_limit(self.limit, loop.time() - due, self._ceiling)
