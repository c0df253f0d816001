"""One small batch in each format, for the OpenAPI document and `/docs`. A test sends each of them.

The formats are read and written in `adapters/service_centers`; what stands here is only an illustration.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final
from xml.sax.saxutils import escape

from schemas.hijri import season

Fields = Mapping[str, Any]

_NAMESPACE: Final = "urn:umrah:service-centers:visa-batch:v1"


def header_example(today: date) -> dict[str, Any]:
    """What the example batch says of all its lines."""
    return {
        "batch_reference": "B-0001",
        "licensee_id": "LIC-1001",
        "agent_id": "AGT-2001",
        "mission_id": "MSN-IDN-JKT",
        "package_id": "PKG-3001",
        "group_number": "GRP-4001",
        "season": season(today),
    }


def application_example(today: date) -> dict[str, Any]:
    """An invented pilgrim who travels a month after `today`."""
    arrival = today + timedelta(days=30)
    return {
        "reference": "A-1",
        "visa_type": "umrah",
        "passport": {
            "number": "X1234567",
            "type": "P",
            "issuing_state": "IDN",
            "issue_date": (today - timedelta(days=400)).isoformat(),
            "expiry_date": (today + timedelta(days=1_400)).isoformat(),
        },
        "name": {"given": "SITI", "father": "BUDI", "family": "RAHMAWATI"},
        "birth_date": "1980-05-17",
        "nationality": "IDN",
        "sex": "F",
        "travel": {
            "arrival_date": arrival.isoformat(),
            "departure_date": (arrival + timedelta(days=10)).isoformat(),
        },
    }


def result_example() -> tuple[dict[str, Any], dict[str, Any]]:
    """A batch's status and one result, as the result writers take them."""
    at = "2027-01-15T08:30:00.000+00:00"
    batch = {
        "batch_id": "019bd0f2-0000-7000-8000-000000000001",
        **header_example(date(2026, 12, 16)),
        "state": "completed",
        "revision": 1,
        "counts": {"total": 1, "issued": 1},
        "received_at": at,
        "accepted_at": at,
        "completed_at": at,
        "confirmed_at": None,
    }
    visa = {"number": "6000000001", "valid_from": "2027-01-15", "valid_until": "2027-04-15"}
    result = {
        "line": 1,
        "reference": "A-1",
        "application_id": "019bd0f2-0000-7000-8000-000000000002",
        "state": "issued",
        "visa": {**visa, "stay_until": "2027-03-16"},
        "reason": None,
        "expected_at": None,
        "errors": [],
        "updated_at": at,
    }
    return batch, result


def _json(header: Fields, application: Fields) -> Any:
    return {**header, "applications": [application]}


def _ndjson(header: Fields, application: Fields) -> str:
    return f"{json.dumps(header)}\n{json.dumps(application)}\n"


def _csv(header: Fields, application: Fields) -> str:
    cells = {f"batch.{name}": value for name, value in header.items()} | dict(_leaves(application))
    text = io.StringIO()
    rows = csv.DictWriter(text, cells, lineterminator="\r\n")
    rows.writeheader()
    rows.writerow(cells)
    return text.getvalue()


def _leaves(fields: Fields, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _xml(header: Fields, application: Fields) -> str:
    lines = "\n".join(_elements({**header, "applications": {"application": application}}, "  "))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<visa_batch xmlns="{_NAMESPACE}">\n{lines}\n</visa_batch>\n'
    )


def _elements(fields: Fields, indent: str) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield f"{indent}<{name}>"
            yield from _elements(value, f"{indent}  ")
            yield f"{indent}</{name}>"
        else:
            yield f"{indent}<{name}>{escape(str(value))}</{name}>"


#: By media type.
EXAMPLES: Final[Mapping[str, Callable[[Fields, Fields], Any]]] = {
    "application/json": _json,
    "application/x-ndjson": _ndjson,
    "text/csv": _csv,
    "application/xml": _xml,
    "text/xml": _xml,
}


def example_batch(media: str, today: date) -> Any:
    """The batch in that format: text, except for JSON."""
    return EXAMPLES[media](header_example(today), application_example(today))
