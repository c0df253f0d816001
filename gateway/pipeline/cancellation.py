"""A cancellation of an issued visa is a message of its own, with its own itinerary."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.ledger.port import MessageRow, NewMessage
from gateway.ledger.vault import DataKey, Place
from gateway.message import BatchFacts, MessageId, PartyId, new_id
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey, StepState, open_steps, request_reference
from gateway.policies.urgency import lane_of
from gateway.states import State

KIND = "visa.cancellation"
ISSUANCE = "foreign_affairs.visa_issuance"


def cancellation_of(journey: Journey, engine: Engine) -> NewMessage:
    """For an application that was issued although a cancellation had been asked for."""
    message = journey.message
    return _new(engine, message.id, message.party, message.facts, journey.steps[ISSUANCE])


def cancellation_of_row(row: MessageRow, key: DataKey, engine: Engine) -> NewMessage:
    """For an application that has been issued."""
    return cancellation_of_steps(row, open_steps(engine.vault, key, row), engine)


def cancellation_of_steps(row: MessageRow, steps: Mapping[str, StepState], engine: Engine) -> NewMessage:
    """For an application that two operators resolve as issued although a cancellation had been asked for."""
    return _new(engine, row.id, row.party, row.facts, steps[ISSUANCE])


def _new(
    engine: Engine, application: MessageId, party: PartyId, facts: BatchFacts, issuance: StepState
) -> NewMessage:
    now = engine.now()
    id = MessageId(new_id())
    key = engine.vault.new_data_key(id, KIND)
    reference = request_reference(application, engine.operations[ISSUANCE])
    earlier = {ISSUANCE: {**(issuance.result or {}), "request_reference": reference}}
    return NewMessage(
        id=id,
        kind=KIND,
        party=party,
        facts=facts,
        reference=application,
        lane=lane_of(facts.licensee, KIND, party),
        state=State.READY,
        received_at=now,
        data_key=key.wrapped,
        sealed_payload=engine.vault.seal(key, {"earlier": earlier}, place=Place(party, id, "payload", 1)),
        versions=engine.versions(),
        parent_id=application,
        idempotency_key=f"{application}/cancel",
        next_at=now,
    )
