"""How many messages to work on at once: as many as the event loop can serve without keeping others waiting.

Those whose calls are with their partners are not counted: they only wait, and many may. For the others the
processor is the limit: more would not be carried sooner, only make every request to the loop (a center asking
for its batch's status) queue behind them. So what decides is what a newcomer waits behind: the processor's
time of one round of the loop. A round that took long because other processes had the processor tells nothing:
fewer messages would not make it shorter.

Multiplicative decrease, and increase for as long as the limit is what messages wait for: where they stand in
line for a place at their partners, more of them would only make the line longer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from gateway.pipeline.protection import Protection

_LOOK_EVERY_S: Final = 0.02
_ROUND_S: Final = 0.008
_FLOOR: Final = 8
_BEGIN: Final = 32
_GROWTH: Final = 1.25
_CUT: Final = 0.8


def next_limit(limit: int, round_s: float, ceiling: int, *, binding: bool = True) -> int:
    """The limit after a look: lower when a round took long, else higher where messages wait for it."""
    if round_s > _ROUND_S:
        return min(limit, max(_FLOOR, int(limit * _CUT)))
    return min(ceiling, int(limit * _GROWTH) + 1) if binding else limit


class Pace:
    """The limit in force. `keep` adjusts it for as long as it runs."""

    def __init__(self, ceiling: int, protection: Protection) -> None:
        self._ceiling = ceiling
        self._protection = protection
        self.limit = min(ceiling, _BEGIN)
        #: Whether the limit kept a message waiting since the last look.
        self.reached = False

    async def keep(self) -> None:
        """For ever."""
        while True:
            await self.look()

    async def look(self) -> None:
        """After a moment, adjust the limit to what the loop's rounds take."""
        await asyncio.sleep(_LOOK_EVERY_S)
        began = time.thread_time()
        await asyncio.sleep(0)
        round_s = time.thread_time() - began
        binding = self.reached and not self._protection.in_line
        self.limit = next_limit(self.limit, round_s, self._ceiling, binding=binding)
        self.reached = False
