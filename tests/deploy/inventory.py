"""Every metric of a gateway with its type and labels, whether it has a value yet or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.observe.exposition import LedgerCollector
from gateway.observe.processes import ProcessesCollector
from gateway.observe.stock import StockCollector

#: What Prometheus itself adds to each sample and to each target.
ADDED: Final = frozenset({"job", "instance"})
#: Of Prometheus, not of the gateway.
OF_PROMETHEUS: Final = {"up": frozenset[str]()}
_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric as its page describes it: a counter's name ends in `_total`."""

    name: str
    type: str
    labels: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is exported."""

    families: Mapping[str, Family]
    #: Label values seen in the scrape, by sample name and label.
    seen: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def samples(self) -> Mapping[str, frozenset[str]]:
        """The labels of every sample that a query may name."""
        found: dict[str, frozenset[str]] = dict(OF_PROMETHEUS)
        for family in self.families.values():
            base = family.name.removesuffix("_total")
            for suffix in _SUFFIXES[family.type]:
                more = {"le"} if suffix == "_bucket" else set()
                found[base + suffix] = frozenset({*family.labels, *more})
        return found


def inventory(counted: CollectorRegistry, scrape: str) -> Inventory:
    """From the registries, where labels are known before there is a value, and from a scrape."""
    read = CollectorRegistry()
    for each in (LedgerCollector, StockCollector, ProcessesCollector):
        each(read)
    families = {family.name: family for registry in (counted, read) for family in _registered(registry)}
    seen: dict[tuple[str, str], set[str]] = {}
    for metric in text_string_to_metric_families(scrape):
        families.setdefault(_named(metric), _family(metric, _labels_of(metric)))
        for sample in metric.samples:
            for label, value in sample.labels.items():
                seen.setdefault((sample.name, label), set()).add(value)
    own = {name: family for name, family in families.items() if not name.endswith("_created")}
    return Inventory(own, {place: frozenset(values) for place, values in seen.items()})


def _registered(registry: CollectorRegistry) -> Iterable[Family]:
    # There is no public way to ask a metric that has no child yet for the names of its labels.
    for collector in list(registry._collector_to_names):
        described: Iterable[Any] = getattr(collector, "describe", tuple)()
        for metric in described:
            labels = getattr(collector, "_labelnames", None) or getattr(metric, "_labelnames", ())
            yield _family(metric, tuple(labels))


def _family(metric: Metric, labels: tuple[str, ...]) -> Family:
    return Family(_named(metric), metric.type, labels, metric.documentation)


def _named(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _labels_of(metric: Metric) -> tuple[str, ...]:
    names = {name for sample in metric.samples for name in sample.labels if name != "le"}
    return tuple(sorted(names))
