"""What processes used, by Linux' own books: CPU, memory, bytes written; and what others took meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Components:
    """The roots of the process trees that are counted, one or several of a component."""

    roots: Mapping[str, int | Sequence[int]]

    def cpu_s(self) -> dict[str, float]:
        """User and system time of each so far, processes that ended included."""
        return {name: sum(map(_spent_s, self._pids(name))) for name in self.roots}

    def written_bytes(self) -> dict[str, int]:
        """What each caused to be written to disks so far, processes that ended included."""
        return {name: sum(map(_written_bytes, self._pids(name))) for name in self.roots}

    def peak_mb(self) -> dict[str, float]:
        """The most memory that each process of each ever had resident, added up.

        Pages that processes share are counted for each of them.
        """
        return {name: round(sum(map(_peak_kb, self._pids(name))) / 1024, 1) for name in self.roots}

    def _pids(self, name: str) -> list[int]:
        given = self.roots[name]
        return [pid for root in ([given] if isinstance(given, int) else given) for pid in tree(root)]


@dataclass(frozen=True, slots=True)
class Moment:
    """What the machine and this process' tree had used by then, in seconds of CPU."""

    at_s: float
    busy_s: float
    ours_s: float


def moment() -> Moment:
    """Now. Ours is whatever this process started, and itself."""
    return Moment(time.monotonic(), _busy_s(), sum(map(_spent_s, tree(os.getpid()))))


def foreign_share(first: Moment, last: Moment, cores: int) -> float:
    """The share of all cores' time that went to processes other than ours, 0 to 1."""
    foreign = (last.busy_s - first.busy_s) - (last.ours_s - first.ours_s)
    return max(0.0, foreign / (cores * max(last.at_s - first.at_s, 1e-6)))


def tree(root: int) -> list[int]:
    """A process and its descendants; one that ends meanwhile is left out."""
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                ahead += map(int, task.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _spent_s(pid: int) -> float:
    """With children that it waited for (proc(5), fields 14 to 17 of stat)."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _written_bytes(pid: int) -> int:
    """With children that it waited for (proc(5), io). 0 where this user may not look."""
    return _field(_read(pid, "io"), "write_bytes:")


def _peak_kb(pid: int) -> int:
    return _field(_read(pid, "status"), "VmHWM:")


def _field(text: str, name: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)


def _read(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def _busy_s() -> float:
    """Of all cores, since the start: everything but idle and waiting for disks (proc(5), stat)."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS
