"""The metrics, each named once. Labels come from configuration only: never ids, URLs or fault texts."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

M = TypeVar("M", Counter, Gauge, Histogram)


@cache
def bound(metric: M, *labels: str) -> M:
    """The metric for these labels: looked up once, kept. Labels come from configuration, so they are few."""
    return metric.labels(*labels)


_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86400)


class Metrics:
    """Counters and histograms of one process, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self.registry = registry
        self.received = counter(
            "gateway_messages_received_total", "Messages read from a party", "party", "kind", "channel"
        )
        self.rejected = counter(
            "gateway_messages_rejected_total", "Messages refused at intake", "party", "kind", "code"
        )
        self.answers = counter(
            "gateway_http_answers_total", "Answers of the public listener", "interface", "status"
        )
        self.completed = counter(
            "gateway_messages_completed_total", "Messages that reached a final state", "kind", "outcome"
        )
        self.attempts = counter(
            "gateway_delivery_attempts_total", "Calls to a partner", "destination", "operation", "result"
        )
        self.retries = counter(
            "gateway_retries_total", "Calls put off to be made again", "destination", "operation", "reason"
        )
        self.inquiries = counter(
            "gateway_inquiries_total", "Questions after a lost answer", "destination", "operation", "result"
        )
        self.parked = counter("gateway_parked_total", "Messages that began to wait", "kind", "reason")
        self.webhooks = counter(
            "gateway_webhook_deliveries_total", "Notices to the address of a party", "party", "result"
        )
        self.bus_events = counter(
            "gateway_bus_events_total", "Events to the ministry's network", "receiver", "kind", "result"
        )
        self.bus_rejected = counter(
            "gateway_bus_rejected_total", "Commands from the network set aside", "sender", "code"
        )
        self.bus_connected = Gauge(
            "gateway_bus_connected",
            "1 while connected to the broker",
            ("side",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.intake_pressure = Gauge(
            "gateway_intake_pressure",
            "1 while nothing new is taken in for its sake",
            ("resource",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.pressure_reading = Gauge(
            "gateway_pressure_reading",
            "What intake depends on: bytes free, bytes, seconds a write waits, messages",
            ("resource",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.operator_actions = counter("gateway_operator_actions_total", "What operators did", "action")
        self.queue_wait = histogram(
            "gateway_queue_wait_seconds", "From received to first claimed", _LONG, "kind"
        )
        self.delivery = histogram(
            "gateway_delivery_duration_seconds", "One call to a partner", _FAST, "destination", "operation"
        )
        self.end_to_end = histogram("gateway_end_to_end_seconds", "From received to final", _LONG, "kind")
        self.last_success = Gauge(
            "gateway_last_success_timestamp_seconds",
            "When a partner last answered a call properly",
            ("destination",),
            registry=registry,
            multiprocess_mode="max",
        )
        self.certificate_expiry = Gauge(
            "gateway_certificate_expiry_timestamp_seconds",
            "When a party's latest certificate ends, or the first of ours",
            ("party",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.audit_checkpoint = Gauge(
            "gateway_audit_checkpoint_timestamp_seconds",
            "Everything recorded until then is covered by a signed checkpoint",
            registry=registry,
            multiprocess_mode="max",
        )
        self.config_reloaded = Gauge(
            "gateway_config_last_reload_successful",
            "1 unless the latest configuration was refused",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.config_reloaded.set(1)
        self.processes = Gauge(
            "gateway_processes",
            "Serving processes behind these listeners",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.processes.set(1)
