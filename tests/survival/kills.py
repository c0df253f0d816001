"""SIGKILL: the gateway at every named point and at random moments, beside a client that does not give up."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.observe.crash import POINTS
from tests.survival.center import Center
from tests.survival.home import SERVERS, Home
from tests.survival.row import Row, judge

#: The points that a batch of visas passes.
VISA_POINTS: Final = tuple(
    point for point in POINTS if point not in ("after_take", "before_mark", "before_ack")
)
#: Each of them, and any moment.
EVERYWHERE: Final = (*VISA_POINTS, "random", "random")
#: Those around the call that must not be repeated.
AROUND_THE_CALL: Final = ("after_intent", "after_call", "before_settle", "after_settle", "random")
#: A process whose point is not reached is killed all the same.
_PATIENCE_S: Final = 3.0
#: Batches on their way at the same time: there is something to interrupt, and no growing heap of it.
_SENDING: Final = 3


@dataclass
class Kills:
    """So many kills; with several gateways the others go on meanwhile."""

    home: Home
    center: Center
    points: Sequence[str] = EVERYWHERE
    seed: int = 1
    #: After so many kills the roles of victim and bystander change.
    turn: int = 8
    by_point: Counter[str] = field(default_factory=Counter)

    def run(self, kills: int, *, seconds: float | None = None, rest_s: float = 90) -> Row:
        """`seconds` ends it before all kills are done. The row counts what was done."""
        self._random = random.Random(self.seed)
        began = time.monotonic()
        for number in range(1, self.home.gateways):
            self.home.start(number, wait=False)
        for number, point in zip(range(kills), itertools.cycle(self.points), strict=False):
            if seconds is not None and time.monotonic() - began > seconds:
                break
            self._kill(self._victim(number), point)
        self._all_up()
        self.center.finish(120)
        return judge(
            self.center,
            f"SIGKILL of the gateway, partner {self.home.foreign_affairs}",
            sum(self.by_point.values()),
            rest_s=rest_s,
            by_point=dict(self.by_point),
            seconds=round(time.monotonic() - began),
        )

    def _victim(self, number: int) -> int:
        return number // self.turn % self.home.gateways

    def _kill(self, victim: int, point: str) -> None:
        if victim in self.home.forked and self.home.forked[victim].alive():
            self.home.kill(victim)  # an unarmed bystander that becomes the victim
            self._others_up(victim)
        self.home.start(victim, None if point == "random" else self._armed(point))
        self.center.towards = victim if "accept" in point or "lines" in point else None
        if self.center.sending() < _SENDING:
            self.center.submit_aside()
        limit_s = self._random.uniform(0.05, 1.0) if point == "random" else _PATIENCE_S
        reached = self.home.forked[victim].ended_within(limit_s)
        self.by_point[point if reached else "random"] += 1
        self.home.kill(victim)
        self.center.towards = None

    def _others_up(self, victim: int) -> None:
        for number in set(range(self.home.gateways)) - {victim}:
            if number not in self.home.forked or not self.home.forked[number].alive():
                self.home.start(number, wait=False)

    def _armed(self, point: str) -> str:
        few = "accept" in point or "inquiry" in point or "lines" in point
        most = 1 if few else 5 if self.home.engine == SERVERS else 20
        return f"{point}:{self._random.randint(1, most)}"

    def _all_up(self) -> None:
        for number in range(self.home.gateways):
            if number not in self.home.forked or not self.home.forked[number].alive():
                self.home.start(number)
