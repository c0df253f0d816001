"""Bodies made to cost: each ends in a stable code, in bounded time and memory, and the next one is read."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from itertools import repeat

import pytest

from tests.adapters.service_centers.reading import read, refused

#: Generous: the worst of these takes a tenth of it on a slow core.
LONGEST_S = 10.0
MOST_BYTES = 3_000_000
CHUNK = 65_536

XML = b'<visa_batch xmlns="urn:umrah:service-centers:visa-batch:v1"><applications>'
XML_LINE = XML + b"<application>"
GOOD = {
    "json": b'{"batch_reference":"B","applications":[{"reference":"1"}]}',
    "ndjson": b'{"batch_reference":"B"}\n{"reference":"1"}\n',
    "csv": b"batch.batch_reference,reference\nB,1\n",
    "xml": XML_LINE + b"<reference>1</reference></application></applications></visa_batch>",
}


def body(start: bytes, part: bytes, size: int, end: bytes = b"") -> Iterator[bytes]:
    """`start`, then `part` again and again up to `size` bytes, then `end`, in chunks."""
    yield start
    chunk = part * max(1, CHUNK // len(part))
    yield from repeat(chunk, size // len(chunk))
    yield end


REFUSED = [
    ("json", body(b'{"applications":[{"a":', b"[", 200_000), "nesting_too_deep"),
    ("json", body(b'{"applications":[', b"[", 20_000_000), "nesting_too_deep"),
    ("json", body(b'{"applications":[[', b"[],", 20_000_000), "invalid_json"),
    ("json", body(b'{"applications":[[', b"[[]],", 20_000_000), "too_many_elements"),
    ("json", body(b'{"a":[', b"{},", 20_000_000), "line_too_long"),
    ("json", body(b'{"applications":["', b"x", 20_000_000), "invalid_json"),
    ("json", body(b"", b" ", 20_000_000), "invalid_json"),
    ("json", body(b'{"a":"', b"x", 20_000_000), "line_too_long"),
    ("json", body(b"{", b'"a":1,', 20_000_000), "duplicate_key"),
    ("json", body(b'{"applications":[', b"{},", 3_000_000), "too_many_lines"),
    ("ndjson", body(b"", b"x", 20_000_000), "line_too_long"),
    ("ndjson", body(b"", b"\n", 20_000_000), "header_missing"),
    ("csv", body(b"reference", b",reference", 20_000_000), "line_too_long"),
    ("csv", body(b"reference\n", b"\r\n", 20_000_000), "batch_empty"),
    ("ndjson", body(b"{}\n", b" \r\n", 20_000_000, b"{}\n" * 10_001), "too_many_lines"),
    ("csv", body(b"reference\n", b",\n", 500_000), "invalid_csv"),
    ("xml", body(XML_LINE, b"<a>", 1_000_000), "nesting_too_deep"),
    ("xml", body(XML_LINE + b"<a ", b"b='' ", 1_000_000), "invalid_xml"),
    ("xml", body(XML_LINE + b"<a", b"a", 20_000_000), "invalid_xml"),
    ("xml", body(XML_LINE + b"<!--", b"a", 20_000_000), "invalid_xml"),
    ("xml", body(XML_LINE + b"<?a ", b"a", 20_000_000), "invalid_xml"),
    ("xml", body(XML[:-14] + b"<season>", b"x", 11_000_000), "line_too_long"),
    ("xml", body(XML[:-14], b"<season/>", 11_000_000), "line_too_long"),
    ("xml", body(XML_LINE, b"<a/>", 4_000_000), "too_many_elements"),
    ("xml", body(XML_LINE, b"<!-- -->", 4_000_000), "too_many_elements"),
    ("xml", body(XML[:-14], b"<!-- -->", 4_000_000), "too_many_elements"),
    ("xml", body(b"<!DOCTYPE a [", b"<!ENTITY b 'x'>", 1_000_000), "doctype_forbidden"),
]
LINES = [
    ("json", body(b'{"applications":[{"a":"', b"x", 20_000_000, b'"},{"reference":"1"}]}')),
    ("json", body(b'{"applications":[{"a":"', rb"\"", 20_000_000, b'"},{"reference":"1"}]}')),
    ("ndjson", body(b"{}\n", b"x", 100_000_000, b'\n{"reference":"1"}')),
    ("csv", body(b'reference\n"', b"x,\n", 20_000_000, b'"\n1\n')),
    ("csv", body(b'reference\n"', b'""', 20_000_000, b'"\n1\n')),
    ("csv", body(b"reference\n", b'"",', 20_000_000, b"\n1\n")),
    ("csv", body(b"reference\n", b'x"', 20_000_000, b"\n1\n")),
    ("ndjson", body(b"{}\n", b"[{}],", 400_000, b'\n{"reference":"1"}')),
    ("xml", body(XML_LINE + b"<a>", b"x", 11_000_000, b"</a></application>" + GOOD["xml"][len(XML) :])),
]


@pytest.fixture
def bounded() -> Iterator[None]:
    tracemalloc.start()
    began = time.monotonic()
    yield
    took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < LONGEST_S
    assert peak < MOST_BYTES


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(("name", "pieces", "code"), REFUSED)
def test_a_costly_body_is_refused(name: str, pieces: Iterator[bytes], code: str) -> None:
    assert refused(name, pieces, max_lines=10_000).code == code
    assert read(name, GOOD[name]).fields == [{"reference": "1"}]


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(("name", "pieces"), LINES)
def test_a_costly_line_does_not_hide_the_next(name: str, pieces: Iterator[bytes]) -> None:
    found = read(name, pieces)
    assert found.codes == ["line_too_long", None]
    assert found.fields[1] == {"reference": "1"}


@pytest.mark.parametrize(
    ("name", "start", "part", "end"),
    [
        ("json", b'{"applications":[{"a":"', b"x", b'"}]}'),
        ("json", b'{"applications":[{"a":', b" ", b"1}]}"),
        ("ndjson", b'{}\n{"a":"', b"x", b'"}\n'),
        ("csv", b'address\n"', b"x", b'"\n'),
        ("csv", b"address\n", b"x", b"\n"),
        ("xml", XML_LINE + b"<a>", b"x", b"</a></application></applications></visa_batch>"),
    ],
)
def test_a_long_line_in_tiny_chunks_is_looked_at_once(
    name: str, start: bytes, part: bytes, end: bytes
) -> None:
    """Two hundred thousand chunks: looking at the line anew with each would take minutes."""
    pieces = (piece for run in ([start], repeat(part, 200_000), [end]) for piece in run)
    assert read(name, pieces, max_line_bytes=300_000).codes == [None]


def test_one_bad_line_of_ten_thousand_is_one_fault() -> None:
    lines = [b'{"reference":"%d"}' % number for number in range(10_000)]
    lines[5_000] = b'{"reference":'
    found = read("ndjson", b"{}\n" + b"\n".join(lines))
    assert [line.line for line in found.lines if line.violation] == [5_001]
    assert len(found.lines) == 10_000


def test_a_caller_may_pause_between_lines() -> None:
    """One chunk of many lines is not read ahead of the caller."""
    from adapters.service_centers import MEDIA_TYPES, READERS

    parser = READERS[MEDIA_TYPES["json"]].open(max_line_bytes=1_000, max_lines=10)
    taken = parser.feed(b'{"applications":[{"reference":"1"},{"reference":"2"},}')
    assert [next(taken), next(taken), next(taken)]
