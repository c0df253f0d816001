"""For random policies no converter, event or result holds a value of a field that was not granted.

Every leaf of a message is a canary of its own; the policy is drawn; what comes out is searched. The
converters are the shipped ones, the messages those of every kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from adapters.foreign_affairs.operations import OPERATIONS as FOREIGN_AFFAIRS
from adapters.interior.operations import OPERATIONS as INTERIOR
from adapters.registries.operations import OPERATIONS as REGISTRIES
from gateway.errors import Refused
from gateway.message import BatchFacts, CallContext, FieldNotGranted, MessageId, Operation, Projection
from gateway.policies.confidentiality import NeedToKnow
from gateway.settings import ConfidentialityPolicy, load
from gateway.webhooks.notice import body as notice_body
from schemas.application import VisaApplication
from schemas.hijri import to_hijri
from schemas.kinds import KINDS, published_classes
from schemas.results import RESULT_CLASSES
from tests.canary.filling import application, fill, leaves_of
from tests.canary.marks import Garden

OPERATIONS: Final = {one.name: one for one in (*INTERIOR, *FOREIGN_AFFAIRS, *REGISTRIES)}
ISSUANCE: Final = "foreign_affairs.visa_issuance"
#: What every application in these tests says of its batch, by the names of the lists.
FACTS: Final = {
    "batch.batch_reference": "fact-reference",
    "batch.licensee_id": "fact-licensee",
    "batch.agent_id": "fact-agent",
    "batch.mission_id": "fact-mission",
    "batch.package_id": "fact-package",
    "batch.group_number": "fact-group",
    "batch.season": 7_104_999,
}
BATCH: Final = BatchFacts(
    "fact-reference", "fact-licensee", "fact-agent", "fact-mission", 7_104_999, "fact-package", "fact-group"
)
#: What an earlier step came to, by the names of the lists.
EARLIER: Final = {
    f"earlier.{ISSUANCE}.visa_number": "earlier-visa",
    f"earlier.{ISSUANCE}.request_reference": "earlier-reference",
    f"earlier.{ISSUANCE}.valid_from": "earlier-from",
}
#: Say one of a few things: their values are in every message, and no leak can be told by them.
_TOLD_APART: Final = 5


def bodies() -> Mapping[str, dict[str, Any]]:
    """A body of each kind that goes to partners or is told, a canary in every leaf that can hold one."""
    from datetime import date

    garden = Garden()
    filled = {kind: fill_published(kind, garden) for kind in KINDS}
    filled["visa.application"] = application(garden, today=date(2026, 11, 22))
    filled["visa.cancellation"] = {}
    return filled


def fill_published(kind: str, garden: Garden) -> dict[str, Any]:
    """With the fields that the gateway adds."""
    schema = KINDS[kind]
    body = fill(kind, {}, garden).body
    added = {"package_known": True, "application_id": garden.name(), "licensee_id": garden.name()}
    return body | (
        {name: value for name, value in added.items() if name in published_classes(kind)}
        if schema.published
        else {}
    )


BODIES: Final = bodies()
ITINERARIES: Final = load(None, {}).routes.itineraries


def scalars(value: Any) -> Iterator[str]:
    """Every scalar in there, as text."""
    if isinstance(value, Mapping):
        for inside in value.values():
            yield from scalars(inside)
    elif isinstance(value, list | tuple | set | frozenset):
        for inside in value:
            yield from scalars(inside)
    elif value is not None:
        yield str(value)


def values_of(kind: str) -> dict[str, set[str]]:
    """The values of each path of a kind's body; a day goes by its Hijri twin too."""
    found: dict[str, set[str]] = {path: {str(value)} for path, value in {**FACTS, **EARLIER}.items()}
    body = BODIES[kind]
    if kind != "visa.cancellation":
        for path, _, value in leaves_of(_model(kind), body):
            found.setdefault(path, set()).update(with_twins(scalars(value)))
    return found


def with_twins(values: Iterator[str]) -> Iterator[str]:
    from datetime import date

    for value in values:
        yield value
        try:
            yield to_hijri(date.fromisoformat(value))
        except (ValueError, LookupError):
            continue


def _model(kind: str) -> type[BaseModel]:
    if kind == "visa.application":
        return VisaApplication
    schema = KINDS[kind]
    return schema.published or schema.model


def leaked(output: Any, kind: str, granted: set[str]) -> set[str]:
    """Ungranted paths whose values, and no granted one's, stand in what came out."""
    values = values_of(kind)
    allowed = {value for path in granted for value in values.get(path, ())}
    texts = list(scalars(output))
    return {
        path
        for path, own in values.items()
        if path not in granted
        for value in own - allowed
        # The lines of a passport's machine readable zone hold its number.
        if len(value) >= _TOLD_APART and not any(value in other for other in allowed)
        if any(value in text for text in texts)
    }


def policy(**sections: Any) -> NeedToKnow:
    document = {"version": "9", "grants": {}, "results": {}, "events": {}, **sections}
    return NeedToKnow(ConfidentialityPolicy.model_validate(document))


def context() -> CallContext:
    earlier = {
        ISSUANCE: {path.rpartition(".")[2]: value for path, value in EARLIER.items()},
        "another.step": {"secret": "earlier-secret"},
    }
    return CallContext(MessageId("m-1"), "m-1/operation", BATCH, "partner-ref", earlier)


def outputs(operation: Operation, kind: str, granted: list[str]) -> Iterator[Any]:
    """What each of the operation's converters makes of the message; nothing where a field is missing."""
    grants = {operation.destination: {operation.name: {"purpose": "Test", "fields": tuple(granted)}}}
    needs = policy(grants=grants)
    shown = needs.context(operation.name, operation.destination, context())
    yield [shown.batch.licensee, shown.batch.agent, shown.batch.season, shown.batch.mission]
    for exchange in (operation.call, operation.follow_up, operation.inquiry):
        projection = needs.project(operation.name, operation.destination, BODIES[kind], BATCH)
        yield dict(projection.fields)
        try:
            yield exchange.request(projection, shown) if exchange else None
        except (FieldNotGranted, KeyError, Refused, TypeError):
            continue


def routed() -> list[tuple[str, str]]:
    return sorted(
        {(name, kind) for kind, route in ITINERARIES.items() for stage in route.stages for name in stage}
    )


@pytest.mark.parametrize(("name", "kind"), routed())
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_converter_puts_out_a_field_that_is_not_granted(name: str, kind: str, data: st.DataObject) -> None:
    operation = OPERATIONS[name]
    paths = sorted(values_of(kind))
    # Half of the time only a little is missing, so that converters come to their end.
    needed = sorted(operation.needs | operation.context_needs)
    missing = data.draw(st.sets(st.sampled_from(needed), max_size=2))
    some = data.draw(st.sets(st.sampled_from(paths)))
    granted = data.draw(st.sampled_from([set(needed) - missing, some, set(needed) | some]))
    for output in outputs(operation, kind, sorted(granted)):
        assert leaked(output, kind, set(granted)) == set()


@pytest.mark.parametrize(("name", "kind"), routed())
def test_with_everything_granted_every_needed_field_comes_out(name: str, kind: str) -> None:
    """Else the test above would be about converters that say nothing."""
    operation = OPERATIONS[name]
    needed = operation.needs | operation.context_needs
    said = {text for output in outputs(operation, kind, sorted(needed)) for text in scalars(output)}
    for path, values in values_of(kind).items():
        if path in needed and path not in ("visa_type",):
            assert any(value in text for value in values for text in said), path


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_event_holds_a_field_that_is_not_granted(kind: str, data: st.DataObject) -> None:
    granted = data.draw(st.sets(st.sampled_from(sorted(published_classes(kind)))))
    lists = {"sc-01": {kind: {"purpose": "Test", "fields": tuple(sorted(granted))}}}
    shown = policy(events=lists).event("sc-01", "service_center", kind, BODIES[kind])
    assert leaked(shown, kind, set(granted)) == set()


FAULT: Final = {name: f"result-error-{name}" for name in ("pointer", "code", "detail", "detail_ar")}
RESULT: Final[Mapping[str, Any]] = {
    "line": 1_000_001,
    "row": 1_000_002,
    "reference": "result-reference",
    "application_id": "result-application",
    "state": "result-state",
    "reason": "result-reason",
    "expected_at": "result-expected",
    "visa": {name: f"result-visa-{name}" for name in ("number", "valid_from", "valid_until", "stay_until")},
    "errors": [FAULT],
    "updated_at": "result-updated",
    "clearance": "result-clearance",
}


@given(st.sets(st.sampled_from(sorted(RESULT_CLASSES))))
def test_no_result_holds_a_field_that_is_not_granted(granted: set[str]) -> None:
    needs = policy(results={"service_center": tuple(sorted(granted))})
    batch = {name.removeprefix("batch."): f"v {name}" for name in RESULT_CLASSES if name.startswith("batch.")}
    message = {
        name.removeprefix("message."): f"v {name}" for name in RESULT_CLASSES if name.startswith("message.")
    }
    faults = [
        {"line": 1_000_001, "row": 1_000_002, "reference": "result-reference", **FAULT},
        {"line": 1_000_001, "application": {"name": "result-whole"}},
    ]
    said = set(scalars(needs.result(RESULT)))
    said |= {text for fault in faults for text in scalars(needs.rejection(fault))}
    said |= set(scalars(needs.batch(batch))) | set(scalars(needs.message(message, "service_center")))
    allowed = {f"v {path}" for path in granted if path.startswith(("batch.", "message."))}
    for path in granted - {"application"}:
        value: Any = RESULT
        for step in path.split("."):
            value = value[0] if isinstance(value, list) else value
            value = value.get(step, {}) if isinstance(value, Mapping) else {}
        allowed.update(scalars(value))
    if "application" in granted:
        allowed.add("result-whole")
    assert said <= allowed
    assert set(scalars(needs.message(message, "committee"))) == set()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_webhook_says_nothing_of_what_an_event_says(kind: str) -> None:
    from gateway.ledger.records import StoredEvent

    values: dict[str, Any] = dict.fromkeys(StoredEvent.__slots__)
    values |= {
        "seq": 7, "id": "event", "receiver": "sc-01", "kind": kind, "subject": "subject", "sealed": b"sealed",
        "data_key": b"key", "created_at": 1_800_000_000_000_000, "message_id": "somebody-elses",
    }  # fmt: skip
    text = notice_body(StoredEvent(**values)).decode()
    assert "somebody-elses" not in text
    assert not leaked([text], kind, set())


# --- the tests are able to fail


def test_a_converter_that_reads_the_body_by_another_way_is_seen() -> None:
    body = BODIES["visa.application"]
    output = [
        {"person": Projection({"birth_date": body["birth_date"]})["birth_date"]},
        body["name"]["family"],
    ]
    assert leaked(output, "visa.application", {"birth_date"}) == {"name.family"}


def test_a_context_that_was_not_reduced_is_seen() -> None:
    output = OPERATIONS["foreign_affairs.visa_cancellation"].call.request(Projection({}), context())
    assert leaked(output, "visa.cancellation", set()) >= {f"earlier.{ISSUANCE}.visa_number"}


def test_an_event_that_was_not_pruned_is_seen() -> None:
    assert "description" in leaked(BODIES["case.report"], "case.report", {"case_id"})
