"""What Python's garbage collector costs, by its settings: CPU of carrying an application.

`python -m benchmarks.collector [APPLICATIONS]` changes the settings every half second within one run, in
turns whose order is drawn, so that others on the machine disturb all of them alike. Prints the median, the
least, and how many slices there were.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.carry import carried
from gateway.pipeline.worker import Worker

_SETTLES_S: Final = 0.1
_SLICE_S: Final = 0.5
#: Fewer say nothing.
_FEWEST: Final = 50


def _set(*, freeze: bool, first: int) -> None:
    if freeze:
        gc.freeze()
    else:
        gc.unfreeze()
    gc.set_threshold(first, 10, 10)


#: The first is Python's own (3.11).
_SETTINGS: Final[Mapping[str, Callable[[], None]]] = {
    "as it is: 700": lambda: _set(freeze=False, first=700),
    "frozen, 700": lambda: _set(freeze=True, first=700),
    "frozen, 5,000": lambda: _set(freeze=True, first=5_000),
    "frozen, 20,000": lambda: _set(freeze=True, first=20_000),
    "frozen, 100,000": lambda: _set(freeze=True, first=100_000),
}


class CountingWorker(Worker):
    """Knows how many messages have come to rest, and changes the settings while it carries."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.rested = 0

    def _came_to_rest(self, task: asyncio.Task[None]) -> None:
        self.rested += 1
        super()._came_to_rest(task)

    async def run(self) -> None:
        turns = asyncio.create_task(self._take_turns())
        try:
            await super().run()
        finally:
            turns.cancel()

    async def _take_turns(self) -> None:
        order, by_lot = list(_SETTINGS.items()), random.Random(1)
        while True:
            by_lot.shuffle(order)
            for name, put_in_force in order:
                put_in_force()
                await asyncio.sleep(_SETTLES_S)
                cpu_s, rested = time.process_time(), self.rested
                await asyncio.sleep(_SLICE_S)
                if (count := self.rested - rested) >= _FEWEST:
                    SLICES[name].append(1000 * (time.process_time() - cpu_s) / count)


#: CPU ms an application, by setting.
SLICES: Final[defaultdict[str, list[float]]] = defaultdict(list)


def main() -> None:
    carried(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, worker=CountingWorker)
    for name, found in SLICES.items():
        print(f"{name:18} {statistics.median(found):.3f} ms, least {min(found):.3f}, {len(found)} slices")


if __name__ == "__main__":
    main()
