"""What is done about keys beside messages: rotations and shreddings that were begun are ended.

They were begun by an operator, by a new day, or by a process that died in the middle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.observe.log import log
from gateway.pipeline import rotate, shred
from gateway.pipeline.engine import Engine

_LOOKED_FOR_EVERY_S: Final = 0.5
_AFTER_A_FAILURE_S: Final = 5.0


async def keep_up(in_force: Callable[[], Engine]) -> None:
    """Go on with whatever is unfinished, for ever."""
    while True:
        engine = in_force()
        try:
            await shred.go_on(engine)
            await rotate.go_on(engine)
        except Exception:  # tried again in a moment: what is done of it stays done
            log.exception("upkeep_failed", action="upkeep_failed")
            await asyncio.sleep(_AFTER_A_FAILURE_S)
        await asyncio.sleep(_LOOKED_FOR_EVERY_S)
