"""What a message's moves lead to beyond the message itself: the gate before, the flow after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from gateway.flows import FLOWS, Desk, Standing, Subject, restored, visas
from gateway.flows.flow import Moved
from gateway.ledger.books import Books
from gateway.ledger.records import Claimed, GateClosed, MessageRow, Move
from gateway.message import Body, PartyId
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey, StepStatus
from gateway.states import Outcome

APPLICATION = "visa.application"
ISSUANCE = "foreign_affairs.visa_issuance"


def gate_of(journey: Journey, engine: Engine) -> Callable[[Books], GateClosed | None] | None:
    """The gate that the intent of a message's call must pass."""
    message = journey.message
    if message.kind != APPLICATION:
        return None
    request = request_of(message, journey.body)
    body, destination, vault = journey.body, issues_at(engine), engine.vault
    return lambda books: (
        restored.closed_by(destination, body, vault, books) or visas.may_issue(request, books)
    )


def request_of(message: Claimed | MessageRow, body: Body) -> visas.Request:
    """An application, as the gate sees it."""
    arrives_on = date.fromisoformat(body["travel"]["arrival_date"])
    return visas.Request(message.id, message.party, message.facts, arrives_on)


def issues_at(engine: Engine) -> str:
    """The destination that visas are asked of."""
    return engine.operations[ISSUANCE].destination


def following(move: Move, journey: Journey, engine: Engine) -> Callable[[Books], None] | None:
    """What is written with the move that ends a carry, or None."""
    message = move.message
    subject = Subject(message.id, message.kind, PartyId(message.party))
    if move.outcome is Outcome.ISSUED:
        result = journey.steps[ISSUANCE].result or {}
        leaves_on = journey.body["travel"]["departure_date"]
        request, destination = request_of(message, journey.body), issues_at(engine)

        def issued(books: Books) -> None:
            restored.count_in(destination, request, books)
            visas.issued(result, message.facts, leaves_on, Desk(engine.office, books, subject))

        return issued
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
