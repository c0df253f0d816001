from __future__ import annotations

import pytest

from tests.adapters.service_centers.reading import chunks, read, refused

HEADER = b'{"batch_reference":"B"}\n'


@pytest.mark.parametrize("size", [1, 13, 1_000_000])
def test_one_bad_line_does_not_hide_the_others(size: int) -> None:
    body = HEADER + b'{"reference":"1"}\n{"reference":\n{"reference":"3"}\n'
    found = read("ndjson", chunks(body, size))
    assert found.codes == [None, "invalid_json", None]
    assert [line.row for line in found.lines] == [2, 3, 4]
    assert found.lines[1].violation is not None
    assert found.lines[1].violation.params == {"column": 14}


def test_empty_lines_are_counted_as_rows_only() -> None:
    found = read("ndjson", b"\n" + HEADER + b"\r\n{}\r\n  \n{}\n\n")
    assert [(line.line, line.row) for line in found.lines] == [(1, 4), (2, 6)]


@pytest.mark.parametrize("size", [1, 13, 5_000, 1_000_000])
def test_a_line_that_is_too_long_is_passed_over(size: int) -> None:
    body = HEADER + b'{"address":"' + b"x" * 20_000 + b'"}\n{}\n'
    found = read("ndjson", chunks(body, size))
    assert found.codes == ["line_too_long", None]
    assert found.lines[1].row == 3


def test_a_line_as_long_as_allowed_is_read() -> None:
    line = b'{"address":"' + b"x" * 50 + b'"}'
    body = HEADER + line + b"\n"
    assert read("ndjson", body, max_line_bytes=len(line)).codes == [None]
    assert read("ndjson", body, max_line_bytes=len(line) - 1).codes == ["line_too_long"]


def test_a_last_line_without_newline_is_a_line() -> None:
    assert read("ndjson", HEADER + b'{"reference":"1"}').fields == [{"reference": "1"}]


@pytest.mark.parametrize("cut", [b'{"reference":"1', b'{"reference":"\xd9'])
def test_a_cut_last_line_is_told_so(cut: bytes) -> None:
    found = read("ndjson", HEADER + b"{}\n" + cut)
    assert found.codes == [None, "line_truncated"]


def test_a_line_in_another_encoding_is_its_own_fault() -> None:
    body = HEADER + '{"address":"مكة"}\n'.encode("cp1256") + b"{}\n"
    assert read("ndjson", body).codes == ["encoding_not_utf8", None]


def test_faults_inside_a_line_keep_their_code_and_place() -> None:
    found = read("ndjson", HEADER + b'{"sex":"M","sex":"F"}\n[]\n{"sex":NaN}\n')
    assert found.codes == ["duplicate_key", "wrong_type", "number_not_allowed"]
    assert found.lines[0].violation is not None
    assert found.lines[0].violation.pointer == "/sex"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "header_missing"),
        (b"\n\n", "header_missing"),
        (b"[]\n", "header_missing"),
        (b'{"reference":"1","passport":{}}\n', "header_missing"),
        (b"{\n", "invalid_json"),
        (b'{"a":1,"a":2}\n', "duplicate_key"),
        (b'{"a":"' + b"x" * 5_000 + b'"}\n', "line_too_long"),
        (b"\xef\xbb\xbf{}\n", "byte_order_mark"),
        ("{}\n".encode("utf-16"), "encoding_not_utf8"),
    ],
)
def test_a_header_that_cannot_be_read_refuses_the_body(body: bytes, code: str) -> None:
    for size in (1, 10_000):
        assert refused("ndjson", chunks(body, size)).code == code


def test_more_lines_than_allowed_refuse_the_body() -> None:
    assert refused("ndjson", HEADER + b"{}\n" * 3, max_lines=2).code == "too_many_lines"
