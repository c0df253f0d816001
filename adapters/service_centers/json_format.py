"""JSON: `{"batch_reference": …, …, "applications": [{…}, {…}]}`. The header's members come first.

The frame is followed by brackets and quotes; each application is decoded by itself, so that one bad
application is a fault of its line and the others go on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from typing import Any, Final

from adapters.service_centers.push_parser import Limits, PushParser, Steps, refusal, refusal_for
from adapters.service_centers.strict_json import JsonError, StrictDecoder, ValueScanner, step_into
from gateway.ports import ReadHeader, ReadLine
from schemas.violation import Violation

_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_LINES: Final = "applications"


class JsonReader:
    """Opens parsers for JSON bodies."""

    media_types: tuple[str, ...] = ("application/json",)

    def open(self, *, max_line_bytes: int, max_lines: int) -> JsonParser:
        """A parser for one new body."""
        return JsonParser(Limits(max_line_bytes, max_lines))


class JsonParser(PushParser):
    """One JSON body."""

    cut_short = "invalid_json"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._decoder = StrictDecoder()

    def _read(self) -> Steps:
        yield from self._encoding_mark(utf8_mark_allowed=False)
        yield from self._take(b"{")
        header = yield from self._header()
        if (yield from self._peek()) != b"[":
            raise refusal("wrong_type", f"/{_LINES}", expected="array")
        yield from self._take(b"[")
        yield ReadHeader(header)
        yield from self._applications()
        yield from self._end()

    def _header(self) -> Generator[None, None, dict[str, Any]]:
        """The members before `applications`, whose colon is consumed too."""
        header: dict[str, Any] = {}
        room = self._limits.max_line_bytes
        if (yield from self._peek()) == b"}":
            raise refusal("field_missing", f"/{_LINES}")
        while True:
            name = yield from self._name()
            if name == _LINES:
                return header
            if name in header:
                raise refusal("duplicate_key", step_into("", name))
            value, size = yield from self._member(name)
            room -= size
            if room < 0:
                raise refusal("line_too_long", limit=self._limits.max_line_bytes)
            header[name] = value
            if (yield from self._take(b",}")) == b"}":
                raise refusal("field_missing", f"/{_LINES}")

    def _name(self) -> Generator[None, None, str]:
        if (yield from self._peek()) != b'"':
            raise refusal("invalid_json")
        raw = yield from self._frame_value()
        yield from self._take(b":")
        return str(self._decode_frame(raw))

    def _member(self, name: str) -> Generator[None, None, tuple[Any, int]]:
        raw = yield from self._frame_value()
        return self._decode_frame(raw, step_into("", name)), len(raw)

    def _decode_frame(self, raw: bytes, pointer: str = "") -> Any:
        """Decode a piece of the frame: any fault in it is the body's."""
        try:
            return self._decoder.decode(raw)
        except JsonError as fault:
            raise refusal_for(fault.violation, pointer) from fault

    def _applications(self) -> Steps:
        if (yield from self._peek()) == b"]":
            yield from self._take(b"]")
            return
        while True:
            line = self._count_line()
            yield self._application(line, (yield from self._line_value()))
            if (yield from self._take(b",]")) == b"]":
                return

    def _application(self, line: int, raw: bytes | None) -> ReadLine:
        if raw is None:
            return self._too_long(line, None)
        if not raw:
            raise refusal("invalid_json", line=line)
        try:
            fields = self._decoder.decode(raw)
        except JsonError as fault:
            if fault.violation.code == "encoding_not_utf8":
                # Not one line's fault: the sender writes another encoding.
                raise refusal("encoding_not_utf8", line=line) from fault
            return ReadLine(line, None, fault.violation)
        if not isinstance(fields, dict):
            return ReadLine(line, None, Violation("wrong_type", params={"expected": "object"}))
        return ReadLine(line, fields)

    def _end(self) -> Generator[None, None, None]:
        if (yield from self._take(b",}")) == b",":
            name = yield from self._name()
            raise refusal("duplicate_key" if name == _LINES else "header_after_lines", step_into("", name))
        while not self._ended or self._buffer:
            if self._buffer.strip(b" \t\r\n"):
                raise refusal("invalid_json")
            self._buffer.clear()
            yield None

    def _peek(self) -> Generator[None, None, bytes]:
        """The next byte that is not white space, which is dropped."""
        while True:
            self._drop(_SPACE)
            if self._buffer:
                return bytes(self._buffer[:1])
            yield from self._more()

    def _take(self, allowed: bytes) -> Generator[None, None, bytes]:
        """Consume one of the `allowed` bytes. Raises `Refused` when something else stands there."""
        found = yield from self._peek()
        if found not in allowed:
            raise refusal("invalid_json", line=self._line) if self._line else refusal("invalid_json")
        del self._buffer[:1]
        return found

    def _frame_value(self) -> Generator[None, None, bytes]:
        """The bytes of the next value. Raises `Refused` if it is longer than a line may be."""
        limit = self._limits.max_line_bytes
        yield from self._peek()
        scanner = ValueScanner()
        while (end := self._scan(scanner)) is None and len(self._buffer) <= limit:
            yield from self._more()
        if end is None or end > limit:
            raise refusal("line_too_long", limit=limit)
        return self._cut(end)

    def _line_value(self) -> Generator[None, None, bytes | None]:
        """The bytes of the next value, or None if it was longer than a line may be: passed over, not kept."""
        limit = self._limits.max_line_bytes
        yield from self._peek()
        scanner = ValueScanner()
        kept = True
        while (end := self._scan(scanner)) is None:
            if not kept or len(self._buffer) > limit:
                kept = False
                self._cut(scanner.position)
                scanner.position = 0
            yield from self._more()
        raw = self._cut(end)
        return raw if kept and end <= limit else None

    def _scan(self, scanner: ValueScanner) -> int | None:
        try:
            return scanner.scan(self._buffer)
        except JsonError as fault:
            # The rest of the value may be endless: whose line it is matters no more.
            raise refusal_for(fault.violation, line=self._line) from fault


class JsonResultWriter:
    """`{"batch": {…}, "results": [{…}, …]}`. One instance a document: it knows whether a comma is due."""

    media_type = "application/json"

    def __init__(self) -> None:
        self._separator = b"\n"

    def head(self, batch: Mapping[str, Any]) -> bytes:
        """The batch's status and the opening of the list."""
        return b'{"batch":' + to_json(batch) + b',"results":['

    def line(self, result: Mapping[str, Any]) -> bytes:
        """One element of the list, with the comma before it."""
        separator, self._separator = self._separator, b",\n"
        return separator + to_json(result)

    def tail(self) -> bytes:
        """The end of the list and of the document."""
        return b"\n]}\n"


def to_json(value: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
