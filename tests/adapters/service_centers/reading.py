"""Reads a body through a format's parser, in chunks of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from adapters.service_centers import MEDIA_TYPES, READERS
from gateway.errors import Refused
from gateway.ports import ReadHeader, ReadItem, ReadLine
from schemas.catalogue import CODES
from schemas.violation import Violation

MAX_LINE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Read:
    """What a body was read as."""

    header: dict[str, Any]
    lines: list[ReadLine]

    @property
    def fields(self) -> list[Any]:
        return [line.fields for line in self.lines]

    @property
    def codes(self) -> list[str | None]:
        return [line.violation.code if line.violation else None for line in self.lines]


def chunks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def random_chunks(body: bytes, random: Random, longest: int = 40) -> Iterator[bytes]:
    start = 0
    while start < len(body):
        end = start + random.randint(1, longest)
        yield body[start:end]
        start = end


def items(
    name: str, pieces: Iterable[bytes], *, max_line_bytes: int = MAX_LINE_BYTES, max_lines: int = 1_000_000
) -> Iterator[ReadItem]:
    parser = READERS[MEDIA_TYPES[name]].open(max_line_bytes=max_line_bytes, max_lines=max_lines)
    for piece in pieces:
        yield from parser.feed(piece)
    yield from parser.close()


def read(name: str, body: bytes | Iterable[bytes], **limits: int) -> Read:
    header, *lines = items(name, [body] if isinstance(body, bytes) else body, **limits)
    assert isinstance(header, ReadHeader)
    assert all(isinstance(line, ReadLine) for line in lines)
    numbered = [line for line in lines if isinstance(line, ReadLine)]
    assert [line.line for line in numbered] == list(range(1, len(lines) + 1))
    assert all(line.violation.code in CODES for line in numbered if line.violation)
    return Read(dict(header.fields), numbered)


def refused(
    name: str, body: bytes | Iterable[bytes], *, max_line_bytes: int = MAX_LINE_BYTES, max_lines: int = 10**6
) -> Violation:
    """The place at which a body is refused. A parser that has refused keeps refusing."""
    parser = READERS[MEDIA_TYPES[name]].open(max_line_bytes=max_line_bytes, max_lines=max_lines)
    first: Refused | None = None
    for piece in [body] if isinstance(body, bytes) else body:
        first = first or _refusal_of(parser.feed(piece))
    last = _refusal_of(parser.close())
    assert last is not None, "the body was taken"
    assert first is None or first is last
    assert last.code in CODES
    assert [violation.code for violation in last.violations] == [last.code]
    return last.violations[0]


def _refusal_of(read_items: Iterator[ReadItem]) -> Refused | None:
    try:
        for _ in read_items:
            pass
    except Refused as error:
        return error
    return None
