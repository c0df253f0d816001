"""Who was told of something, all parties looked at; and whether what is told is what its kind says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from gateway.flows.desk import Desk
from gateway.message import Body, PartyId
from gateway.pipeline.notify import notifications
from gateway.policies.confidentiality import NeedToKnow
from gateway.settings.confidentiality import Grant
from gateway.values import replace
from schemas.kinds import KINDS
from schemas.kinds.checking import check_kind
from tests.flows.office import World, told


async def audience(world: World, kind: str) -> set[PartyId]:
    """Every party that was told of this kind of event at least once."""
    return {party for party in world.engine.office.parties if await told(world, party, kind)}


async def heard(world: World, party: str) -> list[str]:
    """The kinds of everything that a party was told of, in order."""
    page = await notifications(PartyId(party), world.engine, cursor="0", limit=1000)
    return [event["kind"] for event in page["notifications"]]


async def subjects(world: World, party: str, kind: str) -> list[str]:
    """What the events of one kind are about."""
    page = await notifications(PartyId(party), world.engine, cursor="0", limit=1000)
    return [event["subject"] for event in page["notifications"] if event["kind"] == kind]


def granting(world: World, party: str, kind: str, *fields: str) -> World:
    """The same gateway, under a policy that also grants a party some fields of a kind of event."""
    engine = world.engine
    policy = engine.settings.confidentiality
    grant = Grant(purpose="A careless policy", fields=fields)
    events = {**policy.events, party: {**policy.events.get(party, {}), kind: grant}}
    changed = policy.model_copy(update={"events": events})
    settings = engine.settings.model_copy(update={"confidentiality": changed})
    return replace(world, engine=replace(engine, settings=settings, need_to_know=NeedToKnow(changed)))


def hold_to_their_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, what is published must be a valid body of its kind before anything is taken out of it."""
    publish = Desk.publish

    def checked(desk: Desk, kind: str, body: Body, **options: Any) -> Any:
        schema = KINDS[kind]
        found = check_kind(replace(schema, model=schema.published or schema.model), dict(body))
        assert found == body, (kind, found)
        return publish(desk, kind, body, **options)

    monkeypatch.setattr(Desk, "publish", checked)


def parties(*ids: str) -> set[PartyId]:
    return {PartyId(id) for id in ids}


def without(fields: Iterable[str], events: Iterable[dict[str, Any]]) -> bool:
    """Whether none of the events has any of these fields."""
    return all(name not in event for event in events for name in fields)
