"""Default deny: what a list does not name cannot be reached from what is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from timeit import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message import BatchFacts, CallContext, FieldNotGranted, MessageId
from gateway.policies.confidentiality import NeedToKnow
from gateway.settings import ConfidentialityPolicy
from schemas.application import leaves
from schemas.kinds import KINDS, published_classes

NAMES = st.sampled_from(["a", "b", "c", "passport", "number", "visa"])
#: Every scalar in a random body is a value of its own, so that a leak can be told by its value.
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)


def policy(fields: list[str], results: list[str] | None = None) -> ConfidentialityPolicy:
    grants = {"nic": {"check": {"purpose": "Clearance", "fields": tuple(fields)}}}
    center = tuple(results or [])
    return ConfidentialityPolicy.model_validate(
        {"version": "7", "grants": grants, "results": {"service_center": center}}
    )


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    count = iter(range(1_000_000))
    scalar = st.builds(lambda: f"value-{next(count)}")
    value = st.recursive(
        scalar | st.lists(scalar, max_size=2),
        lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=3),
        max_leaves=12,
    )
    return draw(st.dictionaries(NAMES, value, max_size=5))


def scalars(value: Any) -> Iterator[str]:
    """Every scalar that can be reached from `value`."""
    if isinstance(value, Mapping):
        for inside in value.values():
            yield from scalars(inside)
    elif isinstance(value, list | tuple):
        for inside in value:
            yield from scalars(inside)
    elif value is not None:
        yield value


def by_path(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Each scalar of a body with its path; places in a list do not count as steps."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            yield from by_path(inside, (*path, name))
    elif isinstance(value, list):
        for inside in value:
            yield from by_path(inside, path)
    else:
        yield ".".join(path), value


@given(st.lists(PATHS, max_size=6, unique=True), bodies())
def test_nothing_ungranted_can_be_reached_from_a_projection(granted: list[str], body: dict[str, Any]) -> None:
    projection = NeedToKnow(policy(granted)).project("check", "nic", body)
    allowed = {value for path, value in by_path(body) if path in granted}
    assert set(scalars(projection.fields)) <= allowed
    assert set(projection.fields) == set(granted)


@given(st.lists(PATHS, max_size=6, unique=True), bodies())
def test_nothing_ungranted_can_be_reached_from_a_result(granted: list[str], body: dict[str, Any]) -> None:
    result = NeedToKnow(policy([], granted)).result(body)
    allowed = {value for path, value in by_path(body) if path in granted}
    assert set(scalars(result)) <= allowed


BODY = {
    "passport": {"number": "A1", "mrz": ["P<", "L8"], "type": "P"},
    "birth_date": "1990-01-01",
    "photo": "…",
}


def test_granted_fields_are_projected_lists_whole_and_absent_ones_as_none() -> None:
    needs = NeedToKnow(policy(["passport.number", "passport.mrz", "email", "name.given", "birth_date.x"]))
    assert needs.project("check", "nic", BODY).fields == {
        "passport.number": "A1",
        "passport.mrz": ["P<", "L8"],
        "email": None,
        "name.given": None,
        "birth_date.x": None,
    }


def test_a_field_that_is_not_granted_cannot_be_asked_for() -> None:
    projection = NeedToKnow(policy(["birth_date"])).project("check", "nic", BODY)
    with pytest.raises(FieldNotGranted):
        projection["photo"]


def test_a_grant_of_a_whole_record_grants_nothing_inside_it() -> None:
    assert NeedToKnow(policy(["passport"])).project("check", "nic", BODY).fields == {"passport": None}


@pytest.mark.parametrize(("operation", "destination"), [("check", "other"), ("other", "nic"), ("", "")])
def test_without_a_list_nothing_is_projected(operation: str, destination: str) -> None:
    needs = NeedToKnow(policy(["birth_date"]))
    assert needs.project(operation, destination, BODY).fields == {}
    assert needs.granted(destination, operation) == ()
    assert needs.purpose(destination, operation) is None


def test_the_rule_of_a_disclosure_can_be_told() -> None:
    needs = NeedToKnow(policy(["birth_date", "passport.number"]))
    assert needs.version == "7"
    assert needs.granted("nic", "check") == ("birth_date", "passport.number")
    assert needs.purpose("nic", "check") == "Clearance"


def test_a_center_sees_the_listed_part_of_a_result_in_its_shape() -> None:
    listed = ["line", "state", "reason", "visa.number", "errors.code", "errors.pointer"]
    result = {
        "line": 1,
        "state": "refused",
        "reason": None,
        "visa": {"number": "1234567890", "partner_reference": "secret"},
        "errors": [{"code": "refused", "pointer": "", "clearance": "HIT"}],
        "clearance_reason": "secret",
    }
    assert NeedToKnow(policy([], listed)).result(result) == {
        "line": 1,
        "state": "refused",
        "reason": None,
        "visa": {"number": "1234567890"},
        "errors": [{"code": "refused", "pointer": ""}],
    }


def test_an_absent_or_empty_part_of_a_result_stays_so() -> None:
    needs = NeedToKnow(policy([], ["visa.number", "errors.code"]))
    assert needs.result({"visa": None, "errors": []}) == {"visa": None, "errors": []}
    assert needs.result({}) == {}


def test_a_receiver_without_a_list_sees_nothing_of_a_result() -> None:
    assert NeedToKnow(policy([], ["line"])).result({"line": 1}, "committee") == {}


def events(receiver: str, kind: str, *fields: str) -> NeedToKnow:
    lists = {receiver: {kind: {"purpose": "Care", "fields": fields}}}
    policy = {"version": "7", "grants": {}, "results": {}, "events": lists}
    return NeedToKnow(ConfidentialityPolicy.model_validate(policy))


@pytest.mark.parametrize(
    ("kind", "fields", "highest"),
    [
        ("mission.capacity", ["mission_id", "window.opens", "ceiling"], "public"),
        ("case.report", ["case_id", "status"], "public"),
        ("case.report", ["case_id", "visa_number", "status"], "restricted"),
        ("case.report", ["description", "visa_number", "status"], "secret"),
        ("licensee.activation", ["licensee_id", "sources.source"], "public"),
        ("licensee.activation", ["licensee_id", "sources.standing", "sources.code"], "secret"),
        ("compliance.report", ["report_id", "package_known"], "public"),
        ("case.report", [], "public"),
        ("case.report", ["case_id", "shoe_size"], "secret"),
        ("fortune.told", ["future"], "secret"),
    ],
)
def test_an_event_has_the_highest_class_of_what_its_receiver_is_granted(
    kind: str, fields: list[str], highest: str
) -> None:
    assert events("licensing", kind, *fields).event_class("licensing", "ministry", kind) == highest
    assert events("ministry", kind, *fields).event_class("licensing", "ministry", kind) == highest


def test_a_partys_own_list_and_not_its_kinds_decides_the_class() -> None:
    grant = {"purpose": "Care", "fields": ("visa_number",)}
    own = {"purpose": "Care", "fields": ("case_id",)}
    lists = {"ministry": {"case.report": grant}, "licensing": {"case.report": own}}
    needs = NeedToKnow(
        ConfidentialityPolicy.model_validate({"version": "7", "grants": {}, "results": {}, "events": lists})
    )
    assert needs.event_class("licensing", "ministry", "case.report") == "public"
    assert needs.event_class("other", "ministry", "case.report") == "restricted"


def test_what_is_not_granted_has_no_class() -> None:
    needs = events("licensing", "case.report", "case_id")
    assert needs.event_class("committee", "committee", "case.report") is None
    assert needs.event_class("licensing", "ministry", "complaint.submission") is None


def test_twenty_fields_are_projected_in_microseconds() -> None:
    body = {"passport": {f"f{n}": "x" for n in range(10)}} | {f"g{n}": "x" for n in range(10)}
    needs = NeedToKnow(policy([f"passport.f{n}" for n in range(10)] + [f"g{n}" for n in range(10)]))
    best = min(repeat(lambda: needs.project("check", "nic", body), number=1_000, repeat=5)) / 1_000
    assert best < 50e-6  # about 6 µs on an idle core; the margin is for a busy one


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_can_be_told_has_a_class(kind: str) -> None:
    classes = published_classes(kind)
    model = KINDS[kind].published or KINDS[kind].model
    assert classes.keys() == {path for path, _ in leaves(model)}


@pytest.mark.parametrize(
    ("number", "given_fields"), [("6000000001", ("earlier.issue.visa_number",)), (None, ())]
)
def test_of_an_earlier_result_only_what_it_says_counts_as_given(
    number: str | None, given_fields: tuple[str, ...]
) -> None:
    lists = NeedToKnow(policy(["earlier.issue.visa_number"]))
    earlier = {"issue": {"visa_number": number}}
    context = lists.context(
        "check", "nic", CallContext(MessageId("m"), "r", BatchFacts("", "", "", "", 0), None, earlier)
    )
    assert context.earlier["issue"]["visa_number"] == number
    assert lists.disclosure("check", "nic", lists.project("check", "nic", {}), context).fields == given_fields
