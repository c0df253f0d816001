"""Wake-up: inside one process, and between the processes of one group on a machine.

A hint decides nothing: whoever hears one claims from the ledger, in the ledger's own fair order. It may be
lost, doubled or late; what is due is found by looking, too (`carrying.sweep_interval_s`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

#: Told at once of one piece of news, however large.
MOST_AT_ONCE: Final = 16


def helpers_wanted(count: int, share: int, *, carries: bool) -> int:
    """How many times to ask others for help when `count` messages became due here.

    Each time one process takes `share` of them; the first share needs no others where we carry ourselves.
    """
    left = count - share if carries else count
    return 0 if left <= 0 else min(MOST_AT_ONCE, -(-left // share))


class Hints:
    """Inside one process (`ports.WorkHints`)."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self, count: int = 1, ids: Sequence[str] = ()) -> None:
        if count or ids:
            self._event.set()

    async def wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        finally:
            self._event.clear()


class GroupHints:
    """Inside one process, and to and from the others of its group (`ports.WorkHints`).

    They share a pipe. A byte in it asks for one of them to claim; whoever has nothing to carry reads it, so
    one that is full leaves it to another.
    """

    def __init__(self, local: Hints, pipe: tuple[int, int], *, share: int, carries: bool) -> None:
        """`pipe`: its ends, to read and to write without waiting. `carries`: whether this process claims."""
        self._local = local
        self._reads, self._writes = pipe
        self._share = share
        self._carries = carries

    def notify(self, count: int = 1, ids: Sequence[str] = ()) -> None:
        self._local.notify(count, ids)
        wanted = helpers_wanted(count, self._share, carries=self._carries)
        if wanted:
            with suppress(BlockingIOError):  # full: there are hints enough
                os.write(self._writes, bytes(wanted))

    async def wait(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._reads, self._hear)
        try:
            await self._local.wait(timeout_s)
        finally:
            loop.remove_reader(self._reads)

    def _hear(self) -> None:
        with suppress(BlockingIOError):  # another one was quicker
            if os.read(self._reads, 1):
                self._local.notify()
