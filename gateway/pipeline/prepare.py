"""Prepare: the projection, then the conversion, before anything is committed or sent.

A converter's fault is found here, where no intent exists yet.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.errors import Refused
from gateway.message import CallContext, Disclosure, Exchange, FieldNotGranted, Operation
from gateway.pipeline.decide import Review
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey
from gateway.ports import PreparedRequest


class PreparedStep(Struct, frozen=True):
    """One step's request, ready for the wire."""

    operation: Operation
    exchange: Exchange
    context: CallContext
    request: PreparedRequest
    #: What the partner is given by it.
    disclosure: Disclosure


def prepare(
    journey: Journey, operations: tuple[Operation, ...], engine: Engine
) -> tuple[PreparedStep, ...] | Review:
    """A request for each operation, or `Review` when one can't be made: a person must look."""
    try:
        return tuple(_prepare(journey, operation, engine) for operation in operations)
    except (Refused, FieldNotGranted):
        return Review("conversion_failed")


def _prepare(journey: Journey, operation: Operation, engine: Engine) -> PreparedStep:
    follow_up = operation.follow_up if journey.step(operation).reference else None
    return prepare_exchange(journey, operation, follow_up or operation.call, engine)


def prepare_exchange(
    journey: Journey, operation: Operation, exchange: Exchange, engine: Engine
) -> PreparedStep:
    """The request of one exchange: only what its destination may have reaches the converter."""
    need_to_know, name, destination = engine.need_to_know, operation.name, operation.destination
    context = need_to_know.context(name, destination, journey.context(operation))
    projection = need_to_know.project(name, destination, journey.body, journey.message.facts)
    values = exchange.request(projection, context)
    request = engine.partners[destination].prepare(exchange.action, values, context)
    given = need_to_know.disclosure(name, destination, projection, context)
    return PreparedStep(operation, exchange, context, request, given)
