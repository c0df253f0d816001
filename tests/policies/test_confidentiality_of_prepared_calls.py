"""What a converter is handed when a call is prepared: nothing in it goes beyond the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.message import (
    BatchFacts,
    CallContext,
    Exchange,
    FieldNotGranted,
    MessageId,
    Operation,
    Projection,
    Verdict,
)
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey
from gateway.pipeline.prepare import PreparedStep, prepare_exchange
from gateway.policies.confidentiality import NeedToKnow
from gateway.ports import PreparedRequest
from gateway.settings import ConfidentialityPolicy
from gateway.values import replace

BATCH = BatchFacts("B-1", "LIC-1", "AGT-1", "MSN-1", 1448, "PKG-1", "GRP-1")
BODY = {
    "passport": {"number": "A1234567"},
    "photo": "…",
    "earlier": {"first.step": {"number": "V-1", "reason": "HIT"}, "second.step": {"number": "V-2"}},
}


@dataclass
class Reaching:
    """A converter that takes whatever it is asked for, and a partner that takes whatever it says."""

    paths: tuple[str, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()
    seen: list[tuple[Projection, CallContext]] = field(default_factory=list)

    def convert(self, projection: Projection, context: CallContext) -> Mapping[str, Any]:
        self.seen.append((projection, context))
        return {
            "taken": [projection[path] for path in self.paths],
            "earlier": [context.earlier[step][name] for step, name in self.earlier],
        }

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> PreparedRequest:
        return PreparedRequest(action, repr(values).encode(), "c-1")


def prepared(reaching: Reaching, *granted: str) -> PreparedStep:
    """The one call, made under a list of these fields."""
    grants = {"nic": {"nic.check": {"purpose": "Test", "fields": granted}}}
    policy = ConfidentialityPolicy.model_validate({"version": "9", "grants": grants, "results": {}})
    exchange = Exchange("Check", reaching.convert, cast("Any", _no_reply))
    operation = Operation("nic.check", "nic", True, frozenset(), exchange)
    engine = SimpleNamespace(need_to_know=NeedToKnow(policy), partners={"nic": reaching})
    message = SimpleNamespace(id=MessageId("m-1"), facts=BATCH)
    journey = Journey(cast("Any", message), cast("Any", None), BODY, (), {})
    return prepare_exchange(journey, operation, exchange, cast("Engine", engine))


def _no_reply(values: Mapping[str, Any], context: CallContext) -> Verdict:
    raise AssertionError("nothing is sent here")


def test_without_a_grant_the_context_says_nothing_of_the_batch_nor_of_earlier_steps() -> None:
    reaching = Reaching()
    prepared(reaching)
    projection, context = reaching.seen[0]
    assert projection.fields == {}
    assert context.batch == BatchFacts("", "", "", "", 0)
    assert context.earlier == {}


def test_for_whom_a_call_is_made_is_said_fact_by_fact() -> None:
    reaching = Reaching()
    step = prepared(reaching, "batch.agent_id", "batch.mission_id")
    assert reaching.seen[0][1].batch == replace(BatchFacts("", "", "", "", 0), agent="AGT-1")
    # The mission was within reach, and was not taken.
    assert step.disclosure.fields == ("batch.agent_id",)


def test_a_batch_s_other_facts_are_taken_from_the_projection() -> None:
    step = prepared(Reaching(paths=("batch.mission_id",)), "batch.mission_id", "batch.group_number")
    assert b"MSN-1" in step.request.body
    assert step.disclosure.fields == ("batch.mission_id",)


def test_of_earlier_steps_only_granted_fields_are_handed_on() -> None:
    granted = ("earlier.first.step.number", "passport.number")
    step = prepared(Reaching(earlier=(("first.step", "number"),)), *granted)
    assert step.disclosure.fields == ("earlier.first.step.number",)
    for out_of_reach in (("first.step", "reason"), ("second.step", "number")):
        with pytest.raises(KeyError):
            prepared(Reaching(earlier=(out_of_reach,)), *granted)


@pytest.mark.parametrize("path", ["photo", "earlier.first.step.number", "batch.season", "batch", "earlier"])
def test_a_path_that_is_not_granted_is_out_of_reach(path: str) -> None:
    with pytest.raises(FieldNotGranted):
        prepared(Reaching(paths=(path,)), "passport.number")


@pytest.mark.parametrize("path", ["batch", "earlier", "batch.anything", "earlier.first.step"])
def test_a_grant_of_a_whole_part_grants_nothing_in_it(path: str) -> None:
    reaching = Reaching()
    prepared(reaching, path)
    projection, context = reaching.seen[0]
    assert not any(projection.fields.values())
    assert context.batch == BatchFacts("", "", "", "", 0)
    assert not any(
        name for step in context.earlier.values() for name in cast("Projection", step).fields.values()
    )
