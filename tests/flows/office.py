"""The network's messages without transports: real ledger, vault, policies and flows; a clock that is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.ledger.records import Taken
from gateway.message import PartyId
from gateway.pipeline.notify import notifications
from gateway.pipeline.take import Arrival, take
from schemas.kinds import KINDS
from tests.pipeline.world import World, open_world

__all__ = ["World", "example", "open_world", "send", "told"]

LICENSING = PartyId("licensing")
PILGRIM_SERVICES = PartyId("pilgrim-services")
COMMITTEE = PartyId("committee")
CENTER = PartyId("sc-01")
OTHER_CENTER = PartyId("sc-02")


def example(kind: str, **changes: Any) -> dict[str, Any]:
    """The kind's documented example, with these fields instead (None takes one away)."""
    body = {**KINDS[kind].example, **changes}
    return {name: value for name, value in body.items() if value is not None}


async def send(world: World, party: PartyId, kind: str, **changes: Any) -> Taken:
    """One message, as if it had come over HTTP."""
    return await take(Arrival(party, kind, example(kind, **changes), "http"), world.engine)


async def told(world: World, party: PartyId, kind: str | None = None) -> list[dict[str, Any]]:
    """The data of every event that a party was told of, in order."""
    page = await notifications(party, world.engine, cursor="0", limit=1000)
    return [event["data"] for event in page["notifications"] if kind in (None, event["kind"])]


async def open_office(folder: Path) -> World:
    """A gateway of its own for one test."""
    return await open_world(folder)
