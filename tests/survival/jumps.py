"""The wall clock jumps by an hour, ahead and back, under load: leases, order and the journal hold."""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass
from typing import Final

from tests.faults.clocks import JumpingClock
from tests.survival.center import Center
from tests.survival.department import until
from tests.survival.home import SERVERS, Home
from tests.survival.row import Row, judge

OFFSETS_S: Final = (0, 3600, 0, -3600, 3600, -3600)
_EVERY_S: Final = (0.3, 1.0)
#: Some batch is accepted by each time, but for a machine that is too busy for that.
_ACCEPTS_WITHIN_S: Final = 5.0
#: Some are put off: by a fault, a lost answer, a clearance that is pending, garbage.
ENDINGS: Final = ("00", "98", "93", "91", "95")
#: A gateway dies now and then: its leases were taken by another time than that in which they end.
_KILL_EVERY: Final = 5


@dataclass
class Jumps:
    """The spawner runs under `clock`."""

    home: Home
    center: Center
    clock: JumpingClock
    seed: int = 1

    def run(self, jumps: int, *, seconds: float | None = None, rest_s: float = 90) -> Row:
        drawn, done, began = random.Random(self.seed), 0, time.monotonic()
        for number in range(self.home.gateways):
            self.home.start(number)
        for _ in range(2):
            self.center.keep_sending(0.1)
        for done, offset_s in zip(range(1, jumps + 1), itertools.cycle(OFFSETS_S), strict=False):
            accepted = len(self.center.receipts)
            self._jump(offset_s)
            time.sleep(drawn.uniform(*_EVERY_S))
            until(lambda accepted=accepted: len(self.center.receipts) > accepted, _ACCEPTS_WITHIN_S)  # type: ignore[misc]
            if done % _KILL_EVERY == 0:
                self.home.kill(done % self.home.gateways)
                self.home.start(done % self.home.gateways)
            if seconds is not None and time.monotonic() - began > seconds:
                break
        self._jump(self._last())
        self.center.stop()
        return judge(
            self.center,
            "The wall clock jumps by an hour",
            done,
            rest_s=rest_s,
            seconds=round(time.monotonic() - began),
        )

    def _last(self) -> int:
        """A server's clock did not jump. By the gateway's own, what was put off while it was ahead is due."""
        return min(OFFSETS_S) if self.home.engine == SERVERS else max(OFFSETS_S)

    def _jump(self, offset_s: int) -> None:
        self.clock.jump_to(offset_s)
        self.center.ahead_s = offset_s
