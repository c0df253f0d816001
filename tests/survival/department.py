"""A department that does not give up: commands are sent until confirmed, events kept by first sight."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.bus.department import Department, PrivateKeys
from gateway.bus.link import Broker
from gateway.errors import Unavailable
from gateway.web.tokens import demo_key_path

#: An inspection is told to two departments: one command, two events.
KIND: Final = "inspection.report"
RECEIVERS: Final = ("licensing", "pilgrim-services")
_PAUSE_S: Final = 0.05
_BURST: Final = 50
_BETWEEN_BURSTS_S: Final = 0.3


def keys_of(party: str, data: Path) -> PrivateKeys:
    return PrivateKeys.load(demo_key_path(data, party), data / "keys" / "encryption" / f"{party}.pem")


@dataclass
class Sender:
    """Sends commands in bursts, each again under its id until the broker has it.

    It ends once `count` are sent and `enough` is set.
    """

    url: str
    keys: PrivateKeys
    count: int
    confirmed: list[str] = field(default_factory=list)
    repeated: int = 0
    enough: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with _patient(self.url, RECEIVERS[0], self.keys) as department:
            for number in itertools.count():
                if self.stopping.is_set() or (number >= self.count and self.enough.is_set()):
                    return
                self._send(department, number)
                if number % _BURST == _BURST - 1:
                    self.stopping.wait(_BETWEEN_BURSTS_S)

    def _send(self, department: Department, number: int) -> None:
        body = inspection(number)
        while not self.stopping.is_set():
            try:
                department.send(KIND, body, id=f"command-{number}")
            except Unavailable:
                self.repeated += 1
                self.stopping.wait(_PAUSE_S)
            else:
                self.confirmed.append(body["report_id"])
                return


@dataclass
class Listener:
    """Reads a department's queue for ever; what it has seen before only counts as a repetition."""

    url: str
    party: str
    keys: PrivateKeys
    seen: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with _patient(self.url, self.party, self.keys) as department:
            while not self.stopping.is_set():
                try:
                    for event in department.events(quiet_s=0.5):
                        self.repeated += event.id in self.seen
                        self.seen.setdefault(event.id, event.sequence)
                except Unavailable:
                    self.stopping.wait(_PAUSE_S)


class _patient(Department):  # noqa: N801 - reads as a phrase where it is used
    """Opened by its first use: the broker may be away just now."""

    def __init__(self, url: str, party: str, keys: PrivateKeys) -> None:
        broker = Broker(url, connect_timeout_s=2.0, confirm_timeout_s=5.0)
        super().__init__(broker, party, keys)

    def __enter__(self) -> _patient:
        return self


def inspection(number: int) -> dict[str, Any]:
    return {
        "report_id": f"INS-{number:06}",
        "revision": 1,
        "licensee_id": "LIC-1001",
        "package_id": "PKG-3001",
        "group_number": "GRP-4001",
        "visited_at": "2026-07-03T16:30:00+03:00",
        "findings": [{"item": "Housing in Makkah", "complies": True}],
    }


def aside(run: Callable[[], None]) -> threading.Thread:
    """`run` in a thread."""
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def settled(done: Callable[[], bool], progress: Callable[[], int], still_s: float) -> bool:
    """Whether it came true before `progress` stood still for so long."""
    last, ends = progress(), time.monotonic() + still_s
    while not done():
        if (now := progress()) != last:
            last, ends = now, time.monotonic() + still_s
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


def until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Whether it came true in time."""
    ends = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True
