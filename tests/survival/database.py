"""PostgreSQL ended at once (SIGQUIT: no checkpoint, clients cut off) and connections reset, under load."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from typing import Final

from tests.faults.proxy import Cut, FaultProxy
from tests.survival.center import Center
from tests.survival.department import until
from tests.survival.home import Home, Servers
from tests.survival.row import Row, judge

_CENTERS: Final = 3
_CUT_WITHIN_S: Final = 2


@dataclass
class Restarts:
    """`proxy` stands between the gateways and the server: resets leave the end of a COMMIT open."""

    home: Home
    center: Center
    servers: Servers
    proxy: FaultProxy
    cuts_each: int = 4
    seed: int = 1
    rest_s: float = 90

    def run(self, restarts: int, *, seconds: float | None = None) -> Row:
        self._random = random.Random(self.seed)
        began, done = time.monotonic(), 0
        for number in range(self.home.gateways):
            self.home.start(number)
        for _ in range(_CENTERS):
            self.center.keep_sending(0.05)
        for _ in range(restarts):
            if seconds is not None and time.monotonic() - began > seconds:
                break
            self._cut_connections()
            self._restart()
            done += 1
        time.sleep(self._random.uniform(0.3, 0.6))
        self.center.stop()
        for number in range(self.home.gateways):
            if not self.home.forked[number].alive():
                self.home.start(number)
        logged = self.home.logged
        return judge(
            self.center,
            "PostgreSQL ended at once and restarted, connections reset",
            done,
            rest_s=self.rest_s,
            connections_reset=self.proxy.resets,
            commits_cut=self.proxy.cuts,
            commits_resolved={
                outcome: logged(f'"action": "commit_resolved", "outcome": "{outcome}"')
                for outcome in ("kept", "undone")
            },
            seconds=round(time.monotonic() - began),
        )

    def _restart(self) -> None:
        time.sleep(self._random.uniform(0.05, 0.5))
        self.servers.postgresql.stop(signal.SIGQUIT)
        self.servers.postgresql.start()

    def _cut_connections(self) -> None:
        """Whatever is said at some moment, then the next COMMIT, which arrives in half of the cases.

        On a new connection, where it goes by its name: later it is a prepared statement's number.
        """
        for number in range(self.cuts_each):
            time.sleep(self._random.uniform(0.02, 0.2))
            self.proxy.cut = Cut(b"COMMIT", arrives=number % 2 == 0)
            self.proxy.reset()
            until(lambda: self.proxy.cut is None, _CUT_WITHIN_S)
        self.proxy.cut = None
