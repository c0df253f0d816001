"""`/metrics`: the process's own counters, and gauges that are read from the ledger for each scrape.

Gauges count messages that are not final. One process of an installation exports them; counters add up.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

#: (kind, state, count, when the oldest was received in seconds since the epoch)
Waiting = tuple[str, str, int, float]


@dataclass(frozen=True, slots=True)
class LedgerNumbers:
    """What the ledger says at one moment."""

    waiting: Sequence[Waiting] = ()
    #: Open calls with an unknown outcome by destination; every destination is there, mostly with 0.
    uncertain: Mapping[str, int] = field(default_factory=dict)
    audit_head: int | None = None


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
    return (messages, oldest, uncertain, head)


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


def expose(registry: CollectorRegistry, accept: str | None) -> tuple[bytes, str]:
    """Everything in `registry` in the format that the scraper accepts, and its content type."""
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type
