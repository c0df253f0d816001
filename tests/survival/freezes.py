"""SIGSTOP past the lease, then SIGCONT: a process that wakes late writes nothing and sends nothing.

The partner does not deduplicate, and what is proven absent is sent again: a call that leaves late is a
second visa.
"""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.survival.center import Center
from tests.survival.home import Changes, Home
from tests.survival.row import Row, judge

POINTS: Final = (
    "after_intent",
    "after_claim",
    "after_call",
    "before_intent",
    "before_settle",
    "before_inquiry",
    "random",
)
#: After it nothing of the frozen process's is its own any more.
LEASE_S: Final = 2.0
DEADLINE_S: Final = 1.0
CONFIGURED: Final[Changes] = {
    "gateway.yaml": {"carrying.lease_s": LEASE_S, "intake.lease_s": LEASE_S},
    "destinations.yaml": {
        "destinations.*.deadline_s": DEADLINE_S,
        "destinations.*.connect_timeout_s": 0.5,
        "destinations.*.waiting.longest_s": 0.4,
        "destinations.foreign-affairs.resend_when_absent": True,
    },
}
#: Two deadlines until nothing is on its way, the partner's time, two inquiries, and a margin.
_ABSENT_AFTER_S: Final = 2 * DEADLINE_S + 0.5 + 0.5 + 1.0
_REACHED_WITHIN_S: Final = 4.0


@dataclass
class Freezes:
    home: Home
    center: Center
    points: Sequence[str] = POINTS
    #: How long each lasts; None: past the lease, or until an absent call has been sent again.
    frozen_s: float | None = None
    seed: int = 1
    by_point: Counter[str] = field(default_factory=Counter)

    def run(self, freezes: int, *, seconds: float | None = None) -> Row:
        self._random = random.Random(self.seed)
        began = time.monotonic()
        for number in range(self.home.gateways):
            self.home.start(number)
        for number, point in zip(range(freezes), itertools.cycle(self.points), strict=False):
            if seconds is not None and time.monotonic() - began > seconds:
                break
            self._freeze(number % self.home.gateways, point)
        self._recover()
        self.center.finish()
        return judge(
            self.center,
            "SIGSTOP past the lease, SIGCONT",
            sum(self.by_point.values()),
            by_point=dict(self.by_point),
            leases_lost=self.home.logged("lease_lost"),
            seconds=round(time.monotonic() - began),
        )

    def _freeze(self, victim: int, point: str) -> None:
        self.home.kill(victim)
        process = self.home.start(
            victim, None if point == "random" else f"{point}:{self._passes(point)}:stop"
        )
        self.center.towards = victim
        self.center.submit_aside()
        ends = time.monotonic() + (
            self._random.uniform(0.02, 0.3) if point == "random" else _REACHED_WITHIN_S
        )
        while not process.stands_still() and time.monotonic() < ends:
            time.sleep(0.005)
        self.by_point[point if process.stands_still() else "random"] += 1
        process.signal(signal.SIGSTOP)
        time.sleep(self._lasts_s())
        process.signal(signal.SIGCONT)
        time.sleep(DEADLINE_S)

    def _passes(self, point: str) -> int:
        return 1 if "inquiry" in point or "claim" in point else self._random.randint(1, 6)

    def _lasts_s(self) -> float:
        if self.frozen_s is not None:
            return self.frozen_s
        return LEASE_S + 0.5 if self.home.gateways == 1 else _ABSENT_AFTER_S

    def _recover(self) -> None:
        self.center.towards = None
        for number in range(self.home.gateways):
            if not self.home.forked[number].alive():
                self.home.start(number)


def options() -> dict[str, Any]:
    """What a home needs for this row."""
    return {"foreign_affairs": "can_be_asked", "changes": (CONFIGURED,), "latency_ms": 50}
