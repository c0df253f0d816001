"""What the four readers share: bytes are pushed in, and a generator takes what it needs of them."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import Refused
from gateway.ports import ReadItem, ReadLine
from schemas.violation import Violation

#: Objects and lists inside one another. An application needs four; nothing honest needs more than this.
MAX_DEPTH: Final = 16

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

#: A coroutine of a parser: yields what it has read, and None where it needs more bytes.
Steps = Generator[ReadItem | None, None, None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one body may cost."""

    max_line_bytes: int
    max_lines: int


def refusal(code: str, pointer: str = "", *, status: int = 400, **params: str | int) -> Refused:
    """The refusal of a whole body, with the place of its fault."""
    return Refused(code, violations=(Violation(code, pointer, params),), status=status)


def refusal_for(violation: Violation, pointer: str = "", **place: str | int) -> Refused:
    """The refusal of a body for a fault in a piece of it, which stands at `pointer`."""
    placed = Violation(violation.code, pointer + violation.pointer, {**place, **violation.params})
    return Refused(violation.code, violations=(placed,), status=400)


class PushParser:
    """A `gateway.ports.BatchParser`: the subclass writes `_read`, this drives it.

    Holds no more than the bytes that `_read` has not consumed: about one line and one chunk.
    """

    #: The refusal of a body that ends in the middle.
    cut_short: str

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._ended = False
        self._line = 0
        self._refused: Refused | None = None
        self._steps = self._read()

    def feed(self, data: bytes) -> Iterator[ReadItem]:
        """Take more bytes; see `gateway.ports.BatchParser`."""
        self._buffer += data
        return self._drive()

    def close(self) -> Iterator[ReadItem]:
        """The body has ended; see `gateway.ports.BatchParser`."""
        self._ended = True
        return self._drive()

    def _read(self) -> Steps:
        raise NotImplementedError

    def _drive(self) -> Iterator[ReadItem]:
        if self._refused is not None:
            raise self._refused
        try:
            for item in self._steps:
                if item is None:
                    return
                yield item
        except Refused as refused:
            self._refused = refused
            raise

    def _more(self) -> Generator[None, None, None]:
        """Wait for more bytes. Raises `Refused` when the body has ended instead."""
        if self._ended:
            raise refusal(self.cut_short)
        yield None

    def _cut(self, end: int) -> bytes:
        """Consume the first `end` bytes."""
        cut = bytes(self._buffer[:end])
        del self._buffer[:end]
        return cut

    def _drop(self, pattern: re.Pattern[bytes]) -> bytes:
        """Consume what `pattern` matches at the front."""
        match = pattern.match(self._buffer)
        end = match.end() if match else 0
        del match  # it pins the buffer
        return self._cut(end)

    def _encoding_mark(self, *, utf8_mark_allowed: bool) -> Generator[None, None, None]:
        """Look at the first bytes: UTF-16 is refused, UTF-8's own mark is dropped where it is customary.

        JSON forbids the mark (RFC 8259, 8.1); spreadsheets write it in front of CSV.
        """
        while len(self._buffer) < len(_UTF8_MARK) and not self._ended:
            yield None
        if self._buffer.startswith(_UTF16_MARKS) or 0 in self._buffer[:2]:
            raise refusal("encoding_not_utf8")
        if self._buffer.startswith(_UTF8_MARK):
            if not utf8_mark_allowed:
                raise refusal("byte_order_mark")
            del self._buffer[: len(_UTF8_MARK)]

    def _count_line(self) -> int:
        """The number of the line that begins here. Raises `Refused` beyond the limit."""
        if self._line >= self._limits.max_lines:
            raise refusal("too_many_lines", status=413, limit=self._limits.max_lines)
        self._line += 1
        return self._line

    def _too_long(self, line: int, row: int | None) -> ReadLine:
        limit = self._limits.max_line_bytes
        return ReadLine(line, None, Violation("line_too_long", params={"limit": limit}), row)
