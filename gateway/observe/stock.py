"""What the gateway holds at a scrape: places left, open batches, undelivered news, room on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: (control, mission, ceiling, places left)
Ceiling = tuple[str, str, int, int]
#: (state, count, when the oldest began, in seconds since the epoch)
Batches = tuple[str, int, float]
#: (receiver, channel, since when the oldest waits, in seconds since the epoch; None: nothing does)
Undelivered = tuple[str, str, float | None]


@dataclass(frozen=True, slots=True)
class Room:
    """Of the file system that holds the data directory, in bytes."""

    size: int
    free: int


@dataclass(frozen=True, slots=True)
class Stock:
    """What was found."""

    ceilings: Sequence[Ceiling] = ()
    batches: Sequence[Batches] = ()
    undelivered: Sequence[Undelivered] = ()
    room: Room | None = None


class StockCollector(Collector):
    """Turns the latest `stock` into gauges. None: the ledger can't be read, and nothing is claimed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stock: Stock | None = None
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        return _families(Stock())

    def collect(self) -> Iterable[Metric]:
        return () if self.stock is None else _families(self.stock)


def _families(stock: Stock) -> Iterable[Metric]:
    return (*_ceilings(stock.ceilings), *_batches(stock.batches), _waiting(stock.undelivered), *_room(stock))


def _ceilings(ceilings: Sequence[Ceiling]) -> Iterable[Metric]:
    labels = ("control", "mission")
    ceiling = GaugeMetricFamily(
        "gateway_quota_ceiling", "Visas that may be issued in the window that is open", labels=labels
    )
    remaining = GaugeMetricFamily(
        "gateway_quota_remaining", "Places left of that ceiling, 0 when it was lowered", labels=labels
    )
    for control, mission, most, left in ceilings:
        ceiling.add_metric((control, mission), most)
        remaining.add_metric((control, mission), left)
    return ceiling, remaining


def _batches(batches: Sequence[Batches]) -> Iterable[Metric]:
    count = GaugeMetricFamily("gateway_batches", "Batches that are not completed", labels=("state",))
    oldest = GaugeMetricFamily(
        "gateway_oldest_batch_timestamp_seconds",
        "When the receiving of the oldest batch that is not completed began",
        labels=("state",),
    )
    for state, number, began in batches:
        count.add_metric((state,), number)
        oldest.add_metric((state,), began)
    return count, oldest


def _waiting(undelivered: Sequence[Undelivered]) -> Metric:
    oldest = GaugeMetricFamily(
        "gateway_oldest_undelivered_timestamp_seconds",
        "Since when the oldest news waits that a receiver was not given on this channel",
        labels=("receiver", "channel"),
    )
    for receiver, channel, since in undelivered:
        if since is not None:
            oldest.add_metric((receiver, channel), since)
    return oldest


def _room(stock: Stock) -> Iterable[Metric]:
    size = GaugeMetricFamily("gateway_data_size_bytes", "Of the file system with the data directory")
    free = GaugeMetricFamily("gateway_data_free_bytes", "Free on the file system with the data directory")
    if stock.room is not None:
        size.add_metric((), stock.room.size)
        free.add_metric((), stock.room.free)
    return size, free
