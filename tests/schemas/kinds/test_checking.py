"""Every field of every kind: what is said when it is wrong, and where; and what the rules find."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import pytest
from annotated_types import Ge, Le, MaxLen
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import CODES
from schemas.kinds import KINDS, check
from schemas.kinds.checking import KIND_FINDINGS
from schemas.kinds.pages import error_codes
from schemas.kinds.record import Meaning, marks
from schemas.shapes import Shape
from schemas.structure import MAX_FAULTS
from schemas.violation import Violation
from tests.schemas import test_application_structure as of_applications
from tests.schemas.kinds.bodies import (
    ABSENT,
    Spot,
    bodies,
    changed,
    choices,
    found_at,
    full,
    pointer,
    scalar,
    spots,
    violations,
)
from tests.schemas.test_application_structure import JSON, schema_nodes

# Beside what an application's model can raise.
ALWAYS = {
    **of_applications.ALWAYS,
    "literal": {"literal_error"},
    "bool": {"bool_type"},
    "float": {"float_type"},
}
BY_CONSTRAINT = {
    **of_applications.BY_CONSTRAINT,
    ("float", "ge"): "greater_than_equal",
    ("float", "le"): "less_than_equal",
    ("float", "allow_inf_nan"): "finite_number",
}
NOT_CONSTRAINTS = {*of_applications.NOT_CONSTRAINTS, "expected", "validation_alias", "serialization_alias"}

SPOTS = [spot for kind in KINDS for spot in spots(kind)]
LEAVES = [spot for spot in SPOTS if not spot.is_list and not spot.is_record]
KIND_NAMES = pytest.mark.parametrize("kind", KINDS)


def each(places: Iterable[Spot]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("spot", list(places), ids=str)


def codes_at(spot: Spot, value: object) -> list[str]:
    return [code for code, _ in found_at(spot.kind, changed(spot.kind, spot.place, value), spot.place)]


# --- whole bodies -----------------------------------------------------------------------------------


@KIND_NAMES
def test_the_example_is_valid_and_already_canonical(kind: str) -> None:
    assert check(kind, KINDS[kind].example) == KINDS[kind].example


@KIND_NAMES
def test_a_body_with_every_field_is_valid(kind: str) -> None:
    body = full(kind)
    if kind == "penalty.issued":
        del body["agent_id"]
    assert check(kind, body) == body


@pytest.mark.parametrize("body", [None, [], "x", 7, True])
@KIND_NAMES
def test_a_body_that_is_no_object_is_one_fault(kind: str, body: object) -> None:
    assert check(kind, body) == (Violation("wrong_type", "", {"expected": "object"}),)


@KIND_NAMES
def test_an_empty_body_lacks_every_required_field(kind: str) -> None:
    needed = {f"/{name}" for name, field in KINDS[kind].model.model_fields.items() if field.is_required()}
    found = violations(kind, {})
    if kind == "visa_flow.report":
        assert "/period" in needed
    assert {fault.pointer for fault in found if fault.code == "field_missing"} == needed


def test_a_null_is_an_absent_field() -> None:
    body = {**KINDS["group.registration"].example, "agent_id": None, "pilgrims": None}
    assert check("group.registration", body) == {
        "group_number": "GRP-4001",
        "version": 1,
        "licensee_id": "LIC-1001",
    }


def test_a_control_left_out_has_its_default() -> None:
    for left_out in ({}, {"minimum_arrivals": None, "grace_days": None}):
        body = {**KINDS["controls.published"].example, "overstay": {"max_count": 10, **left_out}}
        taken = check("controls.published", body)
        assert isinstance(taken, dict)
        assert taken["overstay"] == {"max_count": 10, "minimum_arrivals": 1, "grace_days": 0}


# --- every field ------------------------------------------------------------------------------------


@each(spot for spot in SPOTS if not spot.item and spot.field.is_required())
def test_a_missing_field_is_told(spot: Spot) -> None:
    for value in (ABSENT, None):
        assert "field_missing" in codes_at(spot, value)


@each(spot for spot in SPOTS if spot.item)
def test_a_null_in_a_list_is_told(spot: Spot) -> None:
    assert codes_at(spot, None) == ["field_missing"]


@KIND_NAMES
def test_an_unknown_field_is_told_at_its_place(kind: str) -> None:
    records: list[tuple[str | int, ...]] = [()]
    records += [spot.place for spot in spots(kind) if spot.is_record and not spot.is_list]
    for place in records:
        body = changed(kind, (*place, "colour"), "red")
        assert found_at(kind, body, (*place, "colour")) == [("unknown_field", {})]


@each(SPOTS)
def test_a_value_of_another_type_is_told_and_never_converted(spot: Spot) -> None:
    if spot.is_list:
        expected, wrong = "array", ["x", 7, {}]
    elif spot.is_record:
        expected, wrong = "object", ["x", 7, []]
    else:
        expected, wrong = {
            str: ("string", [7, True, [], {}]),
            int: ("integer", ["7", "٧", True, 7.0, 7.5, [], {}]),
            float: ("number", ["0.5", True, [], {}]),
            bool: ("boolean", ["true", "", 1, 0, [], {}]),
        }[scalar(spot.field)]
    for value in wrong:
        found = found_at(spot.kind, changed(spot.kind, spot.place, value), spot.place)
        assert found == [("wrong_type", {"expected": expected})], value


@each(spot for spot in LEAVES if scalar(spot.field) is str)
def test_an_empty_text_is_told(spot: Spot) -> None:
    assert codes_at(spot, "") == ["field_empty"]


@each(spot for spot in LEAVES if any(marks(spot.field, Shape)))
def test_a_text_too_long_is_told_with_the_limit(spot: Spot) -> None:
    longest = next(marks(spot.field, Shape)).longest
    assert longest <= 2000
    for letter in ("1", "A", "م"):
        found = found_at(spot.kind, changed(spot.kind, spot.place, letter * (longest + 1)), spot.place)
        assert found == [("too_long", {"limit": longest})]


FREE_TEXTS = {
    *("name_en", "name_ar", "address", "item", "title", "name", "transport", "ground_services", "agent_name"),
    *("carrier", "note", "place", "description", "text", "documents_due", "grounds", "reference"),
}


def is_free(spot: Spot) -> bool:
    return [step for step in spot.place if isinstance(step, str)][-1] in FREE_TEXTS


@each(spot for spot in LEAVES if scalar(spot.field) is str and not choices(spot.field) and not is_free(spot))
def test_arabic_indic_digits_in_a_code_are_refused_with_their_position(spot: Spot) -> None:
    body: Any = full(spot.kind)
    for step in spot.place:
        body = body[step]
    for position in {1, len(body)}:
        value = body[: position - 1] + "٣" + body[position:]
        found = found_at(spot.kind, changed(spot.kind, spot.place, value), spot.place)
        assert found == [("invalid_format", {"position": position})]


@each(spot for spot in LEAVES if is_free(spot))
def test_a_free_text_takes_arabic_and_no_character_that_is_not_printed(spot: Spot) -> None:
    assert codes_at(spot, "معتمر ٣ — Ω") == []
    for hidden in ("\x00", "\x1b", "\r", "\u202e", "\u2028", "\ufeff"):
        found = found_at(spot.kind, changed(spot.kind, spot.place, f"ab{hidden}"), spot.place)
        assert found == [("invalid_format", {"position": 3})]


@each(spot for spot in LEAVES if choices(spot.field))
def test_a_value_outside_the_choices_is_told_with_them(spot: Spot) -> None:
    for value in ("nonsense", choices(spot.field)[0].swapcase()):
        found = found_at(spot.kind, changed(spot.kind, spot.place, value), spot.place)
        assert found == [("not_one_of", {"choices": ", ".join(choices(spot.field))})]
    for choice in choices(spot.field):
        assert "not_one_of" not in codes_at(spot, choice)


@each(spot for spot in LEAVES if scalar(spot.field) in (int, float))
def test_a_number_out_of_bounds_is_told_with_the_bound(spot: Spot) -> None:
    low, high = next(marks(spot.field, Ge)).ge, next(marks(spot.field, Le)).le
    for value, code, limit in ((low - 1, "too_small", low), (high + 1, "too_large", high)):
        found = found_at(spot.kind, changed(spot.kind, spot.place, value), spot.place)
        assert found == [(code, {"limit": limit})]
    assert codes_at(spot, 10**400) in (["too_large"], ["wrong_type"])  # a float has no such value


@each(spot for spot in SPOTS if spot.is_list)
def test_a_list_is_capped_and_an_empty_one_is_left_out(spot: Spot) -> None:
    most = next(marks(spot.field, MaxLen)).max_length
    found = found_at(spot.kind, changed(spot.kind, spot.place, [None] * (most + 1)), spot.place)
    assert found == [("too_many_items", {"limit": most})] or most > MAX_FAULTS
    assert most <= 20_000
    empty = [] if spot.kind in ("visa_flow.report", "season.report") else ["too_few_items"]
    assert codes_at(spot, []) == empty


MEANINGLESS = {
    Meaning.DAY: ("invalid_date", ["2026-02-30", "2026-13-01", "2026-00-10", "0000-01-01", "2025-02-29"]),
    Meaning.COUNTRY: ("unknown_country", ["QQQ", "UTO", "SAX"]),
    Meaning.AMOUNT: ("invalid_amount", ["0", "0.00", "00", "01.00", "5.", "007"]),
    Meaning.MOMENT: (
        "invalid_moment",
        [
            *(
                "2026-07-09T24:00:00+03:00",
                "2026-07-09T10:60:00Z",
                "2026-07-09T10:11:60Z",
                "2026-02-30T10:11:12Z",
            ),
            *("2026-07-09T10:11:12+0300", "2026-07-09T10:11:12+03", "2026-07-09T10:11:12+24:00"),
            *("2026-07-09T10:11:12Z00:00", "2026-07-09T10:11:12.+03:00", "2026-07-09T10:11:12+03:0"),
            *("2026-07-09T10:11:12-", "2026-07-09T10:11:12+03:60"),
        ],
    ),
}


@each(spot for spot in LEAVES if any(marks(spot.field, Meaning)))
def test_a_value_that_stands_for_nothing_is_told(spot: Spot) -> None:
    code, values = MEANINGLESS[next(marks(spot.field, Meaning))]
    for value in values:
        assert codes_at(spot, value) == [code], value


@pytest.mark.parametrize(
    "value",
    [
        *("2026-07-09T10:11:12", "2026-07-09", "2026-07-09 10:11:12Z", "2026-07-09t10:11:12z"),
        *(
            "20260709T101112Z",
            "2026-W28-4T10:11:12Z",
            "2026-07-09T10:11:12.1234567Z",
            "12026-07-09T10:11:12Z",
        ),
    ],
)
def test_a_moment_is_written_in_one_way(value: str) -> None:
    spot = next(spot for spot in spots("movement.arrival") if spot.place == ("at",))
    assert codes_at(spot, value)[0] in ("invalid_format", "invalid_moment", "too_short", "too_long")


@pytest.mark.parametrize(
    "value", ["2026-07-09T10:11:12Z", "2026-07-09T10:11:12.5-11:30", "2024-02-29T23:59:59.999999+14:00"]
)
def test_any_moment_with_its_offset_is_taken(value: str) -> None:
    assert violations("movement.arrival", {**KINDS["movement.arrival"].example, "at": value}) == ()


@pytest.mark.parametrize("value", ["0.01", "1", "999999999999.99", "10.5"])
def test_a_positive_amount_is_taken(value: str) -> None:
    assert violations("penalty.issued", {**KINDS["penalty.issued"].example, "amount": value}) == ()


@pytest.mark.parametrize("value", ["-1", "1,000.00", "1e3", "12.345", "1234567890123", "١٢", "+5", " 5"])
def test_an_amount_is_plain_digits(value: str) -> None:
    found = found_at("penalty.issued", {**KINDS["penalty.issued"].example, "amount": value}, ("amount",))
    assert [code for code, _ in found] in (["invalid_format"], ["invalid_amount"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_ratio_is_a_finite_number(value: float) -> None:
    place = ("overstay", "max_ratio")
    assert [
        code for code, _ in found_at("controls.published", changed("controls.published", place, value), place)
    ]


# --- rules ------------------------------------------------------------------------------------------

PLAN = [{"month": 7, "country": "IDN", "pilgrims": 1}, {"month": 8, "country": "IDN", "pilgrims": 1}]


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        (
            "agent_contract.submission",
            {"valid_from": "2026-06-17", "valid_until": "2026-06-16"},
            [("dates_not_in_order", "/valid_until", {"earlier": "valid_from"})],
        ),
        ("agent_contract.submission", {"valid_from": "2026-06-17", "valid_until": "2026-06-17"}, []),
        (
            "agent_contract.submission",
            {"valid_from": "2026-02-30", "valid_until": "2026-01-01"},
            [("invalid_date", "/valid_from", {})],
        ),
        *(
            (
                "agent_contract.submission",
                change,
                [("date_out_of_range", place, {"first": "1924-08-01", "last": "2077-11-16"})],
            )
            for change, place in (
                ({"valid_from": "1924-07-31"}, "/valid_from"),
                ({"valid_until": "2077-11-17"}, "/valid_until"),
            )
        ),
        ("agent_contract.submission", {"valid_from": "1924-08-01", "valid_until": "2077-11-16"}, []),
        (
            "mission.capacity",
            {"window": {"opens": "2026-07-02", "closes": "2026-07-01"}},
            [("dates_not_in_order", "/window/closes", {"earlier": "opens"})],
        ),
        (
            "controls.published",
            {
                "request_windows": [
                    {"opens": "2026-07-01", "closes": "2026-07-02"},
                    {"opens": "2026-07-02", "closes": "2026-07-01"},
                ]
            },
            [("dates_not_in_order", "/request_windows/1/closes", {"earlier": "opens"})],
        ),
        (
            "penalty.issued",
            {"until_date": "2026-08-09"},
            [("dates_not_in_order", "/until_date", {"earlier": "from_date"})],
        ),
        (
            "overstay.notice",
            {"noticed_on": "2026-07-01"},
            [("dates_not_in_order", "/noticed_on", {"earlier": "due_date"})],
        ),
        (
            "visa_flow.report",
            {"period": {"from": "2026-07-02", "until": "2026-07-01"}},
            [("dates_not_in_order", "/period/until", {"earlier": "from"})],
        ),
        (
            "penalty.issued",
            {"licensee_id": ABSENT},
            [("exactly_one_of", "", {"fields": "licensee_id, agent_id"})],
        ),
        (
            "penalty.issued",
            {"agent_id": "AGT-2001"},
            [("exactly_one_of", "/agent_id", {"fields": "licensee_id, agent_id"})],
        ),
        ("penalty.issued", {"licensee_id": None, "agent_id": "AGT-2001"}, []),
        ("penalty.issued", {"licensee_id": "LIC 1"}, [("invalid_format", "/licensee_id", {"position": 4})]),
        ("penalty.issued", {"amount": ABSENT}, [("field_missing", "/amount", {})]),
        ("penalty.issued", {"amount": ABSENT, "type": "warning"}, []),
        ("penalty.issued", {"amount": 5}, [("wrong_type", "/amount", {"expected": "string"})]),
        (
            "plan.submission",
            {"part": 1, "quotas": PLAN},
            [
                ("month_outside_part", "/quotas/0/month", {"first": 2, "last": 6}),
                ("month_outside_part", "/quotas/1/month", {"first": 2, "last": 6}),
            ],
        ),
        *(
            ("plan.submission", {"part": part, "quotas": [{**PLAN[0], "month": month}]}, [])
            for part, months in ((1, (2, 3, 4, 5, 6)), (2, (7, 8)))
            for month in months
        ),
        *(
            (
                "plan.submission",
                {"part": part, "quotas": [{**PLAN[0], "month": month}]},
                [("month_outside_part", "/quotas/0/month", {"first": first, "last": last})],
            )
            for part, first, last, months in ((1, 2, 6, (1, 7, 9, 12)), (2, 7, 8, (1, 6, 9, 12)))
            for month in months
        ),
        ("plan.submission", {"quotas": [PLAN[0], PLAN[1], PLAN[0]]}, [("duplicate_item", "/quotas/2", {})]),
        ("plan.submission", {"quotas": [PLAN[0], {**PLAN[0], "country": "PAK"}]}, []),
        (
            "plan.submission",
            {"quotas": [{**PLAN[0], "country": "ID"}, {**PLAN[0], "country": "ID"}]},
            [
                ("too_short", "/quotas/0/country", {"limit": 3}),
                ("too_short", "/quotas/1/country", {"limit": 3}),
            ],
        ),
        ("plan.submission", {"part": 3}, [("too_large", "/part", {"limit": 2})]),
        ("plan.decision", {"quotas": [PLAN[0], PLAN[0]]}, [("duplicate_item", "/quotas/1", {})]),
        (
            "service_center.registration",
            {"licensees": ["LIC-1", "LIC-2", "LIC-1"], "agents": ["A", "A", "A"]},
            [
                ("duplicate_item", "/agents/1", {}),
                ("duplicate_item", "/agents/2", {}),
                ("duplicate_item", "/licensees/2", {}),
            ],
        ),
        (
            "readiness.report",
            {"sites": [{"city": "makkah", "address": "A"}, {"city": "makkah", "address": "B"}]},
            [("duplicate_item", "/sites/1", {})],
        ),
        (
            "licensee.activation",
            {"sources": [{"source": "nic", "standing": "CLEAR"}, {"source": "nic", "standing": "BLOCK"}]},
            [("duplicate_item", "/sources/1", {})],
        ),
        (
            "compliance.report",
            {"visa_numbers": ["6012345678", "6012345678"]},
            [("duplicate_item", "/visa_numbers/1", {})],
        ),
    ],
)
def test_the_fields_of_a_body_fit_together(
    kind: str, change: dict[str, Any], expected: list[tuple[str, str, dict[str, Any]]]
) -> None:
    body = {**KINDS[kind].example, **change}
    body = {name: value for name, value in body.items() if value is not ABSENT}
    assert [(found.code, found.pointer, dict(found.params)) for found in violations(kind, body)] == expected


def test_all_faults_come_at_once_in_the_order_of_their_pointers() -> None:
    body = {
        "penalty_id": "PEN 1",
        "version": "1",
        "licensee_id": "LIC-1",
        "agent_id": "AGT-1",
        "type": "fine",
        "from_date": "2026-08-10",
        "until_date": "2026-08-01",
        "colour": "red",
    }
    assert [(found.code, found.pointer) for found in violations("penalty.issued", body)] == [
        ("exactly_one_of", "/agent_id"),
        ("field_missing", "/amount"),
        ("unknown_field", "/colour"),
        ("field_missing", "/grounds"),
        ("invalid_format", "/penalty_id"),
        ("dates_not_in_order", "/until_date"),
        ("wrong_type", "/version"),
    ]


def test_more_faults_than_anyone_reads_are_counted_not_listed() -> None:
    body = {f"field{number}": 1 for number in range(MAX_FAULTS + 1)}
    assert check("season.report", body) == (Violation("too_many_faults", "", {"limit": MAX_FAULTS}),)


def test_a_body_full_of_junk_costs_little() -> None:
    body = changed("plan.submission", ("quotas",), [{"month": "x"}] * 50_000)
    body["title"] = "\x00" * 500_000
    began = perf_counter()
    assert violations("plan.submission", body)
    assert perf_counter() - began < 1


# --- whatever comes ---------------------------------------------------------------------------------


@KIND_NAMES
def test_every_error_that_a_model_can_raise_has_a_code(kind: str) -> None:
    for node in schema_nodes(KINDS[kind].model.__pydantic_core_schema__):
        by_constraint = {BY_CONSTRAINT[node["type"], name] for name in node.keys() - NOT_CONSTRAINTS}
        assert ALWAYS[node["type"]] | by_constraint <= KIND_FINDINGS.keys()


@KIND_NAMES
def test_a_name_that_is_no_text_is_an_unknown_field(kind: str) -> None:
    found = violations(kind, {**KINDS[kind].example, "\ud800": 1})
    assert [(fault.code, fault.pointer) for fault in found] == [("unknown_field", "")]


@settings(max_examples=30, deadline=None)
@given(st.data())
@KIND_NAMES
def test_a_valid_body_is_its_own_canonical_form_and_plain_json(kind: str, data: st.DataObject) -> None:
    taken = check(kind, data.draw(bodies(kind)))
    assert isinstance(taken, dict)
    assert json.loads(json.dumps(taken)) == taken
    assert check(kind, taken) == taken


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SPOTS), JSON)
def test_whatever_comes_is_answered_with_documented_codes_and_filled_texts(spot: Spot, value: object) -> None:
    for found in violations(spot.kind, changed(spot.kind, spot.place, value)):
        assert CODES[found.code].placeholders("en") <= found.params.keys()
        assert found.code in error_codes(KINDS[spot.kind])


MARK = "Q7Z9"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SPOTS), st.text(string.printable, max_size=5))
def test_no_value_comes_back_in_a_violation(spot: Spot, tail: str) -> None:
    assert MARK not in repr(violations(spot.kind, changed(spot.kind, spot.place, MARK + tail)))


@KIND_NAMES
def test_a_pointer_leads_to_the_place_that_was_changed(kind: str) -> None:
    for spot in spots(kind):
        found = violations(kind, changed(kind, spot.place, {"a": []}))
        assert any(fault.pointer.startswith(pointer(spot.place)) for fault in found)
