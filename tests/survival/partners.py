"""A partner down, slow, dripping or talking rubbish: whoever does not need it notices nothing.

Visas need Foreign Affairs; activation checks need GOSI, and neither needs the other's. A proxy stands before
one of the two, and the ledger's own times tell how long the others took: before, meanwhile, and after.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tests.faults.proxy import FaultProxy, Weather
from tests.survival.center import Center
from tests.survival.home import SHORT, Changes, Home
from tests.survival.row import Row, judge

WEATHERS: Final[Mapping[str, Weather]] = {
    "down": Weather(refuse=True),
    "slow": Weather(latency_s=3.0),
    "dripping": Weather(latency_s=0.05, slice_bytes=1),
    "garbage": Weather(
        garbage=b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 6\r\n\r\n<html>"
    ),
}
#: Promised.
AT_MOST_SLOWER: Final = 2.0
BACK_WITHIN_S: Final = 30.0
OVER_BUDGET: Final = 1.2
#: Of Foreign Affairs' and of GOSI's outages, who is not concerned.
VICTIMS: Final = ("foreign-affairs", "gosi")
_EVERY_S: Final = 0.25
#: The p99 of so few is the slowest of them: below this it says more of the machine than of the gateway.
_NOISE_S: Final = 0.25
_CONCURRENCY: Final = 8
_MINIMUM_CALLS: Final = 10


def proxied(victim: str, proxy: FaultProxy) -> tuple[Changes, ...]:
    """The configuration of a home whose `victim` is reached through `proxy`."""
    return (
        SHORT,
        {
            "destinations.yaml": {
                f"destinations.{victim}.url": f"http://127.0.0.1:{proxy.port}/{victim}",
                f"destinations.{victim}.concurrency": _CONCURRENCY,
            }
        },
    )


@dataclass
class Checks:
    """The ministry asks again and again whether a licensee may work."""

    desk: Center
    asked: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        for number in itertools.count():
            if self.stopping.wait(_EVERY_S):
                return
            body = {"check_id": f"CHK-{number}", "version": 1, "licensee_id": "LIC-1002", "season": 1448}
            answer = self.desk.request(
                "POST",
                "/v1/messages/licensee.activation_check",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            if 200 <= answer.status < 300:
                self.asked.append(answer.body["message_id"])

    def times(self) -> dict[str, tuple[datetime, datetime | None]]:
        """When each was received and, if it is, done."""
        found = {}
        for id in self.asked:
            body = self.desk.request("GET", f"/v1/messages/{id}").body
            received = datetime.fromisoformat(body["received_at"])
            done = datetime.fromisoformat(body["updated_at"]) if body["state"] == "done" else None
            found[id] = (received, done)
        return found


def batch_times(center: Center) -> dict[str, tuple[datetime, datetime | None]]:
    """When each batch was accepted and, if it is, completed."""
    found = {}
    for id in list(center.receipts.values()):
        body = center.request("GET", f"/v1/batches/{id}").body
        done = body.get("completed_at")
        found[id] = (
            datetime.fromisoformat(body["accepted_at"]),
            None if done is None else datetime.fromisoformat(done),
        )
    return found


@dataclass
class PartnerFaults:
    home: Home
    center: Center
    proxy: FaultProxy
    victim: str
    weather: str

    def run(self, baseline_s: float, outage_s: float) -> Row:
        self.proxy.target_port = self.home.partners.ports["partners"]
        for number in range(self.home.gateways):
            self.home.start(number)
        checks = Checks(Center(self.home, party="licensing"))
        self.center.keep_sending(_EVERY_S)
        asking = threading.Thread(target=checks.run, daemon=True)
        asking.start()
        time.sleep(baseline_s)
        began, calls = datetime.now().astimezone(), self._calls()
        self.proxy.weather = WEATHERS[self.weather]
        if self.weather == "down":
            self.proxy.reset()
        time.sleep(outage_s)
        called = self._calls() - calls
        ended = datetime.now().astimezone()
        self.proxy.clear()
        checks.stopping.set()
        self.center.stop()
        asking.join(10)
        back_s = self._time_until_done(checks, ended)
        return self._judge(checks, began, ended, called, back_s, outage_s)

    def _concerned(self, checks: Checks) -> Callable[[], dict[str, tuple[datetime, datetime | None]]]:
        return (lambda: batch_times(self.center)) if self.victim == VICTIMS[0] else checks.times

    def _unconcerned(self, checks: Checks) -> Callable[[], dict[str, tuple[datetime, datetime | None]]]:
        return checks.times if self.victim == VICTIMS[0] else (lambda: batch_times(self.center))

    def _time_until_done(self, checks: Checks, ended: datetime) -> float:
        times = self._concerned(checks)
        limit = time.monotonic() + 2 * BACK_WITHIN_S
        found = times()
        while any(done is None for _, done in found.values()) and time.monotonic() < limit:
            time.sleep(0.2)
            found = times()
        last = max((done for _, done in found.values() if done is not None), default=ended)
        still_open = sum(done is None for _, done in found.values())
        return 2 * BACK_WITHIN_S if still_open else max(0.0, (last - ended).total_seconds())

    def _calls(self) -> int:
        """Attempts at the victim so far, of all gateways."""
        pattern = re.compile(
            rf'^gateway_delivery_attempts_total\{{[^}}]*destination="{self.victim}"[^}}]*\}} ([0-9.e+]+)$',
            re.M,
        )
        total = 0.0
        for number in range(self.home.gateways):
            with urllib.request.urlopen(self.home.admin(number) + "/metrics", timeout=10) as reply:
                total += sum(float(value) for value in pattern.findall(reply.read().decode()))
        return round(total)

    def _judge(
        self, checks: Checks, began: datetime, ended: datetime, calls: int, back_s: float, outage_s: float
    ) -> Row:
        times = self._unconcerned(checks)()
        before = _p99([done - at for at, done in times.values() if done is not None and at < began])
        meanwhile = _p99(
            [(done or ended) - at for at, done in times.values() if began <= at and (done or ended) >= at]
        )
        budget = self._budget(outage_s)
        broken = []
        if meanwhile > max(AT_MOST_SLOWER * before, _NOISE_S):
            broken.append(f"others took {meanwhile:.2f} s at p99, {before:.2f} s before")
        if back_s > BACK_WITHIN_S:
            broken.append(f"not back to normal within {BACK_WITHIN_S:g} s")
        if calls > OVER_BUDGET * budget:
            broken.append(f"{calls} calls during the outage, budget {budget}")
        return judge(
            self.center,
            f"partner {self.weather}",
            1,
            broken=broken,
            victim=self.victim,
            outage_s=outage_s,
            others_p99_s={"before": round(before, 3), "meanwhile": round(meanwhile, 3)},
            back_within_s=round(back_s, 1),
            calls=calls,
            budget=budget,
        )

    def _budget(self, outage_s: float) -> int:
        """Until the circuit opens: what is under way, and what it takes; then a probe each time it opens.

        The waits double from one second up to fifteen.
        """
        probes, wait_s, passed_s = 0, 1.0, 0.0
        while passed_s < outage_s:
            probes, passed_s, wait_s = probes + 1, passed_s + wait_s / 2, min(2 * wait_s, 15.0)
        return self.home.gateways * (_MINIMUM_CALLS + _CONCURRENCY) + probes


def _p99(durations: list[Any]) -> float:
    """In seconds; 0 of none."""
    ordered = sorted(duration.total_seconds() for duration in durations)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0
