"""The answer with the rejected lines is read one line at a time, wherever its pieces end."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.outcome import CommandError
from cli.results import read_rejected

text = st.text(st.characters(codec="utf-8"), max_size=12)
lines = st.lists(st.dictionaries(text, st.one_of(text, st.integers(), st.none()), max_size=4), max_size=6)


class Dripping(io.BytesIO):
    """Gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(self._size)


@given(
    batch=st.dictionaries(text, text, max_size=3),
    rejected=lines,
    size=st.integers(1, 40),
    spaced=st.booleans(),
)
def test_every_line_is_read_wherever_the_pieces_end(
    batch: dict[str, str], rejected: list[dict[str, Any]], size: int, spaced: bool
) -> None:
    document = {"batch": batch, "rejected": rejected}
    separators = (",\n ", ":") if spaced else (",", ":")
    answer = json.dumps(document, ensure_ascii=False, separators=separators).encode()
    if spaced:
        answer = answer.replace(b',\n "rejected":[', b' ,"rejected":[\n').replace(b"]}", b"\n]}\n")
    head, found = read_rejected(Dripping(answer, size))
    assert head == batch
    assert list(found) == rejected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b'{"rejected":[]}',
        b'{"batch":{},"rejected":[{"line":1}',
        b'{"batch":{},"rejected":[{"line":1},',
        b'{"batch":{},"rejected":[1]}',
        b'{"batch":{},"rejected":[{"line":1} {"line":2}]}',
        b'{"batch":{},"rejected":[{"line":',
    ],
)
def test_an_answer_of_another_shape_is_refused(answer: bytes) -> None:
    with pytest.raises(CommandError):
        _head, found = read_rejected(io.BytesIO(answer))
        list(found)


def test_many_lines_are_never_in_memory_together() -> None:
    line = json.dumps({"line": 1, "application": {"photo": "x" * 100_000}})
    answer = io.BytesIO(('{"batch":{},"rejected":[\n' + ",\n".join([line] * 200) + "\n]}").encode())
    tracemalloc.start()
    try:
        _head, found = read_rejected(answer)
        assert sum(1 for _ in found) == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000
