"""Spans as OpenTelemetry keeps them. Imported only where traces are asked for (`gateway.observe.tracing`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from hashlib import sha256
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.observe.exposition import gateway_version
from gateway.observe.tracing import ATTRIBUTES, Telling

#: For one attempt at sending spans, and for the last of them at the end.
_SEND_WITHIN_S: Final = 5


def exporting(ratio: float) -> Spans:
    """Sent to where the environment says, in the background. A collector that is away costs spans only."""
    exporter = OTLPSpanExporter(timeout=_SEND_WITHIN_S)
    return Spans(BatchSpanProcessor(exporter, export_timeout_millis=_SEND_WITHIN_S * 1000), ratio)


class Spans:
    """See `tracing.Recorder`."""

    def __init__(self, processor: SpanProcessor, ratio: float = 1.0) -> None:
        self._ids = _Ids()
        resource = Resource.create({"service.name": "umrah-gateway", "service.version": gateway_version()})
        # By the trace's id alone: whoever calls us can't make us keep more, and all processes decide alike.
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(ratio),
            id_generator=self._ids,
            resource=resource,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("gateway", gateway_version())
        self._propagator = TraceContextTextMapPropagator()

    def received(self, name: str, traceparent: str | None) -> AbstractContextManager[Telling]:
        """Of the caller's headers only this one is read: no state and no baggage of others."""
        before = (
            self._propagator.extract({"traceparent": traceparent}, Context()) if traceparent else Context()
        )
        return _open(self._tracer.start_span(name, before, kind=SpanKind.SERVER))

    def born(self, message_id: str, attributes: Mapping[str, Any]) -> None:
        """An instant: what matters is where it comes from, and that all later spans hang on it."""
        request = get_current_span().get_span_context()
        links = [Link(request)] if request.is_valid else []
        trace_id, span_id = _ids_of(message_id)
        with self._ids.fixed(trace_id, span_id):
            span = self._tracer.start_span("receive", Context(), kind=SpanKind.CONSUMER, links=links)
        _tell(span, {"message_id": message_id, **attributes})
        span.end()

    def of_message(
        self, message_id: str, name: str, attributes: Mapping[str, Any]
    ) -> AbstractContextManager[Telling]:
        trace_id, span_id = _ids_of(message_id)
        before: Context | None = None
        if get_current_span().get_span_context().trace_id != trace_id:
            first = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
            before = set_span_in_context(NonRecordingSpan(first), Context())
        span = self._tracer.start_span(name, before)
        _tell(span, {"message_id": message_id, **attributes})
        return _open(span)

    def headers(self) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return {name: value for name, value in carrier.items() if name == "traceparent"}

    def close(self) -> None:
        self._provider.shutdown()


class _Ids(RandomIdGenerator):
    """Random ids, but for a span whose ids are given."""

    def __init__(self) -> None:
        self._given: ContextVar[tuple[int, int] | None] = ContextVar("ids of the next span", default=None)

    @contextmanager
    def fixed(self, trace_id: int, span_id: int) -> Iterator[None]:
        token = self._given.set((trace_id, span_id))
        try:
            yield
        finally:
            self._given.reset(token)

    def generate_trace_id(self) -> int:
        given = self._given.get()
        return super().generate_trace_id() if given is None else given[0]

    def generate_span_id(self) -> int:
        given = self._given.get()
        return super().generate_span_id() if given is None else given[1]


def _ids_of(message_id: str) -> tuple[int, int]:
    """Of a message's trace and of its first span."""
    digest = sha256(b"umrah-gateway trace " + message_id.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


class _Told:
    """A span under way, with what may be told of it (`tracing.Telling`)."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def tell(self, **attributes: Any) -> None:
        _tell(self._span, attributes)


@contextmanager
def _open(span: Span) -> Iterator[Telling]:
    """The current span until the end of this. What an exception says may be personal, so it stays out."""
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield _Told(span)
        except BaseException:
            span.set_status(StatusCode.ERROR)
            raise


def _tell(span: Span, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if name in ATTRIBUTES and value is not None:
            span.set_attribute(ATTRIBUTES[name], value if isinstance(value, int) else str(value))
