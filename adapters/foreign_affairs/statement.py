"""Foreign Affairs' list of the visas that it issued on a day, as CSV or XML. Pure.

CSV: two comment lines, `# date: 2026-07-01` and `# until: 2026-07-02T00:10:00+03:00` (when the list was
made), then a header and a row a visa: `request_reference`, `status` (`issued`, `cancelled`), `visa_number`,
and, where persons are named, `issuing_state` and `passport_number`; other columns are passed over. XML: an
element `Statement` with the attributes `date` and `until`, and in it an element `Visa` each, its attributes
named as the columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final

from gateway.errors import Refused
from gateway.ports import Statement, StatementRow
from gateway.xml.parser import Element, Limits, parse

#: About half a million visas, and as much XML as the parser takes.
_LIMITS: Final = Limits(max_bytes=128_000_000, max_depth=3, max_elements=1_000_000)
_COMMENT: Final = re.compile(r"# *(?P<name>[a-z]+) *: *(?P<value>\S+)")
_NEEDED: Final = ("request_reference", "status", "visa_number")
_STATUS: Final = frozenset({"issued", "cancelled"})
_NUMBER: Final = re.compile(r"[0-9A-Za-z-]{1,32}")
_REFERENCE: Final = re.compile(r"[0-9A-Za-z/_.:-]{1,128}")


def read_statement(data: bytes) -> Statement:
    """See `ports.StatementReader`. A row that can't be read makes the whole list unusable."""
    try:
        return (
            _xml(data)
            if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
            else _csv(data.decode("utf-8-sig"))
        )
    except (ValueError, KeyError, csv.Error) as error:
        raise Refused("statement_unusable", status=422) from error


def _csv(text: str) -> Statement:
    lines = text.splitlines()
    head = [line for line in lines if line.startswith("#")]
    facts = {found["name"]: found["value"] for line in head if (found := _COMMENT.fullmatch(line.strip()))}
    rows = csv.DictReader((line for line in lines if line.strip() and not line.startswith("#")), strict=True)
    return _statement(facts, rows)


def _xml(data: bytes) -> Statement:
    root = parse(data, _LIMITS)
    if not isinstance(root.tag, str) or root.tag.rpartition("}")[2] != "Statement":
        raise Refused("statement_unusable", status=422)
    return _statement(_attributes(root), (_attributes(visa) for visa in root.iterchildren("{*}Visa")))


def _attributes(element: Element) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


def _statement(
    facts: Mapping[str, str], rows: Iterator[Mapping[str, str]] | csv.DictReader[str]
) -> Statement:
    until = datetime.fromisoformat(facts["until"])
    if until.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return Statement(date.fromisoformat(facts["date"]), until, tuple(_row(row) for row in rows))


def _row(row: Mapping[str, str]) -> StatementRow:
    reference, status, number = (row[name] or "" for name in _NEEDED)
    if not (_REFERENCE.fullmatch(reference) and status in _STATUS and _NUMBER.fullmatch(number)):
        raise ValueError("a row that is none")
    return StatementRow(
        reference, status, number, row.get("passport_number") or "", row.get("issuing_state") or ""
    )
