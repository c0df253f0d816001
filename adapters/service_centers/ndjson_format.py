"""NDJSON: the header object on the first line, then one application a line. Empty lines are passed over."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.service_centers.json_format import to_json
from adapters.service_centers.push_parser import Limits, PushParser, Steps, refusal, refusal_for
from adapters.service_centers.strict_json import JsonError, StrictDecoder
from gateway.ports import ReadHeader, ReadLine
from schemas.violation import Violation

_EMPTY_LINES: Final = re.compile(rb"(?:[ \t\r]*+\n)*+")


class NdjsonReader:
    """Opens parsers for NDJSON bodies."""

    media_types: tuple[str, ...] = ("application/x-ndjson",)

    def open(self, *, max_line_bytes: int, max_lines: int) -> NdjsonParser:
        """A parser for one new body."""
        return NdjsonParser(Limits(max_line_bytes, max_lines))


@dataclass(frozen=True, slots=True)
class _Text:
    """One line of text; `raw` is None when it was too long to keep."""

    row: int
    raw: bytes | None
    #: Whether its newline came: the last line may be cut.
    complete: bool


class NdjsonParser(PushParser):
    """One NDJSON body."""

    cut_short = "header_missing"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._decoder = StrictDecoder()
        self._row = 0

    def _read(self) -> Steps:
        yield from self._encoding_mark(utf8_mark_allowed=False)
        header = yield from self._next_text()
        if header is None:
            raise refusal("header_missing")
        yield ReadHeader(self._header(header))
        while (text := (yield from self._next_text())) is not None:
            yield self._application(self._count_line(), text)

    def _header(self, text: _Text) -> dict[str, Any]:
        if text.raw is None:
            raise refusal("line_too_long", row=text.row, limit=self._limits.max_line_bytes)
        try:
            fields = self._decoder.decode(text.raw)
        except JsonError as fault:
            raise refusal_for(fault.violation, row=text.row) from fault
        if not isinstance(fields, dict) or "passport" in fields:
            raise refusal("header_missing", row=text.row)
        return fields

    def _application(self, line: int, text: _Text) -> ReadLine:
        if text.raw is None:
            return self._too_long(line, text.row)
        try:
            fields = self._decoder.decode(text.raw)
        except JsonError as fault:
            cut = not text.complete and fault.violation.code in ("invalid_json", "encoding_not_utf8")
            return ReadLine(line, None, Violation("line_truncated") if cut else fault.violation, text.row)
        if not isinstance(fields, dict):
            return ReadLine(line, None, Violation("wrong_type", params={"expected": "object"}), text.row)
        return ReadLine(line, fields, row=text.row)

    def _next_text(self) -> Generator[None, None, _Text | None]:
        """The next line that is not empty, or None at the end."""
        while self._buffer or not self._ended:
            self._row += self._drop(_EMPTY_LINES).count(b"\n")
            text = yield from self._text()
            if text.raw is None or text.raw.strip():
                return text
        return None

    def _text(self) -> Generator[None, None, _Text]:
        """Everything up to the next newline, or to the end of the body."""
        searched, kept = 0, True
        while (newline := self._buffer.find(b"\n", searched)) < 0 and not self._ended:
            if not kept or len(self._buffer) > self._limits.max_line_bytes:
                kept = False
                self._buffer.clear()
            searched = len(self._buffer)
            yield None
        complete = newline >= 0
        end = newline if complete else len(self._buffer)
        kept = kept and end <= self._limits.max_line_bytes
        raw = bytes(self._buffer[:end]) if kept else None
        del self._buffer[: end + 1]
        self._row += 1
        return _Text(self._row, raw, complete)


class NdjsonResultWriter:
    """One result a line; the batch's status is not repeated here, so that every line has one shape."""

    media_type = "application/x-ndjson"

    def head(self, batch: Mapping[str, Any]) -> bytes:
        """Nothing: the first line is a result."""
        return b""

    def line(self, result: Mapping[str, Any]) -> bytes:
        """One result and its newline."""
        return to_json(result) + b"\n"

    def tail(self) -> bytes:
        """Nothing: the last newline ends the document."""
        return b""
