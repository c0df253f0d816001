"""The ministry's network over a broker: the gateway's own parts behind the bus's ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.bus.bus import Bus
from gateway.bus.consumer import Intake
from gateway.bus.keys import EncryptionKey, ensure_demo_encryption_key, load_encryption_key
from gateway.bus.link import Broker
from gateway.bus.port import OutgoingEvent, Take, Taken, Watch
from gateway.clock import moment
from gateway.errors import Misconfigured
from gateway.flows import FLOWS
from gateway.ledger.records import Position
from gateway.message import Body, PartyId
from gateway.observe.metrics import Metrics
from gateway.pipeline.engine import Engine
from gateway.pipeline.notify import data_of
from gateway.pipeline.take import Arrival, take
from gateway.settings import Settings
from gateway.settings.parties import Party
from gateway.web.authentication import PartyKeys
from schemas.kinds import KINDS

#: Who has a queue of its own.
_ON_THE_BUS: Final = frozenset({"ministry", "committee"})


def ministry_bus(engine: Engine, in_force: Callable[[], Engine], keys: PartyKeys, data: Path) -> Bus | None:
    """The bus that the configuration asks for, not yet started; None without a broker.

    `in_force` gives the engine of the configuration that holds when it is asked. Raises `Misconfigured`.
    """
    settings = engine.settings
    if settings.gateway.broker_url is None:
        return None
    return Bus(
        broker_of(settings),
        outgoing=LedgerOutbox(in_force),
        receivers=_receivers(settings, data),
        take=_taking(in_force),
        keys=keys,
        intake=Intake(kinds={kind: KINDS[kind].version for kind in FLOWS}),
        now=engine.clock.now,
        watch=BusMetrics(engine.metrics),
    )


def broker_of(settings: Settings) -> Broker:
    """The configured broker. Only where there is one."""
    gateway = settings.gateway
    if gateway.broker_url is None:
        raise AssertionError("no broker is configured")
    return Broker(gateway.broker_url, queue_type=gateway.broker.queue_type)


def receivers_differ(bus: Bus, settings: Settings, data: Path) -> bool:
    """Whether the bus tells other parties than these settings ask for, or encrypts to other keys.

    Raises `Misconfigured` for a key that can't be read.
    """
    return _thumbprints(bus.receivers) != _thumbprints(_receivers(settings, data))


def _thumbprints(receivers: Mapping[PartyId, EncryptionKey]) -> dict[PartyId, str]:
    return {party: key.thumbprint() for party, key in receivers.items()}


def _receivers(settings: Settings, data: Path) -> dict[PartyId, EncryptionKey]:
    parties = [party for party in settings.parties if party.kind in _ON_THE_BUS]
    return {PartyId(party.id): _key_of(party, settings, data) for party in parties}


def _key_of(party: Party, settings: Settings, data: Path) -> EncryptionKey:
    if party.demo_key:
        return ensure_demo_encryption_key(data, party.id)
    if party.encryption_key is None:
        raise Misconfigured([f"parties.yaml:1:1: {party.id} has a queue and needs an encryption_key"])
    return load_encryption_key(settings.file(party.encryption_key))


class LedgerOutbox:
    """The ledger's outbox as the bus reads it (`gateway.bus.port.OutgoingEvents`)."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    async def after(self, receiver: PartyId, channel: str, limit: int) -> Sequence[OutgoingEvent]:
        engine = self._engine()
        position = await engine.ledger.position(receiver, channel)
        found = await engine.ledger.events(receiver, after=position.seq, limit=limit)
        return [
            OutgoingEvent(
                seq=event.seq,
                id=event.id,
                kind=event.kind,
                receiver=receiver,
                subject=event.subject,
                time=moment(event.created_at),
                # What was damaged in the database is logged there, and goes out without its data.
                data=data_of(event, engine) or {},
                classification=event.classification,
                correlation_id=event.correlation_id,
                origin=event.message_id,
            )
            for event in found
        ]

    async def mark(self, receiver: PartyId, channel: str, seq: int) -> None:
        await self._engine().ledger.mark(receiver, channel, Position(seq))


def _taking(engine: Callable[[], Engine]) -> Take:
    async def take_one(sender: PartyId, kind: str, body: Body, idempotency_key: str) -> Taken:
        found = await take(Arrival(sender, kind, body, "amqp", sender_key=idempotency_key), engine())
        return Taken(found.message_id, moment(found.received_at), found.duplicate)

    return take_one


class BusMetrics(Watch):
    """Counts what happens on the bus."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def published(self, receiver: PartyId, kind: str) -> None:
        self._metrics.bus_events.labels(receiver, kind, "published").inc()

    def not_published(self, receiver: PartyId, kind: str, reason: str) -> None:
        self._metrics.bus_events.labels(receiver, kind, reason).inc()

    def rejected(self, sender: PartyId | None, code: str) -> None:
        self._metrics.bus_rejected.labels(sender or "unproven", code).inc()

    def connected(self, side: str, connected: bool) -> None:
        self._metrics.bus_connected.labels(side).set(connected)
