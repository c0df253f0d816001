from __future__ import annotations

import csv
import io
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.service_centers.csv_format import harmless, meant, to_csv
from tests.adapters.service_centers.reading import chunks, random_chunks, read, refused

HEAD = b"batch.batch_reference,reference,address,passport.mrz.1,passport.mrz.2\r\n"


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_rows_become_nested_fields(size: int) -> None:
    found = read("csv", chunks(HEAD + b"B,1,,M1,M2\r\nB,2,street,,\r\n", size))
    assert found.header == {"batch_reference": "B"}
    assert found.fields == [
        {"reference": "1", "passport": {"mrz": ["M1", "M2"]}},
        {"reference": "2", "address": "street"},
    ]


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_quoted_cells_hold_commas_quotes_and_newlines(size: int) -> None:
    found = read("csv", chunks(HEAD + b'B,1,"a, ""b""\r\nc",,\r\n"B","2","","",""\r\nB,3,x,,\r\n', size))
    assert [fields["reference"] for fields in found.fields] == ["1", "2", "3"]
    assert found.fields[0]["address"] == 'a, "b"\r\nc'
    assert [line.row for line in found.lines] == [2, 4, 5]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (b"B,1,x,M1", 5),
        (b"B,1,x,M1,M2,more", 6),
        (b'B,1,x"y,M1,M2', 3),
        (b'B,1,"x"y,M1,M2', 3),
        (b"B,1,x\ry,M1,M2", 3),
    ],
)
@pytest.mark.parametrize("size", [1, 1_000])
def test_a_row_that_is_not_csv_does_not_hide_the_others(row: bytes, column: int, size: int) -> None:
    for body in (b"B,0,,,\r\n" + row + b"\r\nB,2,,,\r\n", row + b"\r\nB,2,,,\r\n"):
        found = read("csv", chunks(HEAD + body, size))
        assert found.codes[-2:] == ["invalid_csv", None]
        assert found.lines[-2].violation is not None
        assert found.lines[-2].violation.params == {"column": column}
        assert found.lines[-1].row == len(found.lines) + 1


def test_batch_columns_must_be_equal_on_every_row() -> None:
    found = read("csv", HEAD + b"B,1,,,\nC,2,,,\n,3,,,\nB,4,,,\n")
    assert found.codes == [None, "batch_columns_differ", "batch_columns_differ", None]


def test_a_gap_in_a_list_is_not_closed() -> None:
    assert read("csv", HEAD + b"B,1,,,M2\n").fields == [{"reference": "1", "passport": {"mrz": ["", "M2"]}}]


def test_the_mark_that_spreadsheets_write_is_accepted() -> None:
    for size in (1, 1_000):
        assert read("csv", chunks(b"\xef\xbb\xbf" + HEAD + b"B,1,,,\n", size)).fields == [{"reference": "1"}]


def test_a_last_row_without_newline_and_empty_rows_are_fine() -> None:
    found = read("csv", HEAD + b"B,1,,,\r\n\r\n\nB,2,,,")
    assert [(line.line, line.row) for line in found.lines] == [(1, 2), (2, 5)]


@pytest.mark.parametrize("size", [1, 1_000, 1_000_000])
@pytest.mark.parametrize("cell", [b"x" * 131_073, b'"' + b'x""\r\n' * 30_000 + b'"'])
def test_a_row_that_is_too_long_is_passed_over(cell: bytes, size: int) -> None:
    if size == 1:
        cell = cell[:5_000] + b'"' * cell.startswith(b'"')
    body = HEAD + b"B,0,,,\nB,1," + cell + b",,\nB,2,,,\n"
    found = read("csv", chunks(body, size))
    assert found.codes == [None, "line_too_long", None]
    assert found.lines[2].row == 4 + cell.count(b"\n")


def test_a_stray_quote_in_a_row_passed_over_does_not_swallow_the_next() -> None:
    pieces = [HEAD + b"B,0,,,\nB,1," + b"x" * 5_000, b'"y,,\n', b"B,2,,,\n"]
    assert read("csv", pieces).codes == [None, "line_too_long", None]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"", "header_missing", ""),
        (b"\r\n", "header_missing", ""),
        (HEAD, "batch_empty", ""),
        (b"reference,reference\n1,1\n", "duplicate_key", "/reference"),
        (b"passport.mrz.1,passport.mrz.1\n1,1\n", "duplicate_key", "/passport/mrz/0"),
        (b"reference,passport.colour\n1,1\n", "unknown_field", "/passport/colour"),
        (b"batch.colour\n1\n", "unknown_field", "/colour"),
        (b"disclosures.11\n1\n", "unknown_field", "/disclosures/10"),
        (b"reference,L898902C3\n1,1\n", "unknown_field", ""),
        (b"9" * 5_000 + b"\n1\n", "line_too_long", ""),
        (b"9" * 4_090 + b"\n1\n", "unknown_field", ""),
        (b'"reference"x\n1\n', "invalid_csv", ""),
        (HEAD + b"1\n2\n", "invalid_csv", ""),
        ((HEAD + b"B,1,,,\n").decode().encode("utf-16"), "encoding_not_utf8", ""),
        ((HEAD + b"B,1,,,\n").decode().encode("utf-16-le"), "encoding_not_utf8", ""),
        (HEAD + "B,1,مكة,,\n".encode("cp1256"), "encoding_not_utf8", ""),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(body: bytes, code: str, pointer: str) -> None:
    for size in (1, 10_000):
        found = refused("csv", chunks(body, size))
        assert (found.code, found.pointer) == (code, pointer)


def test_bad_rows_without_a_good_one_wait_in_bounded_number() -> None:
    assert len(read("csv", HEAD + b"x\n" * 1_000 + b"B,1,,,\n").lines) == 1_001
    found = refused("csv", HEAD + b"x\n" * 1_001 + b"B,1,,,\n")
    assert (found.code, found.params["row"]) == ("invalid_csv", 2)


def test_more_lines_than_allowed_refuse_the_body() -> None:
    assert refused("csv", HEAD + b"B,1,,,\n" * 3, max_lines=2).code == "too_many_lines"


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=4),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.randoms(use_true_random=False),
)
def test_what_the_standard_library_writes_is_read_back(
    rows: list[tuple[str, str]], quoting: int, random: Random
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["reference", "address", "sex"])
    writer.writerows((*row, "M") for row in rows)
    found = read("csv", random_chunks(out.getvalue().encode(), random, 5))
    read_back = [(fields.get("reference", ""), fields.get("address", "")) for fields in found.fields]
    assert read_back == [(meant(reference), meant(address)) for reference, address in rows]


@pytest.mark.parametrize("value", ["+966512345678", "=1+1", "'=1", "''@x", "-", "＝1", "'Abd", "'", "a'=b"])
def test_what_was_made_harmless_for_a_spreadsheet_means_what_it_meant(value: str) -> None:
    body = to_csv(["reference", "address"]) + to_csv([harmless(value), "x"])
    assert read("csv", body).fields == [{"reference": value, "address": "x"}]
    assert harmless(value)[0] not in "=+-@＝"
