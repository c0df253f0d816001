"""What the processes that serve here use: CPU, memory, files. Read from /proc; elsewhere nothing is told.

Processes that serve together are told as one: a scrape reaches any of them, and its answer must not depend on
which.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.observe.exposition import counts_together

_PROC: Final = Path("/proc")
#: Of /proc/PID/stat, counted after the name in brackets (proc_pid_stat(5)): user and system time, of the
#: process and of its children that ended, and resident pages.
_CPU_TIMES: Final = slice(11, 15)
_RSS: Final = 21


@dataclass(frozen=True, slots=True)
class Used:
    """By one process, since its start or at the moment."""

    cpu_s: float = 0.0
    resident_bytes: int = 0
    open_files: int = 0


class ProcessesCollector(Collector):
    """Reads anew for each scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        return _families(())

    def collect(self) -> Iterable[Metric]:
        return _families([used for pid in _pids() if (used := _used(pid)) is not None])


def _families(found: Sequence[Used]) -> Iterable[Metric]:
    cpu = CounterMetricFamily("gateway_cpu_seconds", "CPU time of the processes that serve together")
    resident = GaugeMetricFamily("gateway_resident_memory_bytes", "Resident memory of those processes")
    files = GaugeMetricFamily("gateway_open_files", "Open files and sockets of those processes")
    if found:
        cpu.add_metric((), sum(used.cpu_s for used in found))
        resident.add_metric((), sum(used.resident_bytes for used in found))
        files.add_metric((), sum(used.open_files for used in found))
    return cpu, resident, files


def _pids() -> Sequence[int]:
    """Ours, or our supervisor's and those of its children."""
    if not counts_together():
        return (os.getpid(),)
    parent = os.getppid()
    try:
        children = (_PROC / f"{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]
    except OSError:
        return (os.getpid(),)


def _used(pid: int) -> Used | None:
    """None: it is gone, or there is no /proc."""
    folder = _PROC / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        files = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None
    # With that of ended children, so that the sum of a group never falls when one of it is replaced.
    ticks = sum(map(int, fields[_CPU_TIMES]))
    return Used(
        cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
        resident_bytes=int(fields[_RSS]) * os.sysconf("SC_PAGE_SIZE"),
        open_files=files,
    )
