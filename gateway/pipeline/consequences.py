"""What a message's moves lead to beyond the message itself: the gate before, the flow after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from gateway.flows import FLOWS, Desk, Standing, Subject, visas
from gateway.flows.flow import Moved
from gateway.ledger.books import Books
from gateway.ledger.records import GateClosed, Move
from gateway.message import PartyId
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey, StepStatus
from gateway.states import Outcome

APPLICATION = "visa.application"
ISSUANCE = "foreign_affairs.visa_issuance"


def gate_of(journey: Journey) -> Callable[[Books], GateClosed | None] | None:
    """The gate that the intent of a message's call must pass."""
    message = journey.message
    if message.kind != APPLICATION:
        return None
    arrives_on = date.fromisoformat(journey.body["travel"]["arrival_date"])
    request = visas.Request(message.id, message.party, message.facts, arrives_on)
    return lambda books: visas.may_issue(request, books)


def following(move: Move, journey: Journey, engine: Engine) -> Callable[[Books], None] | None:
    """What is written with the move that ends a carry, or None."""
    message = move.message
    subject = Subject(message.id, message.kind, PartyId(message.party))
    if move.outcome is Outcome.ISSUED:
        result = journey.steps[ISSUANCE].result or {}
        leaves_on = journey.body["travel"]["departure_date"]
        return lambda books: visas.issued(
            result, message.facts, leaves_on, Desk(engine.office, books, subject)
        )
    if move.outcome is Outcome.DONE and message.parent_id is not None:
        parent = message.parent_id
        return lambda books: visas.cancelled(parent, Desk(engine.office, books, subject))
    moved = _moved(message.kind)
    if moved is None:
        return None
    standing = standing_of(move, journey)
    return lambda books: moved(journey.body, standing, Desk(engine.office, books, subject))


def _moved(kind: str) -> Moved | None:
    flow = FLOWS.get(kind)
    return None if flow is None else flow.moved


def standing_of(move: Move, journey: Journey) -> Standing:
    """How the message stands after the move."""
    names = [operation.name for stage in journey.stages for operation in stage]
    done = {
        name: state.result or {}
        for name in names
        if (state := journey.steps.get(name)) is not None and state.status is StepStatus.DONE
    }
    return Standing(move.to, move.outcome, move.code, done, frozenset(names) - done.keys())
