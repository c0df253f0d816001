from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.service_centers import MEDIA_TYPES, WRITERS
from adapters.service_centers.csv_format import RESULT_COLUMNS

BATCH = {"batch_id": "b", "state": "completed", "counts": {"issued": 1, "rejected": 1}, "revision": 2}
ISSUED = {
    "line": 1,
    "reference": "A1",
    "application_id": "0190",
    "state": "issued",
    "visa": {
        "number": "1000000001",
        "valid_from": "2026-07-01",
        "valid_until": "2026-10-01",
        "stay_until": None,
    },
    "reason": None,
    "errors": [],
    "updated_at": "2026-07-01T10:00:00Z",
}
REJECTED = {
    "line": 2,
    "reference": "A2",
    "state": "rejected",
    "visa": None,
    "reason": "مرفوض",
    "errors": [
        {"code": "invalid_format", "pointer": "/passport/number", "detail": 'a, "b"'},
        {"code": "field_missing", "pointer": "", "detail": None},
    ],
    "updated_at": "2026-07-01T10:00:00Z",
}


def document(name: str, *results: dict[str, Any]) -> bytes:
    writer = WRITERS[MEDIA_TYPES[name]]()
    return writer.head(BATCH) + b"".join(map(writer.line, results)) + writer.tail()


def rows(*results: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(document("csv", *results).decode(), newline=""), strict=True))


def element(node: Any) -> Any:
    """An element as nested values; a list's items stand under their plural."""
    return {etree.QName(child).localname: element(child) for child in node} if len(node) else node.text or ""


@pytest.mark.parametrize("results", [[], [ISSUED], [ISSUED, REJECTED, ISSUED]])
def test_json_holds_batch_and_results(results: list[dict[str, Any]]) -> None:
    assert json.loads(document("json", *results)) == {"batch": BATCH, "results": results}


def test_two_json_documents_may_be_written_at_once() -> None:
    first, second = WRITERS["application/json"](), WRITERS["application/json"]()
    pieces = [first.head(BATCH), first.line(ISSUED)]
    other = second.head(BATCH) + second.line(ISSUED) + second.tail()
    assert json.loads(other)["results"] == [ISSUED]
    assert json.loads(b"".join([*pieces, first.tail()]))["results"] == [ISSUED]


def test_ndjson_holds_a_result_a_line() -> None:
    lines = document("ndjson", ISSUED, REJECTED).splitlines()
    assert [json.loads(line) for line in lines] == [ISSUED, REJECTED]


def test_csv_has_the_documented_columns() -> None:
    issued, rejected = rows(ISSUED, REJECTED)
    assert tuple(issued) == RESULT_COLUMNS
    assert issued["visa.number"] == "1000000001"
    assert issued["visa.stay_until"] == issued["reason"] == issued["errors"] == ""
    assert rejected["errors"] == "invalid_format@/passport/number field_missing@"
    assert rejected["detail"] == 'a, "b" | '
    assert rejected["reason"] == "مرفوض"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "'="])
def test_a_cell_that_a_spreadsheet_would_compute_is_made_text(start: str) -> None:
    text = f'{start}HYPERLINK("http://x")'
    found = rows(
        {
            **ISSUED,
            "reference": text,
            "reason": text,
            "errors": [{"code": "a", "pointer": "", "detail": text}],
        }
    )
    assert found[0]["reference"] == found[0]["reason"] == found[0]["detail"] == f"'{text}"


def test_xml_holds_batch_and_results() -> None:
    root = etree.fromstring(document("xml", ISSUED, REJECTED))
    batch, results = root
    assert element(batch) == {
        "batch_id": "b",
        "state": "completed",
        "counts": {"issued": "1", "rejected": "1"},
        "revision": "2",
    }
    issued, rejected = map(element, results)
    assert issued["visa"] == {"number": "1000000001", "valid_from": "2026-07-01", "valid_until": "2026-10-01"}
    assert rejected["errors"] == {"error": {"code": "field_missing", "pointer": ""}}
    codes = results[1].findall("{*}errors/{*}error/{*}code")
    assert [code.text for code in codes] == ["invalid_format", "field_missing"]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_any_text_leaves_every_document_readable(text: str) -> None:
    """XML has no place for control characters: they become U+FFFD, as does what UTF-8 can't say."""
    result = {**ISSUED, "reference": text}
    kept = text.encode(errors="surrogatepass").decode(errors="ignore")
    written = "".join(char if char.isprintable() or char in "\t\n\r" else "?" for char in kept)
    assert json.loads(document("json", result))["results"][0]["application_id"] == "0190"
    assert json.loads(document("ndjson", result))["application_id"] == "0190"
    (row,) = rows(result)
    assert row["application_id"] == "0190"
    found = etree.fromstring(document("xml", result)).findtext("{*}results/{*}result/{*}reference")
    if written == text:
        assert found == text
