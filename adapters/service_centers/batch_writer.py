"""Writes a batch as a service center would send it, in each of the four formats, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from adapters.service_centers.csv_format import harmless, to_csv
from adapters.service_centers.json_format import to_json
from adapters.service_centers.layout import BATCH_PREFIX, application_columns, flatten, header_fields
from adapters.service_centers.xml_format import BATCH_NAMESPACE, to_xml

Record = Mapping[str, Any]


def write_batch(name: str, header: Record, applications: Iterable[Record], out: BinaryIO) -> None:
    """Write to `out` in the format `name` (json, ndjson, csv or xml), holding one application at a time.

    Raises `KeyError` for another format, and `ValueError` for a field that CSV has no column for.
    """
    for piece in _WRITERS[name](header, applications):
        out.write(piece)


def _json(header: Record, applications: Iterable[Record]) -> Iterator[bytes]:
    yield to_json(header)[:-1] + (b"," if header else b"") + b'"applications":[\n'
    separator = b""
    for application in applications:
        yield separator + to_json(application)
        separator = b",\n"
    yield b"\n]}\n"


def _ndjson(header: Record, applications: Iterable[Record]) -> Iterator[bytes]:
    yield to_json(header) + b"\n"
    for application in applications:
        yield to_json(application) + b"\n"


def _csv(header: Record, applications: Iterable[Record]) -> Iterator[bytes]:
    batch = [BATCH_PREFIX + name for name in header_fields()]
    columns = [*batch, *application_columns()]
    shared = dict(flatten(header, BATCH_PREFIX))
    yield to_csv(columns)
    for application in applications:
        cells = shared | dict(flatten(application))
        if not cells.keys() <= set(columns):
            raise ValueError("a field has no column")
        yield to_csv([harmless(cells.get(column, "")) for column in columns])


def _xml(header: Record, applications: Iterable[Record]) -> Iterator[bytes]:
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<visa_batch xmlns="{BATCH_NAMESPACE}">\n'.encode()
    yield "".join(to_xml(name, value) for name, value in header.items()).encode()
    yield b"\n<applications>\n"
    for application in applications:
        yield f"{to_xml('application', application)}\n".encode()
    yield b"</applications>\n</visa_batch>\n"


_WRITERS: Final[Mapping[str, Callable[[Record, Iterable[Record]], Iterator[bytes]]]] = {
    "json": _json,
    "ndjson": _ndjson,
    "csv": _csv,
    "xml": _xml,
}
