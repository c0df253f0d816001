"""`/metrics`: the process's own counters, and gauges that are read from the ledger for each scrape.

Gauges count messages that are not final. One process of an installation exports them; counters add up.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

#: Read by prometheus_client when it is imported: where the processes of a group count together.
GROUP_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"

#: Of a partner's circuit.
CIRCUIT_STATES: Final = ("closed", "open", "half_open")
#: (kind, state, count, when the oldest was received in seconds since the epoch)
Waiting = tuple[str, str, int, float]


@dataclass(frozen=True, slots=True)
class LedgerNumbers:
    """What the ledger says at one moment."""

    waiting: Sequence[Waiting] = ()
    #: Open calls with an unknown outcome by destination; every destination is there, mostly with 0.
    uncertain: Mapping[str, int] = field(default_factory=dict)
    audit_head: int | None = None
    #: The state in force of each destination's circuit.
    circuits: Mapping[str, str] = field(default_factory=dict)
    #: Whether an operator's pause is in force.
    paused: Mapping[str, bool] = field(default_factory=dict)


class LedgerCollector(Collector):
    """Turns the latest `numbers` into gauges. None: the ledger can't be read, and nothing is claimed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.numbers: LedgerNumbers | None = None
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        return _families(LedgerNumbers())

    def collect(self) -> Iterable[Metric]:
        yield _build_info()
        if self.numbers is not None:
            yield from _families(self.numbers)


def _families(numbers: LedgerNumbers) -> Iterable[Metric]:
    messages = GaugeMetricFamily("gateway_messages", "Messages that are not final", labels=("kind", "state"))
    oldest = GaugeMetricFamily(
        "gateway_oldest_message_timestamp_seconds",
        "When the oldest message that is not final was received",
        labels=("kind", "state"),
    )
    for kind, state, count, received_at in numbers.waiting:
        messages.add_metric((kind, state), count)
        oldest.add_metric((kind, state), received_at)
    uncertain = GaugeMetricFamily(
        "gateway_uncertain", "Calls whose outcome is not known", labels=("destination",)
    )
    for destination, count in numbers.uncertain.items():
        uncertain.add_metric((destination,), count)
    head = GaugeMetricFamily("gateway_audit_head_sequence", "Number of the latest audit entry")
    if numbers.audit_head is not None:
        head.add_metric((), numbers.audit_head)
    return (messages, oldest, uncertain, head, *_partners(numbers))


def _partners(numbers: LedgerNumbers) -> Iterable[Metric]:
    circuit = GaugeMetricFamily(
        "gateway_circuit_state",
        "1 for the state in force: a partner is called, is not, or is tried by one call",
        labels=("destination", "state"),
    )
    for destination, in_force in numbers.circuits.items():
        for state in CIRCUIT_STATES:
            circuit.add_metric((destination, state), state == in_force)
    paused = GaugeMetricFamily(
        "gateway_destination_paused", "1 while an operator's pause is in force", labels=("destination",)
    )
    for destination, is_paused in numbers.paused.items():
        paused.add_metric((destination,), is_paused)
    return circuit, paused


def _build_info() -> Metric:
    info = GaugeMetricFamily("gateway_build_info", "1, for its labels", labels=("version", "python"))
    info.add_metric((gateway_version(), platform.python_version()), 1)
    return info


def gateway_version() -> str:
    """The installed version, or `unknown` where the package is run from its source only."""
    try:
        return version("umrah-gateway")
    except PackageNotFoundError:
        return "unknown"


def counts_together() -> bool:
    """Whether this process counts in files that it shares with the others of its group."""
    return GROUP_DIRECTORY in os.environ


def counted(registry: CollectorRegistry) -> Collector:
    """What was counted: by this process, or by all of its group together, dead ones included.

    The processes of a group share files, in the directory that their supervisor names.
    """
    if not counts_together():
        return registry
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together


def expose(parts: Sequence[Collector], accept: str | None) -> tuple[bytes, str]:
    """Everything in `parts` in the format that the scraper accepts, and its content type."""
    encode, content_type = choose_encoder(accept or "")
    return encode(_Joined(parts)), content_type


class _Joined(Collector):
    """Several registries as one."""

    def __init__(self, parts: Sequence[Collector]) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        for part in self._parts:
            yield from part.collect()
