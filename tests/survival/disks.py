"""The ledger's disk is full, fails or is read-only: intake stops and says so, and comes back by itself.

What was being carried goes on too, long before its lease ends: calls take so long that some always are under
way when the disk fails, and what they came to is committed afterwards.
"""

from __future__ import annotations

import errno
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.faults.disks import FailingWrites, SmallDisk
from tests.survival.center import Center
from tests.survival.department import until
from tests.survival.home import SERVERS, Changes, Home, answers
from tests.survival.row import Row, judge

#: Promised: a clear 503 within the first, accepted again within the second, and what was accepted before is
#: final within the third.
STOPS_WITHIN_S: Final = 1.0
RECOVERS_WITHIN_S: Final = 5.0
CARRIED_ON_WITHIN_S: Final = 5.0
#: A lease as it is shipped: nothing that waits for its end is quick enough.
LEASE: Final[Changes] = {"gateway.yaml": {"carrying.lease_s": 60}}
LATENCY_MS: Final = 150
_EVERY_S: Final = 0.05
#: Less than the partners take, while the disk is well: what is late is late by the disk, not by a queue.
_LINES_A_SECOND: Final = 100
_LASTS_S: Final = 3.0
_GIVES_UP_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One batch: when it was sent and answered, and what."""

    began: float
    ended: float
    status: int
    code: str

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return self.status == 503


@dataclass
class Prober:
    """Sends a small batch again and again, each once: what it is answered, and when."""

    center: Center
    probes: list[Probe] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    #: Whether the disk is broken: then it asks as soon as it is answered.
    broken: bool = False

    def _pause_s(self) -> float:
        return _EVERY_S if self.broken else max(_EVERY_S, self.center.lines / _LINES_A_SECOND)

    def run(self) -> None:
        number = 0
        while not self.stopping.wait(self._pause_s()):
            number += 1
            began, key = time.monotonic(), f"probe-{number}"
            answer = self.center.post(self.center.batch(number), key)
            body = answer.body if isinstance(answer.body, dict) else {}
            probe = Probe(began, time.monotonic(), answer.status, body.get("code", ""))
            if probe.taken:
                self.center.receipts[key] = body["batch_id"]
            self.probes.append(probe)

    def since(self, at: float, before: float = math.inf) -> list[Probe]:
        """Those that were sent in this time."""
        return [probe for probe in list(self.probes) if at <= probe.began < before]


@dataclass
class DiskFaults:
    """`break_` and `mend` are the fault; one gateway serves."""

    home: Home
    center: Center
    name: str
    break_: Callable[[], None]
    mend: Callable[[], None]
    stopped_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    carried_on_s: list[float] = field(default_factory=list)
    #: Batches that were open when the fault was mended.
    held_up: int = 0
    codes: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def run(self, times: int, *, seconds: float | None = None, rest_s: float = 90) -> Row:
        began, done = time.monotonic(), 0
        self.home.start()
        prober = Prober(self.center)
        thread = threading.Thread(target=prober.run, daemon=True)
        thread.start()
        while done < times and (seconds is None or time.monotonic() - began < seconds):
            time.sleep(1.0)
            self._once(prober)
            done += 1
        prober.stopping.set()
        thread.join(30)
        if not self.home.forked[0].alive():
            self.broken.append("the gateway ended")
            self.home.start()
        return judge(
            self.center,
            f"disk: {self.name}",
            done,
            rest_s=rest_s,
            broken=self.broken,
            held_up=self.held_up,
            codes=sorted(self.codes),
            stopped_within_s=round(max(self.stopped_s, default=0.0), 2),
            recovered_within_s=round(max(self.recovered_s, default=0.0), 2),
            carried_on_within_s=round(max(self.carried_on_s, default=0.0), 2),
            seconds=round(time.monotonic() - began),
        )

    def _once(self, prober: Prober) -> None:
        self.break_()
        at = time.monotonic()
        prober.broken = True
        until(lambda: any(probe.refused for probe in prober.since(at)), _GIVES_UP_S)
        time.sleep(_LASTS_S)
        not_ready = self._told_by_readiness()
        held_up = self.center.open_batches(set(self.center.receipts.values()))
        ending = time.monotonic()
        self.mend()
        mended = time.monotonic()
        prober.broken = False
        self._wait_for(held_up)
        self.carried_on_s.append(time.monotonic() - mended)
        until(lambda: any(probe.taken for probe in prober.since(mended)), _GIVES_UP_S)
        self._note(prober, at, ending, mended, not_ready)

    def _told_by_readiness(self) -> bool:
        """A server whose disk is full still takes what fits into its pages, a probe for instance."""
        fickle = self.home.engine == SERVERS
        return until(lambda: not answers(self.home.admin() + "/readyz"), _GIVES_UP_S if fickle else 0)

    def _wait_for(self, held_up: set[str]) -> None:
        """Until these batches are completed, or that is too late anyway."""
        self.held_up += len(held_up)
        ends = time.monotonic() + CARRIED_ON_WITHIN_S + 1
        while held_up and time.monotonic() < ends:
            time.sleep(_EVERY_S)
            held_up = self.center.open_batches(held_up)

    def _note(self, prober: Prober, at: float, ending: float, mended: float, not_ready: bool) -> None:
        during = prober.since(at, ending)
        back = next((probe.began for probe in prober.since(mended) if probe.taken), mended + _GIVES_UP_S)
        late = [probe for probe in during if probe.taken and probe.began >= at + STOPS_WITHIN_S]
        unclear = {probe.status for probe in during if not probe.taken and not probe.refused}
        self.codes |= {probe.code for probe in during if probe.refused}
        self.stopped_s.append(_stopped_s(during, at))
        self.recovered_s.append(back - mended)
        if self.stopped_s[-1] > STOPS_WITHIN_S:
            self.broken.append(f"no 503 within {STOPS_WITHIN_S:g} s")
        if self.recovered_s[-1] > RECOVERS_WITHIN_S:
            self.broken.append(f"not accepted again within {RECOVERS_WITHIN_S:g} s")
        if self.carried_on_s[-1] > CARRIED_ON_WITHIN_S:
            self.broken.append(f"what was accepted was not final within {CARRIED_ON_WITHIN_S:g} s")
        if unclear:
            self.broken.append(f"answered {sorted(unclear)}")
        if late:
            self.broken.append("accepted while nothing could be written")
        if not not_ready:
            self.broken.append("/readyz did not tell")


def _stopped_s(during: list[Probe], at: float) -> float:
    """For how long something was still taken, and then the time of the first refusal."""
    refusal = next((number for number, probe in enumerate(during) if probe.refused), None)
    if refusal is None:
        return _GIVES_UP_S
    taken_until = max((probe.began for probe in during[:refusal] if probe.taken), default=at)
    return taken_until - at + during[refusal].ended - during[refusal].began


def filled(home: Home, center: Center, disk: SmallDisk) -> DiskFaults:
    return DiskFaults(home, center, "full", disk.fill, disk.free)


def failing(home: Home, center: Center, writes: FailingWrites, number: int) -> DiskFaults:
    """Every write of the gateway fails with this `errno`."""

    def pid() -> int:
        return home.forked[0].pid

    return DiskFaults(
        home, center, errno.errorcode[number], lambda: writes.fail(pid(), number), lambda: writes.mend(pid())
    )
