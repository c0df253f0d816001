"""CSV (RFC 4180): a header row of dotted names, then one application a row.

The batch's own fields stand in columns `batch.*`, equal on every row. An empty cell is an absent field.

A cell that a spreadsheet would take for a formula is written with an apostrophe in front, and one that is
read so loses it: `'+966512345678` is the number `+966512345678`. So a file that we wrote, or that its sender
made harmless in the same way, means the same when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.service_centers.layout import (
    BATCH_PREFIX,
    Path,
    application_columns,
    flatten,
    header_fields,
    nest,
    path_of,
)
from adapters.service_centers.push_parser import Limits, PushParser, Steps, refusal, refusal_for
from adapters.service_centers.strict_json import step_into
from gateway.errors import Refused
from gateway.ports import ReadHeader, ReadLine
from schemas.violation import Violation

#: Rows that can't be read before the first that can: they wait for the header that it brings.
_MAX_WAITING: Final = 1_000
_EMPTY_LINES: Final = re.compile(rb"(?:\r?\n)*+")
_FIELD: Final = re.compile(r'(?:"(?P<quoted>(?:[^"]++|"")*+)"|(?P<plain>[^",\r\n]*+))(?P<end>,|\Z)')
#: Outside quotes, up to a newline or an opening quote whose end is not in sight.
_OUTSIDE: Final = re.compile(rb"""(?:[^"\n]++|(?<=[^,])"|(?<=,)"(?:[^"]++|"")*+"(?=[,\r\n]))*+""")
#: Inside quotes, up to one that is not doubled.
_QUOTED: Final = re.compile(rb'(?:[^"]++|"")*+')
_QUOTE, _COMMA, _CR, _LF = b'",\r\n'


class CsvReader:
    """Opens parsers for CSV bodies."""

    media_types: tuple[str, ...] = ("text/csv",)

    def open(self, *, max_line_bytes: int, max_lines: int) -> CsvParser:
        """A parser for one new body."""
        return CsvParser(Limits(max_line_bytes, max_lines))


@dataclass(frozen=True, slots=True)
class _Record:
    """One record; `raw` is None when it was too long to keep."""

    #: The physical line on which it begins.
    row: int
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the header row says: for each cell, where it leads."""

    batch: tuple[tuple[int, str], ...]
    application: tuple[tuple[int, Path], ...]
    count: int

    def align(self, cells: list[str]) -> list[str]:
        """The cells, if there are as many as columns. Raises `_NotARowError`."""
        if len(cells) != self.count:
            raise _NotARowError(min(len(cells), self.count) + 1)
        return cells

    def batch_cells(self, cells: Sequence[str]) -> list[str]:
        return [cells[index] for index, _ in self.batch]

    def header(self, cells: Sequence[str]) -> dict[str, str]:
        return {name: cells[index] for index, name in self.batch if cells[index]}

    def fields(self, cells: Sequence[str]) -> dict[str, Any]:
        return nest((path, cells[index]) for index, path in self.application if cells[index])


class _NotARowError(ValueError):
    """A record that is not CSV, or not as wide as the header row."""

    def __init__(self, column: int) -> None:
        super().__init__("invalid_csv")
        self.violation = Violation("invalid_csv", params={"column": column})


class CsvParser(PushParser):
    """One CSV body."""

    cut_short = "header_missing"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._next_row = 1
        #: The batch's fields, from the first row that can be read.
        self._header: dict[str, str] | None = None
        self._batch_cells: list[str] = []

    def _read(self) -> Steps:
        yield from self._encoding_mark(utf8_mark_allowed=True)
        columns = yield from self._header_row()
        announced = False
        waiting: list[ReadLine] = []
        while (record := (yield from self._next_record())) is not None:
            waiting.append(self._application(columns, record))
            if self._header is None:
                _check_waiting(waiting)
                continue
            if not announced:
                yield ReadHeader(self._header)
                announced = True
            yield from waiting
            waiting.clear()
        if not announced:
            raise _nothing_read(waiting)

    def _header_row(self) -> Generator[None, None, _Columns]:
        record = yield from self._next_record()
        if record is None:
            raise refusal("header_missing")
        if record.raw is None:
            raise refusal("line_too_long", row=record.row, limit=self._limits.max_line_bytes)
        try:
            return _columns(_split(_decode(record.raw, record.row)))
        except _NotARowError as error:
            raise refusal_for(error.violation, row=record.row) from error

    def _application(self, columns: _Columns, record: _Record) -> ReadLine:
        line = self._count_line()
        if record.raw is None:
            return self._too_long(line, record.row)
        try:
            cells = columns.align(_split(_decode(record.raw, record.row)))
            if b"'" in record.raw:
                cells = [meant(cell) for cell in cells]
        except _NotARowError as error:
            return ReadLine(line, None, error.violation, record.row)
        batch = columns.batch_cells(cells)
        if self._header is None:
            self._header, self._batch_cells = columns.header(cells), batch
        if batch != self._batch_cells:
            return ReadLine(line, None, Violation("batch_columns_differ"), record.row)
        return ReadLine(line, columns.fields(cells), row=record.row)

    def _next_record(self) -> Generator[None, None, _Record | None]:
        """The next record that is not an empty line, or None at the end."""
        while self._buffer or not self._ended:
            self._next_row += self._drop(_EMPTY_LINES).count(b"\n")
            record = yield from self._record()
            if record.raw is None or record.raw:
                return record
        return None

    def _record(self) -> Generator[None, None, _Record]:
        """Everything up to the next newline outside quotes, or to the end of the body."""
        scanner = _RecordScanner()
        row, kept = self._next_row, True
        while (end := scanner.scan(self._buffer)) is None and not self._ended:
            if not kept or len(self._buffer) > self._limits.max_line_bytes:
                kept = False
                self._next_row += self._buffer.count(b"\n", 0, scanner.position)
                scanner.drop(self._buffer)
            yield None
        end = len(self._buffer) if end is None else end
        kept = kept and end <= self._limits.max_line_bytes + len(b"\r\n")
        self._next_row += self._buffer.count(b"\n", 0, end)
        raw = bytes(self._buffer[:end]) if kept else None
        del self._buffer[:end]
        return _Record(row, raw.removesuffix(b"\n").removesuffix(b"\r") if raw is not None else None)


class _RecordScanner:
    """Finds the end of one record in bytes that are still arriving, looking at each byte once.

    A quote opens only at the beginning of a field: a stray one can't swallow the records that follow.
    """

    __slots__ = ("_before", "_quoted", "position")

    def __init__(self) -> None:
        self.position = 0
        self._quoted = False
        #: The byte before `position`, kept because the buffer's front may be dropped.
        self._before = _COMMA

    def scan(self, buffer: bytearray) -> int | None:
        """The index just past the record's newline, or None when the buffer ends first."""
        while self.position < len(buffer):
            found = self._pass(_QUOTED if self._quoted else _OUTSIDE, buffer)
            if found == len(buffer) or (self._quoted and found + 1 == len(buffer)):
                return None
            if buffer[found] == _LF:
                return found + 1
            self._quoted = not self._quoted and self._before == _COMMA
            self._before = _QUOTE
            self.position += 1
        return None

    def drop(self, buffer: bytearray) -> None:
        """Drop what has been looked at."""
        del buffer[: self.position]
        self.position = 0

    def _pass(self, pattern: re.Pattern[bytes], buffer: bytearray) -> int:
        """Move to the next byte that decides something."""
        match = pattern.match(buffer, self.position)
        end = match.end() if match else self.position
        if end > self.position:
            self._before = buffer[end - 1]
        self.position = end
        return end


def _columns(names: Sequence[str]) -> _Columns:
    """Raises `Refused` for a name that is unknown or stands there twice."""
    known = application_columns()
    batch = {BATCH_PREFIX + name: name for name in header_fields()}
    for column, name in enumerate(names, start=1):
        if name not in known and name not in batch:
            raise refusal("unknown_field", _pointer(name), row=1, column=column)
        if names.index(name) != column - 1:
            raise refusal("duplicate_key", _pointer(name), row=1, column=column)
    return _Columns(
        batch=tuple((index, batch[name]) for index, name in enumerate(names) if name in batch),
        application=tuple((index, known[name]) for index, name in enumerate(names) if name in known),
        count=len(names),
    )


def _pointer(column: str) -> str:
    """Where a column leads, in the application or in the batch's header."""
    pointer = ""
    for step in path_of(column.removeprefix(BATCH_PREFIX)):
        pointer = step_into(pointer, step)
    return pointer


def _decode(raw: bytes, row: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise refusal("encoding_not_utf8", row=row) from error


def _check_waiting(waiting: Sequence[ReadLine]) -> None:
    if len(waiting) > _MAX_WAITING:
        raise _nothing_read(waiting)


def _nothing_read(waiting: Sequence[ReadLine]) -> Refused:
    """The refusal of a body without a row that can be read."""
    if not waiting or waiting[0].violation is None:
        return refusal("batch_empty", status=422)
    return refusal_for(waiting[0].violation, row=waiting[0].row or 0)


def _split(text: str) -> list[str]:
    """The fields of a record. Raises `_NotARowError` with the column of the field that is not CSV."""
    if '"' not in text and "\r" not in text:
        return text.split(",")
    return list(_split_quoted(text))


def _split_quoted(text: str) -> Iterator[str]:
    position, column = 0, 1
    while True:
        field = _FIELD.match(text, position)
        if field is None:
            raise _NotARowError(column)
        quoted = field["quoted"]
        yield field["plain"] if quoted is None else quoted.replace('""', '"')
        if not field["end"]:
            return
        position, column = field.end(), column + 1


#: Spreadsheets take a cell that begins so for a formula (OWASP, CSV injection); some also the wide forms.
_FORMULA: Final = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
#: Apostrophes that are the cell's own stay told apart from ours: there is always one more.
_ALIVE: Final = re.compile(f"'*[{_FORMULA}]")
_MADE_HARMLESS: Final = re.compile(f"'+[{_FORMULA}]")
_NEEDS_QUOTES: Final = re.compile('[",\r\n]')
RESULT_COLUMNS: Final = (
    "line",
    "reference",
    "application_id",
    "state",
    "visa.number",
    "visa.valid_from",
    "visa.valid_until",
    "visa.stay_until",
    "reason",
    "errors",
    "detail",
    "updated_at",
)


class CsvResultWriter:
    """One result a row, in the fixed columns `RESULT_COLUMNS`.

    `errors` is `code@pointer`, several joined by a space; `detail` their texts, joined by ` | `. A cell
    that a spreadsheet would take for a formula gets an apostrophe in front.
    """

    media_type = "text/csv"

    def head(self, batch: Mapping[str, Any]) -> bytes:
        """The header row."""
        return to_csv(RESULT_COLUMNS)

    def line(self, result: Mapping[str, Any]) -> bytes:
        """One row."""
        errors = result.get("errors") or ()
        cells = dict(flatten({name: value for name, value in result.items() if name != "errors"}))
        cells["errors"] = " ".join(f"{error['code']}@{error.get('pointer') or ''}" for error in errors)
        cells["detail"] = " | ".join(str(error.get("detail") or "") for error in errors)
        return to_csv([harmless(cells.get(column, "")) for column in RESULT_COLUMNS])

    def tail(self) -> bytes:
        """Nothing: the last newline ends the document."""
        return b""


def to_csv(cells: Sequence[str]) -> bytes:
    """One record in UTF-8, quoted where RFC 4180 asks for it."""
    return (",".join(map(_quoted, cells)) + "\r\n").encode(errors="replace")


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell


def harmless(cell: str) -> str:
    """The cell as a spreadsheet takes it for text; `meant` gives it back."""
    return f"'{cell}" if _ALIVE.match(cell) else cell


def meant(cell: str) -> str:
    """What a cell that was made `harmless` says; any other is itself."""
    return cell[1:] if _MADE_HARMLESS.match(cell) else cell
