"""What is written without asking the schema is valid all the same: an invalid request never leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
import zeep
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.foreign_affairs.operations import VISA_ISSUANCE
from adapters.interior.operations import PASSPORT_VERIFICATION, SECURITY_CLEARANCE
from gateway.clock import SystemClock
from gateway.errors import Refused
from gateway.http import HttpClient
from gateway.soap import Endpoint, SoapPartner, load_contract
from gateway.soap.contract import VENDORED, Contract, _VendoredFiles
from gateway.soap.simple_types import CHARACTER, simple_types
from tests.soap.generated import CONTRACTS, ELEMENTS, LEAVES, SERVICES, codec, values_of
from tests.soap.partners import APPLICATION, application, context

XS = "http://www.w3.org/2001/XMLSchema"
#: By name; types that several WSDLs import once.
EXPRESSIONS: Mapping[str, str] = {
    name: expression
    for path in VENDORED.glob("wsdl/*/*.wsdl")
    for name, expression in simple_types(path).items()
    if XS not in name
}
#: What often goes wrong in a value, beside what chance brings.
ODD: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            " ",
            "A\r",
            "A\n",
            "A&B",
            "A&amp;B",
            "<x/>",
            "]]>",
            "A\x00",
            "\ud800",
            "\ufffe",
            "\U0010ffff",
            "é",
        ]
    ),
    st.sampled_from(["2026-02-29", "2026-02-30", "2026-04-31", "2026-13-01", "2026-00-10", "0999-01-01"]),
    st.sampled_from(["2026-01-01Z", "2026-01-01 ", "2026-01-01\n", "٢٠٢٦-٠١-٠١", "2026-01-01T24:00:00Z"]),
    st.sampled_from([None, 0, 7, True, {}, {"x": "y"}, [], b"A", 1.5]),
)


def schema_of_one(name: str) -> etree.XMLSchema:
    """A schema with one element, of this type."""
    namespace, _, local = name[1:].partition("}")
    imported = next(
        found
        for found in VENDORED.glob("xsd/**/*.xsd")
        if etree.parse(found).getroot().get("targetNamespace") == namespace
    )
    return etree.XMLSchema(
        etree.fromstring(
            f'<xs:schema xmlns:xs="{XS}" xmlns:t="{namespace}">'
            f'<xs:import namespace="{namespace}" schemaLocation="{imported.as_uri()}"/>'
            f'<xs:element name="x" type="t:{local}"/></xs:schema>'
        )
    )


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_matches_a_types_expression_is_valid_by_the_schema(name: str) -> None:
    schema, expression = schema_of_one(name), EXPRESSIONS[name]

    # hypothesis looks at each character of a class, and tries in vain what a look ahead excludes.
    few = re.sub(r"\(\?=.*\(\?!\[\^<]\)\)", "", expression).replace(
        CHARACTER, "[\\t\\nA-Z \u0638\ufffd\U0001f54b]"
    )

    @settings(deadline=None)
    @given(st.one_of(st.from_regex(few, fullmatch=True), ODD))
    @example("2026-02-28")
    @example("2026-12-31T23:59:59.123456+13:59")
    def valid(text: Any) -> None:
        if isinstance(text, str) and re.fullmatch(expression, text):
            element = etree.fromstring(f"<x>{text}</x>".encode())
            assert schema.validate(element)
            assert element.text == (text or None)

    valid()


@pytest.mark.parametrize("name", [name for name in EXPRESSIONS if name.partition("}")[2] in LEAVES])
def test_what_our_types_usually_hold_is_known_without_the_schema(name: str) -> None:
    expression = re.compile(EXPRESSIONS[name])

    @settings(deadline=None)
    @given(LEAVES[name.partition("}")[2]])
    def known(value: Any) -> None:
        text = value.isoformat() if hasattr(value, "isoformat") else str(value)
        assert expression.fullmatch(text) or "-02-29" in text or set(text) & set("&<>")

    known()


def changed(values: Any, path: list[int], odd: Any) -> Any:
    """The values with one of them, wherever it is, replaced; or with one more."""
    if not isinstance(values, dict) or not values or not path:
        return odd
    names = [*values, "more"]
    name = names[path[0] % len(names)]
    return {**values, name: changed(values.get(name), path[1:], odd)}


@pytest.mark.parametrize(("name", "action", "side"), ELEMENTS)
def test_whatever_is_written_as_certain_is_valid(name: str, action: str, side: str) -> None:
    contract, one = CONTRACTS[name], codec(name, action, side)
    given_values = values_of(contract_type(name, one.tag))

    @settings(deadline=None)
    @given(given_values, st.lists(st.integers(0, 20), min_size=1, max_size=3), ODD)
    def valid(values: dict[str, Any], path: list[int], odd: Any) -> None:
        for tried in (texts(values), changed(texts(values), path, odd)):
            written = one.write_certain(tried) if isinstance(tried, dict) else None
            if written is not None:
                contract.check(etree.fromstring(written.encode()))
                assert written == one.write(tried)

    valid()


def contract_type(name: str, tag: str) -> Any:
    """As zeep read it."""
    transport: Any = _VendoredFiles()
    document: Any = zeep.wsdl.Document(str(VENDORED / "wsdl" / SERVICES[name].wsdl), transport)
    return document.types.get_element(tag).type


def texts(values: Any) -> Any:
    """As converters give them: dates as text."""
    if isinstance(values, Mapping):
        return {name: texts(value) for name, value in values.items()}
    return values.isoformat() if hasattr(values, "isoformat") else values


@pytest.mark.parametrize("operation", [SECURITY_CLEARANCE, PASSPORT_VERIFICATION, VISA_ISSUANCE])
def test_a_usual_request_is_certain_and_costs_no_look_at_the_schema(
    operation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract, clock = CONTRACTS[operation.destination], SystemClock()
    partner = SoapPartner(contract, Endpoint("http://127.0.0.1:1", 1, 1), HttpClient(clock, idle_s=1), clock)
    values = operation.call.request(application(), context())
    before = partner.prepare(operation.call.action, values, context())

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the schema was asked")

    monkeypatch.setattr(Contract, "check", refuse)
    after = partner.prepare(operation.call.action, values, context())
    assert before.body.partition(b"<s:Body>")[2] == after.body.partition(b"<s:Body>")[2]


def test_no_value_reaches_into_another() -> None:
    """Values are matched together: what stands between them is in none of them."""
    request = CONTRACTS["foreign-affairs"].actions["IssueVisa"].request
    values = VISA_ISSUANCE.call.request(application(), context())
    assert request.write_certain(values) is not None
    without = {name: value for name, value in values.items() if name != "group_number"}
    joined = f"{values['mission']}<{values['group_number']}"
    assert request.write_certain({**without, "mission": joined}) is None
    assert request.write_certain({**values, "mission": f"{values['mission']}<"}) is None
    assert request.write_certain({**values, "mission": "%s"}) is None


def test_a_number_that_is_given_as_a_text_is_not_written() -> None:
    contract = CONTRACTS["passports"]
    values = {
        "request_reference": "01999999-0000-7000-8000-000000000001/x",
        "visa_number": "6012345678",
        "due_date": "2026-07-30",
        "level": 1,
    }
    assert contract.write_request("ReportOverstay", values)
    with pytest.raises(Refused):
        contract.write_request("ReportOverstay", {**values, "level": "1"})


def test_combinations_of_absent_fields_beyond_the_usual_are_left_to_the_schema(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.soap.codec._MOST_FORMS", 1)
    request = load_contract(SERVICES["foreign-affairs"]).actions["IssueVisa"].request
    values = VISA_ISSUANCE.call.request(application(), context())
    assert request.write_certain(values) is not None
    without = {name: value for name, value in values.items() if name != "group_number"}
    assert request.write_certain(without) is None
    assert request.write_certain(values) is not None


def test_a_request_in_doubt_is_asked_about_and_sent_when_it_is_valid() -> None:
    contract = CONTRACTS["foreign-affairs"]
    leap = application(birth_date="2000-02-29", name_ar__given="س & ص")
    values = VISA_ISSUANCE.call.request(leap, context())
    assert contract.actions["IssueVisa"].request.write_certain(values) is None
    written = contract.write_request("IssueVisa", values)
    assert "2000-02-29" in written
    assert "س &amp; ص" in written
    assert APPLICATION["birth_date"] not in written


@pytest.mark.parametrize(
    "type_",
    [
        '<xs:restriction base="xs:string"><xs:pattern value="\\d+"/></xs:restriction>',
        '<xs:restriction base="xs:string"><xs:pattern value="a.c"/></xs:restriction>',
        '<xs:restriction base="xs:string"><xs:pattern value="[a-z-[x]]"/></xs:restriction>',
        '<xs:restriction base="xs:string"><xs:pattern value="a^b$"/></xs:restriction>',
        '<xs:restriction base="xs:string"><xs:pattern value="A"/><xs:maxLength value="1"/></xs:restriction>',
        '<xs:restriction base="xs:string"><xs:length value="3"/></xs:restriction>',
        '<xs:restriction base="xs:string"><xs:whiteSpace value="collapse"/></xs:restriction>',
        '<xs:restriction base="xs:string"><xs:enumeration value="a&amp;b"/></xs:restriction>',
        '<xs:restriction base="xs:token"><xs:pattern value="[A-Z]{2}"/></xs:restriction>',
        '<xs:restriction base="xs:decimal"><xs:fractionDigits value="2"/></xs:restriction>',
        '<xs:restriction base="xs:int"><xs:minInclusive value="0"/><xs:maxInclusive value="999"/>'
        "</xs:restriction>",
        '<xs:list itemType="xs:string"/>',
        '<xs:union memberTypes="xs:string xs:date"/>',
    ],
)
def test_a_type_that_says_more_than_can_be_told_is_left_to_the_schema(tmp_path: Path, type_: str) -> None:
    assert not [name for name in tried(tmp_path, type_) if name.endswith("}T")]


@pytest.mark.parametrize(
    "more",
    [
        '<xs:element name="a" type="xs:string" fixed="x"/>',
        '<xs:element name="a" type="xs:string"/><xs:element name="b" substitutionGroup="a"/>',
        '<xs:include schemaLocation="other.xsd"/>',
    ],
)
def test_a_schema_that_says_more_than_its_types_is_asked_each_time(tmp_path: Path, more: str) -> None:
    enumerated = '<xs:restriction base="xs:string"><xs:enumeration value="a"/></xs:restriction>'
    assert tried(tmp_path, enumerated)["{urn:t}T"] == "(?:a)"
    assert tried(tmp_path, enumerated, more) == {}


def tried(folder: Path, type_: str, more: str = "") -> Mapping[str, str]:
    wsdl = folder / "a.wsdl"
    wsdl.write_text(
        f'<wsdl xmlns:xs="{XS}"><xs:schema targetNamespace="urn:t">{more}'
        f'<xs:simpleType name="T">{type_}</xs:simpleType></xs:schema></wsdl>',
        "utf-8",
    )
    return simple_types(wsdl)
