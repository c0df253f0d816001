"""A flow: what a kind of message means to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from gateway.errors import Conflict
from gateway.flows.desk import Desk
from gateway.message import Body
from gateway.states import Outcome, State


class Standing(Struct, frozen=True):
    """How a carried message stands after a move."""

    state: State
    outcome: Outcome | None
    code: str | None
    #: What steps came to, by operation name; those that are done.
    results: Mapping[str, Mapping[str, Any]]
    #: Steps of its itinerary that are not done.
    outstanding: frozenset[str]


#: Record what the message says and tell whom it concerns. Raises `Refused` before it writes anything.
#: The message is kept with the code that comes back, if one does: why it could not be used as it is yet.
Take = Callable[[Body, Desk], str | None]
#: What a move of the carried message leads to.
Moved = Callable[[Body, Standing, Desk], None]


def nothing(_body: Body, _desk: Desk) -> None:
    """A message that changes no record by itself."""


class Flow(Struct, frozen=True):
    """One kind of message that is not a batch. Kinds with an itinerary are carried after they are taken."""

    kind: str
    take: Take = nothing
    moved: Moved | None = None
    #: The parties that may send it, where their kind does not say enough.
    only: frozenset[str] = frozenset()


def newer(desk: Desk, kind: str, id: str, version: int) -> None:
    """Raises `Conflict` (`stale_version`) unless `version` is above that of the record in force."""
    known = desk.books.record(kind, id)
    if known is not None and known.version.isdigit() and int(known.version) >= version:
        raise Conflict("stale_version")
