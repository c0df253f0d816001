"""How an application and a batch header are built: fields, types, lengths, and what is said of each fault."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas.application import BatchHeader, VisaApplication, field_classes, leaf_paths
from schemas.catalogue import CODES
from schemas.rules import check_application, check_header
from schemas.structure import FINDINGS, MAX_FAULTS, examine, shapes, valid
from schemas.violation import Violation
from tests.schemas.applications import ABSENT, RULES, application, faults, violations, without_mrz

HEADER = {
    "batch_reference": "B-1",
    "licensee_id": "LIC-1001",
    "agent_id": "AGT-2001",
    "mission_id": "MSN-IDN-JKT",
    "season": 1448,
}

# What pydantic can say of each kind of schema, read from its list of error types, and by which constraint.
ALWAYS = {
    "str": {"string_type", "string_unicode"},
    "int": {"int_type"},
    "bool": {"bool_type"},
    "list": {"list_type"},
    "model": {"model_type"},
    "model-fields": {"missing", "extra_forbidden", "invalid_key"},
    "nullable": set[str](),
    "default": set[str](),
    "function-before": set[str](),
    "model-field": set[str](),
}
BY_CONSTRAINT = {
    ("str", "pattern"): "string_pattern_mismatch",
    ("str", "min_length"): "string_too_short",
    ("str", "max_length"): "string_too_long",
    ("list", "min_length"): "too_short",
    ("list", "max_length"): "too_long",
    ("int", "ge"): "greater_than_equal",
    ("int", "le"): "less_than_equal",
}
NOT_CONSTRAINTS = {
    *("type", "strict", "schema", "items_schema", "fields", "metadata", "ref", "cls", "config", "model_name"),
    *("default", "function", "custom_init", "root_model", "computed_fields", "serialization"),
    *("validation_alias", "serialization_alias"),
}


def schema_nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield node
        for key, inner in node.items():
            if key not in ("metadata", "function"):
                yield from schema_nodes(inner)


def possible_errors(model: type[BaseModel]) -> set[str]:
    found: set[str] = set()
    for node in schema_nodes(model.__pydantic_core_schema__):
        found |= ALWAYS[node["type"]]
        constraints = node.keys() - NOT_CONSTRAINTS
        found |= {BY_CONSTRAINT[node["type"], constraint] for constraint in constraints}
    return found


def test_every_error_that_our_models_can_raise_has_a_code_of_ours() -> None:
    possible = possible_errors(VisaApplication) | possible_errors(BatchHeader)
    # Only bodies to the admin listener have truth values; `tests/web/test_json_body.py` looks at them.
    assert possible | {"bool_type"} == set(FINDINGS)


@pytest.mark.parametrize(("parents", "place"), [((), ""), (("passport",), "/passport")])
def test_a_name_that_is_no_text_is_an_unknown_field_of_its_record(
    parents: tuple[str, ...], place: str
) -> None:
    """No pointer leads to it: no document of JSON, no log and no answer can hold its name."""
    fields = application()
    record = fields
    for name in parents:
        record[name] = record = dict(record[name])
    record["\ud800"] = 1
    found = violations(fields)
    assert Violation("unknown_field", place) in found
    assert "\ud800" not in str(found)
    header = check_header({**HEADER, "\ud800": 1})
    assert isinstance(header, tuple)
    assert Violation("unknown_field", "") in header


def nested(path: str, value: object) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value  # type: ignore[return-value]


@pytest.mark.parametrize("path", field_classes())
def test_every_text_of_an_application_has_a_shape_that_points_at_a_control_character(path: str) -> None:
    text = "\x00" * shapes(VisaApplication)[path].shortest
    is_list = f"{path}.1" in leaf_paths()
    place = "/" + path.replace(".", "/") + ("/0" if is_list else "")
    assert Violation("invalid_format", place, {"position": 1}) in violations(
        nested(path, [text, text] if is_list else text)
    )


@pytest.mark.parametrize(
    ("change", "code", "pointer", "params"),
    [
        ({"extra": 1}, "unknown_field", "/extra", {}),
        ({"passport__colour": "red"}, "unknown_field", "/passport/colour", {}),
        ({"passport__number": ABSENT}, "field_missing", "/passport/number", {}),
        ({"passport__number": None}, "field_missing", "/passport/number", {}),
        ({"name__given": ""}, "field_empty", "/name/given", {}),
        ({"profession": ""}, "field_empty", "/profession", {}),
        ({"profession": "x" * 81}, "too_long", "/profession", {"limit": 80}),
        ({"passport__number": "AB"}, "too_short", "/passport/number", {"limit": 3}),
        ({"passport__number": "A1234567٩"}, "invalid_format", "/passport/number", {"position": 9}),
        ({"passport__number": "a1234567"}, "invalid_format", "/passport/number", {"position": 1}),
        ({"passport__number": "A²234567"}, "invalid_format", "/passport/number", {"position": 2}),
        ({"birth_date": "١٩٩٠-02-03"}, "invalid_format", "/birth_date", {"position": 1}),
        ({"birth_date": "1990/02/03"}, "invalid_format", "/birth_date", {"position": 5}),
        ({"birth_date": "19900203"}, "invalid_format", "/birth_date", {"position": 5}),
        ({"nationality": "D<<"}, "invalid_format", "/nationality", {"position": 2}),
        ({"mobile": "+٩٦٦501234567"}, "invalid_format", "/mobile", {"position": 2}),
        ({"name__family": "Müller"}, "invalid_format", "/name/family", {"position": 2}),
        ({"name_ar__given": "ستي A"}, "invalid_format", "/name_ar/given", {"position": 5}),
        ({"name_ar__given": "ستي ٣"}, "invalid_format", "/name_ar/given", {"position": 5}),
        ({"address": "a\nb"}, "invalid_format", "/address", {"position": 2}),
        ({"address": "a\u202eb"}, "invalid_format", "/address", {"position": 2}),
        ({"address": "ab\ud800"}, "invalid_format", "/address", {"position": 3}),
        ({"reference": 7}, "wrong_type", "/reference", {"expected": "string"}),
        ({"passport": "A1"}, "wrong_type", "/passport", {"expected": "object"}),
        ({"passport": ["A1"]}, "wrong_type", "/passport", {"expected": "object"}),
        ({"passport": None}, "field_missing", "/passport", {}),
        ({"passport__mrz": "P<"}, "wrong_type", "/passport/mrz", {"expected": "array"}),
        ({"passport__mrz": ["<" * 44]}, "too_few_items", "/passport/mrz", {"limit": 2}),
        ({"passport__mrz": ["<" * 44] * 3}, "too_many_items", "/passport/mrz", {"limit": 2}),
        ({"passport__mrz": ["P" * 44, "<" * 43]}, "too_short", "/passport/mrz/1", {"limit": 44}),
        ({"passport__mrz": ["P" * 44, "<" * 45]}, "too_long", "/passport/mrz/1", {"limit": 44}),
        (
            {"passport__mrz": ["P" * 43 + "p", "<" * 44]},
            "invalid_format",
            "/passport/mrz/0",
            {"position": 44},
        ),
        ({"disclosures": []}, "too_few_items", "/disclosures", {"limit": 1}),
        ({"disclosures": ["x"] * 11}, "too_many_items", "/disclosures", {"limit": 10}),
        ({"disclosures": ["x", None]}, "field_missing", "/disclosures/1", {}),
        ({"mahram__relationship": "father"}, "field_missing", "/mahram/reference", {}),
    ],
)
def test_each_fault_is_named_with_its_place(
    change: dict[str, Any], code: str, pointer: str, params: dict[str, Any]
) -> None:
    assert Violation(code, pointer, params) in violations(application(**change))


def test_all_faults_of_a_line_come_at_once_and_in_the_order_of_their_pointers() -> None:
    raw = without_mrz(
        zzz=1,
        sex="Q",
        email="nobody",
        name=ABSENT,
        travel__arrival_date="2026-02-30",
        passport__expiry_date="2020-01-01",
    )
    assert faults(raw) == [
        ("too_short" if len("nobody") < 6 else "invalid_format", "/email"),
        ("field_missing", "/name"),
        ("expiry_before_issue", "/passport/expiry_date"),
        ("unknown_code", "/sex"),
        ("invalid_date", "/travel/arrival_date"),
        ("unknown_field", "/zzz"),
    ]


@pytest.mark.parametrize("raw", [None, [], "x", 7, True])
def test_a_line_that_is_no_object_is_one_fault(raw: object) -> None:
    assert violations(raw) == (Violation("wrong_type", "", {"expected": "object"}),)


@pytest.mark.parametrize(
    "key", ["A1234567", "Siti Rahman", "x" * 41, "a/b", "+966501234567", "", "ستي", "field\n"]
)
def test_a_made_up_key_that_might_hold_a_value_is_not_shown_back(key: str) -> None:
    raw = application()
    raw["passport"][key] = 1
    assert violations(raw) == (Violation("unknown_field", "/passport"),)


def test_more_faults_than_anyone_reads_are_counted_not_listed() -> None:
    raw = {f"field{number}": 1 for number in range(MAX_FAULTS + 1)}
    assert violations(raw) == (Violation("too_many_faults", "", {"limit": MAX_FAULTS}),)


def test_a_line_full_of_junk_costs_little() -> None:
    raw = application(**{f"k{number}": 1 for number in range(60_000)}, disclosures=["x"] * 100_000)
    raw["address"] = "\x00" * 500_000
    began = perf_counter()
    assert violations(raw)
    assert perf_counter() - began < 1


def test_null_is_an_absent_field_and_leaves_no_trace() -> None:
    raw = application(mobile=None, mahram=None, passport__issue_place=None)
    taken = check_application(raw, RULES)
    assert isinstance(taken, dict)
    assert taken == application(mobile=ABSENT)


def test_the_canonical_form_is_plain_json_and_stays_the_same_when_judged_again() -> None:
    plain = check_application(application(disclosures=["سبق رفض طلب"]), RULES)
    assert isinstance(plain, dict)
    assert json.loads(json.dumps(plain)) == plain
    assert check_application(plain, RULES) == plain


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PATHS = sorted({path.removesuffix(".1").removesuffix(".2") for path in leaf_paths()} | {"passport", "name"})


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The valid application with other values at these dotted paths."""
    raw = application()
    for path, value in changes.items():
        *parents, name = path.split(".")
        record = raw
        for parent in parents:
            record = record[parent] if isinstance(record.get(parent), dict) else record
        record[name] = value
    return raw


NO_JSON = st.sampled_from([b"A1234567", ("P<", "A1"), {"A1"}, frozenset(), 1.0, application, "A1234567", "M"])


@given(st.dictionaries(st.sampled_from([*PATHS, "more"]), JSON | NO_JSON, min_size=1, max_size=3))
def test_what_makes_plain_values_judges_as_the_model_does(changes: dict[str, Any]) -> None:
    raw = changed(changes)
    record, found = examine(VisaApplication, raw)
    assert valid(VisaApplication, raw) == (None if record is None else record.model_dump(exclude_none=True))
    assert (record is None) == bool(found)


@pytest.mark.parametrize("value", [(*application()["passport"]["mrz"],), {*application()["passport"]["mrz"]}])
def test_nothing_is_made_a_list_that_is_none(value: object) -> None:
    assert valid(VisaApplication, application(passport__mrz=value)) is None


@pytest.mark.parametrize("raw", [None, [], "reference", 1, [application()], (("reference", "A-1"),)])
def test_what_is_no_object_is_no_application(raw: object) -> None:
    assert valid(VisaApplication, raw) is None
    assert violations(raw) == (Violation("wrong_type", "", {"expected": "object"}),)


def test_the_canonical_form_has_the_order_of_the_model() -> None:
    backwards = dict(reversed(application().items()))
    taken = valid(VisaApplication, backwards)
    assert taken is not None
    assert list(taken) == [name for name in VisaApplication.model_fields if name in taken]


@given(st.dictionaries(st.sampled_from(PATHS), JSON, min_size=1, max_size=6))
def test_whatever_comes_is_answered_with_known_codes_and_filled_texts(changes: dict[str, Any]) -> None:
    for violation in violations(changed(changes)):
        assert CODES[violation.code].placeholders("en") <= violation.params.keys()
        assert violation.pointer == "" or violation.pointer.startswith("/")


MARK = "Q7Z9"


@given(st.sampled_from(PATHS), st.text(string.printable, max_size=5))
def test_no_value_comes_back_in_a_violation(path: str, tail: str) -> None:
    raw = application()
    *parents, name = path.split(".")
    record = raw
    for parent in parents:
        record = record.setdefault(parent, {}) if isinstance(record, dict) else {}
    record[name] = MARK + tail
    assert MARK not in repr(violations(raw))


def test_a_header_is_taken_with_the_season_as_number_or_digits() -> None:
    number, digits = check_header(HEADER), check_header({**HEADER, "season": "1448"})
    assert isinstance(number, BatchHeader) and number == digits
    assert number.season == 1448 and number.package_id is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"season": "١٤٤٨"}, Violation("invalid_format", "/season", {"position": 1})),
        ({"season": "144"}, Violation("invalid_format", "/season", {"position": 4})),
        ({"season": 1448.0}, Violation("wrong_type", "/season", {"expected": "integer"})),
        ({"season": True}, Violation("wrong_type", "/season", {"expected": "integer"})),
        ({"season": 2026}, Violation("too_large", "/season", {"limit": 1500})),
        ({"season": 10**5000}, Violation("too_large", "/season", {"limit": 1500})),
        ({"season": 12}, Violation("too_small", "/season", {"limit": 1343})),
        ({"season": None}, Violation("field_missing", "/season")),
        ({"licensee_id": "LIC 1"}, Violation("invalid_format", "/licensee_id", {"position": 4})),
        ({"applications": []}, Violation("unknown_field", "/applications")),
    ],
)
def test_a_wrong_header_is_told_where(change: dict[str, Any], expected: Violation) -> None:
    assert check_header({**HEADER, **change}) == (expected,)


def test_an_empty_header_lacks_every_required_field() -> None:
    found = check_header({})
    assert isinstance(found, tuple)
    assert {violation.pointer.removeprefix("/") for violation in found} == HEADER.keys()
