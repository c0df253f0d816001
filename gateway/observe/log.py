"""Structured logs: one line of JSON a state move, with allow-listed fields and nothing else.

A name, a passport number or a body can't get into a line: what is not a known field is dropped, and so are
messages of exceptions (they may quote their input).
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

FIELDS = frozenset(
    {
        "action", "message_id", "batch_id", "party", "kind", "destination", "operation", "attempt", "state",
        "outcome", "code", "duration_s", "lines", "count", "request_id", "status", "method", "route", "error",
        "where", "address", "version", "operator",
    }
)  # fmt: skip

_logger = logging.getLogger("gateway")


class EventLog:
    """`log.info("moved", action="issue", message_id=…)`: every line has a stable `action`."""

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """With the class of the exception being handled and where it was raised, never its text."""
        error = sys.exc_info()[1]
        if error is not None:
            fields = {**fields, "error": type(error).__name__, "where": _where(error)}
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if _logger.isEnabledFor(level):
            _logger.log(level, event, extra={"fields": fields})


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.msg if hasattr(record, "fields") else "library",
            "logger": record.name,
            **{name: value for name, value in fields.items() if name in FIELDS and value is not None},
        }
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Send our own lines to `stream` (stderr). Libraries may speak only from `warning` on, without text."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _logger.setLevel(level.upper())


log = EventLog()
