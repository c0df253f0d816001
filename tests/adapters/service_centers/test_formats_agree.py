"""The same applications mean the same in all four formats, however the bytes are cut."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.service_centers import FORMATS, MEDIA_TYPES, READERS, WRITERS
from adapters.service_centers.layout import application_columns, nest
from adapters.service_centers.sample import sample_batch, write_batch
from adapters.service_centers.xml_format import BATCH_NAMESPACE
from schemas.application import VisaApplication
from schemas.rules import ApplicationRules, check_application, check_header
from tests.adapters.service_centers.reading import random_chunks, read

TODAY = date(2026, 7, 1)
HEADER = {
    "batch_reference": "B-1",
    "licensee_id": "LIC-1001",
    "agent_id": "AGT-2001",
    "mission_id": "MSN-IDN-JKT",
    "season": 1448,
}
XSD = "schemas/xsd/service_centers/visa-batch-v1.xsd"

# Anything that XML 1.0 and UTF-8 can hold. A carriage return is only kept by writers that escape it.
characters = st.characters(
    codec="utf-8",
    exclude_categories=["Cc", "Cs"],
    include_characters="\n\t\r",
    exclude_characters="\ufffe\uffff",
)
texts = st.text(characters, min_size=1, max_size=30)
columns = list(application_columns().values())


@st.composite
def applications(draw: st.DrawFn) -> dict[str, Any]:
    """Nested texts at any of the places a field may stand, without gaps in lists."""
    chosen = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=12, unique=True))
    longest: dict[tuple[str | int, ...], int] = {}
    paths = []
    for path in chosen:
        if isinstance(path[-1], int):
            longest[path[:-1]] = max(longest.get(path[:-1], 0), path[-1])
        else:
            paths.append(path)
    paths += [(*path, slot) for path, last in longest.items() for slot in range(last + 1)]
    return nest((path, draw(texts)) for path in paths)


def written(name: str, header: Mapping[str, Any], lines: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    write_batch(name, header, lines, out)
    return out.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.lists(applications(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_an_application_reads_the_same_from_every_format(lines: list[dict[str, Any]], random: Random) -> None:
    for name in MEDIA_TYPES:
        body = written(name, HEADER, lines)
        found = read(name, random_chunks(body, random), max_line_bytes=65_536)
        assert found.fields == lines, name
        assert check_header(found.header) == check_header(HEADER)


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_one_byte_at_a_time_reads_the_same(name: str) -> None:
    header, lines = sample_batch(12, 3, TODAY, clean=True)
    expected = list(lines)
    body = written(name, header, expected)
    assert read(name, (body[i : i + 1] for i in range(len(body)))).fields == expected


def test_sample_lines_get_the_same_verdicts_in_every_format() -> None:
    rules = ApplicationRules(today=TODAY, passport_validity_months=6)
    header, lines = sample_batch(400, 5, TODAY)
    expected = list(lines)
    verdicts = {}
    for name in MEDIA_TYPES:
        found = read(name, written(name, header, expected))
        verdicts[name] = [check_application(fields, rules) for fields in found.fields]
    assert any(isinstance(verdict, tuple) for verdict in verdicts["json"])
    assert all(verdict == verdicts["json"] for verdict in verdicts.values())


def test_written_xml_keeps_its_schema() -> None:
    schema = etree.XMLSchema(etree.parse(XSD))
    header, lines = sample_batch(50, 1, TODAY, clean=True)
    document = etree.fromstring(written("xml", header, list(lines)))
    assert schema.validate(document), schema.error_log


def test_the_xml_schema_names_every_field_and_no_other() -> None:
    schema = etree.XMLSchema(etree.parse(XSD))
    everything = nest((path, "2026-01-01") for path in columns)
    document = etree.fromstring(
        written("xml", {**HEADER, "package_id": "P", "group_number": "G"}, [everything])
    )
    assert schema.validate(document), schema.error_log
    etree.SubElement(document[-1][0], f"{{{BATCH_NAMESPACE}}}favourite_colour").text = "green"
    assert not schema.validate(document)


def test_the_columns_are_those_of_the_model() -> None:
    names = {path[0] for path in columns}
    assert names == set(VisaApplication.model_fields)


def test_every_format_has_a_reader_a_writer_and_a_media_type() -> None:
    for name, media_type in MEDIA_TYPES.items():
        assert FORMATS[media_type] == name
        assert media_type in READERS[media_type].media_types
        assert WRITERS[media_type]().media_type == media_type
