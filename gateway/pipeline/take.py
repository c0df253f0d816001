"""The first half of the life of every message that is not a batch, whatever it came by.

    read → validate → authorise → record │ COMMIT = taken

Its flow (`gateway.flows`) runs in the recording transaction: what the message changes and whom it concerns is
true together with it, or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import FLOWS, Desk, Subject
from gateway.flows.subjects import visas_named
from gateway.flows.unauthorised import CODES
from gateway.ledger.books import Books
from gateway.ledger.records import NewMessage, Taken
from gateway.ledger.vault import Place
from gateway.message import BatchFacts, Body, MessageId, PartyId, new_id
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.observe.log import log
from gateway.pipeline.authorise import report_unauthorised
from gateway.pipeline.engine import Engine
from gateway.policies.urgency import lane_of
from gateway.states import Outcome, State
from schemas.hijri import season
from schemas.kinds import KINDS, KindSchema, check, key_of


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it came in, its bytes already read."""

    party: PartyId
    kind: str
    fields: Any
    #: `http`, `soap` or `amqp`.
    channel: str
    #: An idempotency key of the sender's own choice, beside the key of the kind.
    sender_key: str | None = None


async def take(arrival: Arrival, engine: Engine) -> Taken:
    """Take one message in; it is durable once this returns.

    The same message again (by the key of its kind) gets the first answer. A key of the sender's own, where
    one is given, stands for one message as well. Raises `Refused` with every violation and nothing recorded,
    `Conflict` for the same key with another body or for a version that is not newer, `Unavailable` when the
    ledger can't write or nothing new may be taken in.
    """
    engine.refuse_under_pressure()
    with counting_refusals(arrival.party, arrival.kind, engine):
        schema = may_send(arrival.party, arrival.kind, engine)
        body = _valid(arrival, schema)
        try:
            taken = await engine.ledger.take(*_recorded(arrival, schema, body, engine))
        except Refused as refusal:
            await _report(arrival, body, refusal.code, engine)
            raise
    crash_point("after_take")
    engine.metrics.received.labels(arrival.party, arrival.kind, arrival.channel).inc()
    if taken.code is not None:
        engine.metrics.parked.labels(arrival.kind, taken.code).inc()
    log.info("taken", action="take", message_id=taken.message_id, kind=arrival.kind, party=arrival.party)
    if not taken.duplicate:
        tracing.born(taken.message_id, kind=arrival.kind)
    engine.hints.notify(1, (taken.message_id,))
    return taken


@contextmanager
def counting_refusals(party: PartyId, kind: str, engine: Engine) -> Iterator[None]:
    """What is refused inside is counted as refused of this kind."""
    try:
        yield
    except Refused as refusal:
        engine.metrics.rejected.labels(party, _known(kind), refusal.code).inc()
        raise


async def _report(arrival: Arrival, body: Body, code: str, engine: Engine) -> None:
    """A flow refused it because its sender may not act for whom it names: the ministry is told."""
    if code in CODES:
        await report_unauthorised(arrival.party, facts_of(body, engine), code, engine)


def kind_named(kind: str) -> KindSchema:
    """The kind of that name, if the network has it. Raises `Refused` (`unknown_kind`, 404)."""
    schema = KINDS.get(kind)
    if schema is None:
        raise Refused("unknown_kind", status=404)
    return schema


def _known(kind: str) -> str:
    """A kind as a metric's label: never a text that somebody sent."""
    return kind if kind in KINDS else "unknown"


def may_send(sender: PartyId, kind: str, engine: Engine) -> KindSchema:
    """The kind, if a party of this sort may send it. Raises `Refused`: `unknown_kind`, `not_your_message`."""
    schema, flow = kind_named(kind), FLOWS.get(kind)
    party = engine.settings.party(sender)
    # A kind without a flow is one that only the gateway sends.
    if flow is None or party is None or party.kind not in schema.senders:
        raise Refused("not_your_message", status=403)
    if flow.only and party.id not in flow.only:
        raise Refused("not_your_message", status=403)
    return schema


def _valid(arrival: Arrival, schema: KindSchema) -> Body:
    checked = check(schema.kind, arrival.fields)
    if isinstance(checked, tuple):
        raise Refused("message_invalid", violations=checked, status=422)
    return checked


def _recorded(arrival: Arrival, schema: KindSchema, body: Body, engine: Engine) -> tuple[NewMessage, Any]:
    """The message as it is recorded, and what its flow does with it in the same transaction."""
    id = MessageId(new_id())
    key = engine.vault.new_data_key(id, arrival.kind)
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    carried, facts = engine.carries(arrival.kind), facts_of(body, engine)
    message = NewMessage(
        id=id,
        kind=arrival.kind,
        party=arrival.party,
        facts=facts,
        reference="",
        lane=lane_of(facts.licensee, arrival.kind, arrival.party),
        state=State.READY if carried else State.COMPLETED,
        outcome=None if carried else Outcome.DONE,
        received_at=engine.now(),
        data_key=key.wrapped,
        sealed_payload=engine.vault.seal(key, body, place=Place(arrival.party, id, "payload", 1)),
        versions=engine.versions(),
        idempotency_key="/".join((schema.kind, *map(str, key_of(schema.kind, body)))),
        next_at=engine.now() if carried else None,
        payload_sha=hashlib.sha256(text).digest(),
        sender_key=arrival.sender_key,
        visas_named=visas_named(body, engine.vault),
    )
    subject = Subject(id, arrival.kind, arrival.party)
    flow = FLOWS[arrival.kind]

    def work(books: Books) -> str | None:
        return flow.take(body, Desk(engine.office, books, subject))

    return message, work


def facts_of(body: Mapping[str, Any], engine: Engine) -> BatchFacts:
    """Whom a message is on behalf of, for lists and reports."""
    return BatchFacts(
        batch_reference="",
        licensee=str(body.get("licensee_id", "")),
        agent=str(body.get("agent_id", "")),
        mission=str(body.get("mission_id", "")),
        season=int(body.get("season") or season(engine.clock.today())),
        package=body.get("package_id"),
        group_number=body.get("group_number"),
    )
