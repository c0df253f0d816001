"""Traces, for whoever wants to see where a message spent its time. Off unless the environment asks for them.

Off, nothing of OpenTelemetry is imported, and each place that could be traced costs one look at a variable.

A message has a trace of its own, whose ids are a hash of the message's id: any process, today or after a
restart, adds to it without having been told, and nothing is stored for it. A request has the trace that its
caller began, or a new one; the first span of a message links to the request that brought it.

Nothing personal gets into a span: attributes are allow-listed as the fields of a log line are, and of an
exception nothing but that there was one.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

from gateway.errors import Misconfigured

T = TypeVar("T")

#: What may be told of a span, and the name under which it is exported.
ATTRIBUTES: Final[Mapping[str, str]] = {
    "message_id": "message_id",
    "kind": "kind",
    "destination": "destination",
    "operation": "operation",
    "state": "state",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
}
#: Where spans are sent (OTLP over HTTP); the second is the whole URL. Names are OpenTelemetry's own.
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_DISABLED: Final = "OTEL_SDK_DISABLED"
#: Which share of traces is kept, 0 to 1: decided by the trace's id, so every process keeps the same ones.
RATIO: Final = "OTEL_TRACES_SAMPLER_ARG"


class Telling(Protocol):
    """A span under way."""

    def tell(self, **attributes: Any) -> None:
        """What is not allow-listed, or None, is left out."""


class Recorder(Protocol):
    """Who keeps spans (`gateway.observe.spans`)."""

    def received(self, name: str, traceparent: str | None) -> AbstractContextManager[Telling]: ...

    def born(self, message_id: str, attributes: Mapping[str, Any]) -> None: ...

    def of_message(
        self, message_id: str, name: str, attributes: Mapping[str, Any]
    ) -> AbstractContextManager[Telling]: ...

    def headers(self) -> Mapping[str, str]: ...

    def close(self) -> None: ...


class _Nothing(AbstractContextManager[Telling]):
    """Stands for every span while there are no traces."""

    def __enter__(self) -> Telling:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tell(self, **attributes: Any) -> None:
        return None


NOTHING: Final = _Nothing()
_NO_HEADERS: Final[Mapping[str, str]] = {}
_recorder: Recorder | None = None


def start(env: Mapping[str, str]) -> bool:
    """Begin if the environment names a place for spans. Raises `Misconfigured`."""
    if not any(env.get(name) for name in _ENDPOINTS) or env.get(_DISABLED, "").lower() == "true":
        return False
    try:
        from gateway.observe.spans import exporting
    except ImportError as error:
        text = f"environment:1:1: {_ENDPOINTS[0]} asks for traces: pip install 'umrah-gateway[tracing]'"
        raise Misconfigured([text]) from error
    use(exporting(_ratio(env)))
    return True


def use(recorder: Recorder | None) -> None:
    """Keep spans with this recorder from now on, or with none."""
    global _recorder  # noqa: PLW0603 - one for the process, as the log is
    _recorder = recorder


def stop() -> None:
    """Send what is left, for some seconds at most. Safe to call again."""
    recorder = _recorder
    use(None)
    if recorder is not None:
        recorder.close()


def received(name: str, traceparent: str | None) -> AbstractContextManager[Telling]:
    """Around the answer to a request or a command, which says what trace it belongs to."""
    return NOTHING if _recorder is None else _recorder.received(name, traceparent)


def under(name: str, headers: Mapping[str, Any], work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """The same work, as what came with these headers of a queue."""
    return work if _recorder is None else _under(name, headers.get("traceparent"), work)


async def _under(name: str, traceparent: Any, work: Coroutine[Any, Any, T]) -> T:
    with received(name, traceparent if isinstance(traceparent, str) else None):
        return await work


def born(message_id: str, **attributes: Any) -> None:
    """A message was recorded: the first span of its trace, with a link to what is being answered."""
    if _recorder is not None:
        _recorder.born(message_id, attributes)


def of_message(message_id: str, name: str, **attributes: Any) -> AbstractContextManager[Telling]:
    """Around something that happens to a message: part of its trace, wherever and whenever that is."""
    return NOTHING if _recorder is None else _recorder.of_message(message_id, name, attributes)


def headers() -> Mapping[str, str]:
    """`traceparent` (W3C Trace Context) for whoever is called now; nothing without a trace."""
    return _NO_HEADERS if _recorder is None else _recorder.headers()


def _ratio(env: Mapping[str, str]) -> float:
    text = env.get(RATIO, "1")
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise Misconfigured([f"environment:1:1: {RATIO} is a share from 0 to 1"])
    return ratio
