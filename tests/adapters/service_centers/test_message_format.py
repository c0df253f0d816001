"""Messages in JSON and XML: the same fields from both, and whatever is broken or hostile refused."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.service_centers.message_format import MESSAGE_LIMITS, read_json, read_xml
from gateway.errors import Refused
from schemas.catalogue import CODES
from schemas.kinds import KINDS, check
from schemas.kinds.xml_layout import NAMESPACE, named_root, to_xml
from tests.schemas.kinds.bodies import bodies, full

#: XML can't say that a list is there and empty: these two are sent by the gateway only.
BY_CENTERS = [name for name, kind in KINDS.items() if "service_center" in kind.senders]
ALL = pytest.mark.parametrize("name", KINDS)
DECISION = KINDS["package.decision"]
CONTROLS = KINDS["controls.published"]
REGISTRATION = KINDS["service_center.registration"]


def canonical(name: str, fields: object) -> bytes:
    body = check(name, fields)
    assert isinstance(body, dict), body
    return json.dumps(body, sort_keys=True, ensure_ascii=False).encode()


def document(inner: str, kind: str = "package.decision", attributes: str = "") -> bytes:
    return f'<message xmlns="{NAMESPACE}" kind="{kind}"{attributes}>{inner}</message>'.encode()


DECIDED = "<package_id>PKG-1</package_id><revision>1</revision><decision>approved</decision>"


def refused(read: Any, *arguments: Any) -> tuple[str, str]:
    """Code and pointer of the refusal."""
    with pytest.raises(Refused) as caught:
        read(*arguments)
    (violation,) = caught.value.violations
    assert violation.code == caught.value.code
    assert CODES[violation.code].placeholders("en") <= violation.params.keys()
    return violation.code, violation.pointer


# --- the same in both -------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.data())
@ALL
def test_a_body_means_the_same_in_both_formats(name: str, data: st.DataObject) -> None:
    body = data.draw(bodies(name))
    from_json = read_json(json.dumps(body).encode())
    from_xml = read_xml(to_xml(name, body).encode(), KINDS[name])
    assert canonical(name, from_json) == canonical(name, from_xml)


@ALL
def test_every_field_of_a_kind_comes_through_xml(name: str) -> None:
    assert read_xml(to_xml(name, full(name)).encode(), KINDS[name]) == full(name)


@pytest.mark.parametrize("name", BY_CENTERS)
def test_the_root_may_be_named_as_the_kind(name: str) -> None:
    text = to_xml(name, KINDS[name].example)
    root = named_root(name)
    for opening in (f"<{root}", f'<{root} kind="{name}"'):
        renamed = text.replace(
            f'<message xmlns="{NAMESPACE}" kind="{name}"', f'{opening} xmlns="{NAMESPACE}"'
        )
        renamed = renamed.replace("</message>", f"</{root}>")
        assert read_xml(renamed.encode(), KINDS[name]) == KINDS[name].example


def test_prefix_declaration_utf16_and_schema_location_change_nothing() -> None:
    plain = read_xml(document(DECIDED), DECISION)
    prefixed = DECIDED.replace("</", "</m:").replace("<", "<m:").replace("<m:/m:", "</m:")
    text = f'<m:message xmlns:m="{NAMESPACE}" kind="package.decision">{prefixed}</m:message>'
    location = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'
    assert read_xml(text.encode(), DECISION) == plain
    assert read_xml(text.encode("utf-16"), DECISION) == plain
    assert read_xml(b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode(), DECISION) == plain
    assert read_xml(document(DECIDED, attributes=location), DECISION) == plain


def test_one_element_is_a_list_of_one_and_order_is_kept() -> None:
    fields = read_xml(
        document(
            "<licensees>B</licensees><center_id>c</center_id><licensees>A</licensees>", REGISTRATION.kind
        ),
        REGISTRATION,
    )
    assert fields == {"licensees": ["B", "A"], "center_id": "c"}
    assert read_xml(document("<licensees>B</licensees>", REGISTRATION.kind), REGISTRATION)["licensees"] == [
        "B"
    ]


def test_the_largest_plan_is_read_in_both() -> None:
    body = {
        **KINDS["plan.submission"].example,
        "quotas": [{"month": 7, "country": "IDN", "pilgrims": 1}] * 1500,
    }
    assert read_json(json.dumps(body).encode()) == body
    assert read_xml(to_xml("plan.submission", body).encode(), KINDS["plan.submission"]) == body


# --- texts that are no numbers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", "01", "1.0", "1e3", "0x1", "٣", "²", "1_000", "NaN", "one", "9" * 5000, "1\n"],
)
def test_a_text_that_is_no_plain_integer_stays_a_text_and_is_refused(text: str) -> None:
    fields = read_xml(document(DECIDED.replace(">1<", f">{text}<")), DECISION)
    assert fields["revision"] == text
    found = check("package.decision", fields)
    assert isinstance(found, tuple)
    assert [(fault.code, fault.pointer) for fault in found] == [("wrong_type", "/revision")]


@pytest.mark.parametrize("text", ["", "maybe", "TRUE", "True", "1", "0", "yes", " true", "١"])
def test_a_boolean_is_true_or_false_and_nothing_else(text: str) -> None:
    fields = read_xml(document(f"<conforms>{text}</conforms>", REGISTRATION.kind), REGISTRATION)
    found = check(REGISTRATION.kind, fields)
    assert isinstance(found, tuple)
    assert ("wrong_type", "/conforms") in [(fault.code, fault.pointer) for fault in found]


@pytest.mark.parametrize("text", ["NaN", "INF", "1e-3", ".5", "5.", "0,5", "٠", "1/2", ""])
def test_a_number_is_plain_decimal_digits(text: str) -> None:
    inner = f"<overstay><max_ratio>{text}</max_ratio></overstay>"
    found = check(CONTROLS.kind, read_xml(document(inner, CONTROLS.kind), CONTROLS))
    assert isinstance(found, tuple)
    assert ("wrong_type", "/overstay/max_ratio") in [(fault.code, fault.pointer) for fault in found]


def test_a_field_nobody_knows_is_left_for_the_check_to_name() -> None:
    inner = DECIDED + "<colour>red</colour><size><width>1</width></size>"
    found = check("package.decision", read_xml(document(inner), DECISION))
    assert isinstance(found, tuple)
    assert [(fault.code, fault.pointer) for fault in found] == [
        ("unknown_field", "/colour"),
        ("unknown_field", "/size"),
    ]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<overstay>5</overstay>", ("wrong_type", "/overstay")),
        ("<unplanned_months><x>open</x></unplanned_months>", ("wrong_type", "/unplanned_months")),
        ("<version><n>1</n></version>", ("wrong_type", "/version")),
        ("<request_windows/>", ("field_missing", "/request_windows/0/opens")),
        ("<unplanned_months/>", ("field_empty", "/unplanned_months")),
    ],
)
def test_a_text_for_a_record_and_a_record_for_a_text_are_named_by_the_check(
    inner: str, expected: tuple[str, str]
) -> None:
    found = check(CONTROLS.kind, read_xml(document(inner, CONTROLS.kind), CONTROLS))
    assert isinstance(found, tuple)
    assert expected in [(fault.code, fault.pointer) for fault in found]


# --- hostile XML ------------------------------------------------------------------------------------

REVISION = "<revision>1</revision>"
MANY_ATTRIBUTES = " ".join(f'a{number}=""' for number in range(50_000))
XSI = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"", "invalid_xml", ""),
        (b"not xml", "invalid_xml", ""),
        (document(DECIDED)[:-5], "invalid_xml", ""),
        (document(DECIDED) * 2, "invalid_xml", ""),
        (b"<!DOCTYPE message [<!ENTITY a 'b'>]>" + document(DECIDED), "doctype_forbidden", ""),
        (b"<!DOCTYPE message SYSTEM 'http://localhost/x.dtd'>" + document(DECIDED), "doctype_forbidden", ""),
        (
            ("<!DOCTYPE m [<!ENTITY a 'b'>]>" + document(DECIDED).decode()).encode("utf-16"),
            "doctype_forbidden",
            "",
        ),
        (document(DECIDED.replace("PKG-1", "&a;")), "invalid_xml", ""),
        (document(DECIDED.replace("PKG-1", "PKG-ع")).decode().encode("cp1256"), "encoding_not_utf8", ""),
        (b'<?xml version="1.0" encoding="utf-7"?>' + document(DECIDED), "encoding_not_utf8", ""),
        (document(DECIDED.replace("PKG-1", "PKG\x001")), "invalid_xml", ""),
        (document(DECIDED.replace("PKG-1", "PKG<!-- - -->1")), "invalid_xml", "/package_id"),
        (document(DECIDED.replace("PKG-1", "PKG<?x y?>1")), "invalid_xml", "/package_id"),
        (document(DECIDED + "<!-- - -->"), "invalid_xml", ""),
        (document(DECIDED + "text"), "invalid_xml", ""),
        (document("text" + DECIDED), "invalid_xml", ""),
        (document("<a/>\u00a0<b/>"), "invalid_xml", ""),
        (document(DECIDED + "<revision>2</revision>"), "duplicate_key", "/revision"),
        (document(DECIDED + "<colour/><colour/>"), "duplicate_key", "/colour"),
        (document(REVISION.replace(">", ' unit="x">', 1)), "unknown_field", "/revision"),
        (document(REVISION.replace(">", f' xsi:nil="true"{XSI}>', 1)), "unknown_field", "/revision"),
        (document(REVISION.replace(">", f' xsi:type="x"{XSI}>', 1)), "unknown_field", "/revision"),
        (document(DECIDED + '<x xmlns=""/>'), "unknown_field", "/x"),
        (document(DECIDED + '<x xmlns="urn:other"/>'), "unknown_field", ""),
        (document(DECIDED, attributes=' version="1"'), "invalid_xml", ""),
        (document(DECIDED).replace(NAMESPACE.encode(), b"urn:other"), "invalid_xml", ""),
        (document(DECIDED).replace(f' xmlns="{NAMESPACE}"'.encode(), b""), "invalid_xml", ""),
        (document(DECIDED, kind="plan.decision"), "kind_mismatch", ""),
        (document(DECIDED).replace(b' kind="package.decision"', b""), "kind_mismatch", ""),
        (f'<plan-decision xmlns="{NAMESPACE}">{DECIDED}</plan-decision>'.encode(), "kind_mismatch", ""),
        (document("<a>" * 300 + "</a>" * 300), "nesting_too_deep", ""),
        (document("<a>" * 9 + "</a>" * 9), "nesting_too_deep", ""),
        (document("<a/>" * 200_000), "too_many_elements", ""),
        (document(f"<a {MANY_ATTRIBUTES}/>"), "too_many_attributes", ""),
        (document("x" * 1_048_577), "body_too_large", ""),
    ],
)
def test_a_document_that_cannot_be_taken_is_refused_at_once(body: bytes, code: str, pointer: str) -> None:
    began = perf_counter()
    assert refused(read_xml, body, DECISION) == (code, pointer)
    assert perf_counter() - began < 2
    assert read_xml(document(DECIDED), DECISION)


def test_a_fault_inside_a_list_is_told_with_its_position() -> None:
    inner = "<quotas><month>7</month></quotas><quotas><month>7</month><month>8</month></quotas>"
    plan = KINDS["plan.submission"]
    assert refused(read_xml, document(inner, plan.kind), plan) == ("duplicate_key", "/quotas/1/month")


def test_a_value_is_never_shown_in_a_refusal() -> None:
    with pytest.raises(Refused) as caught:
        read_xml(document("<package_id>Q7Z9<Q7Z9A12345/></package_id>Q7Z9"), DECISION)
    assert "Q7Z9" not in repr((caught.value, caught.value.violations))


# --- hostile JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"", "invalid_json", ""),
        (b"{", "invalid_json", ""),
        (b'{"a":1} x', "invalid_json", ""),
        (b'{"a":1}{"a":1}', "invalid_json", ""),
        (b"{'a':1}", "invalid_json", ""),
        (b"\xef\xbb\xbf{}", "byte_order_mark", ""),
        ('{"a":"ع"}'.encode("cp1256"), "encoding_not_utf8", ""),
        ('{"a":1}'.encode("utf-16"), "encoding_not_utf8", ""),
        (b"[]", "wrong_type", ""),
        (b'"x"', "wrong_type", ""),
        (b"null", "wrong_type", ""),
        (b'{"revision":1,"revision":2}', "duplicate_key", "/revision"),
        (b'{"bank":{"code":"a","code":"a"}}', "duplicate_key", "/bank/code"),
        (b'{"revision":NaN}', "number_not_allowed", "/revision"),
        (b'{"revision":-Infinity}', "number_not_allowed", "/revision"),
        (b'{"revision":1e999}', "number_not_allowed", "/revision"),
        (b'{"revision":' + b"9" * 5000 + b"}", "number_not_allowed", "/revision"),
        (b'{"text":"a\\ud800"}', "invalid_format", "/text"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nesting_too_deep", ""),
        (b'{"a":' + b"[" * 17 + b"]" * 17 + b"}", "nesting_too_deep", ""),
        (b'{"a":"' + b"x" * 1_048_576 + b'"}', "body_too_large", ""),
    ],
)
def test_json_that_cannot_be_taken_is_refused_at_once(body: bytes, code: str, pointer: str) -> None:
    began = perf_counter()
    assert refused(read_json, body) == (code, pointer)
    assert perf_counter() - began < 2
    assert read_json(b'{"a":1}') == {"a": 1}


def test_space_around_the_object_is_allowed() -> None:
    assert read_json(b' \r\n\t{"a": null}\n') == {"a": None}


def test_the_size_is_told_and_answers_413() -> None:
    for read in (read_json, lambda body: read_xml(body, DECISION)):
        with pytest.raises(Refused) as caught:
            read(b" " * (MESSAGE_LIMITS.max_bytes + 1))
        assert caught.value.status == 413
        assert caught.value.violations[0].params == {"limit": MESSAGE_LIMITS.max_bytes}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (read_json, lambda body: read_xml(body, DECISION)):
        try:
            read(body)
        except Refused as refusal:
            assert refusal.code in CODES


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_document_with_one_byte_changed_is_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(to_xml(CONTROLS.kind, CONTROLS.example).encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        check(CONTROLS.kind, read_xml(bytes(text), CONTROLS))
    except Refused as refusal:
        assert refusal.code in CODES
