"""What waits for each receiver, published in order and marked only after the broker has it.

A round: read what waits, publish it all, wait for the confirms, mark. A crash anywhere before the mark leads
to the same events again, with the same ids; receivers drop what they have seen. One connection carries a
receiver's events in order, and whatever follows a failure is published again behind it, so by first sight
the order holds; after a nack in the middle the attribute `sequence` tells it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from kombu import Connection

from gateway.bus.confirms import ConfirmedChannel, Outcome, Parcel
from gateway.bus.event import CONTENT_TYPE, encode_event
from gateway.bus.keys import EncryptionKey
from gateway.bus.link import Link, NotPublished
from gateway.bus.port import CHANNEL, OutgoingEvent, OutgoingEvents, Watch
from gateway.bus.topology import EVENTS, declare_events, receiver_key
from gateway.errors import GatewayError
from gateway.message import PartyId
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.observe.log import log

#: Events of one receiver under way at the same time.
WINDOW: Final = 200


@dataclass(slots=True)
class _Round:
    """The events of one receiver that were just published, and how far they are confirmed."""

    receiver: PartyId
    events: list[OutgoingEvent]
    confirmed: set[int]

    def confirmed_up_to(self) -> int | None:
        """The last of the events before which none is open."""
        last = None
        for event in self.events:
            if event.seq not in self.confirmed:
                break
            last = event.seq
        return last


class Publisher:
    """The session of the publishing link."""

    def __init__(
        self,
        outgoing: OutgoingEvents,
        receivers: Mapping[PartyId, EncryptionKey],
        watch: Watch,
        *,
        idle_s: float = 1.0,
    ) -> None:
        self._outgoing = outgoing
        self._receivers = receivers
        self._watch = watch
        self._idle_s = idle_s

    def session(self, link: Link, connection: Connection) -> None:
        """Publish until told to stop. Raises whatever breaks the connection."""
        declare_events(connection.default_channel, self._receivers, link.broker.queue_type)
        channel = ConfirmedChannel(connection)
        link.ready()
        while not link.stopping.is_set():
            link.wake.clear()
            if link.stopping.is_set():
                return
            if not self._publish_round(link, connection, channel):
                link.rest(connection, self._idle_s)

    def _publish_round(self, link: Link, connection: Connection, channel: ConfirmedChannel) -> bool:
        """Whether anything was moved."""
        rounds = [self._send(link, connection, channel, receiver) for receiver in self._receivers]
        try:
            channel.settle(link.broker.confirm_timeout_s)
        finally:
            moved = [self._mark(link, connection, each) for each in rounds]
        if any(len(each.confirmed) < len(each.events) for each in rounds):
            raise NotPublished
        return any(moved)

    def _send(
        self, link: Link, connection: Connection, channel: ConfirmedChannel, receiver: PartyId
    ) -> _Round:
        try:
            events: Sequence[OutgoingEvent] = link.ask(
                connection, self._outgoing.after(receiver, CHANNEL, WINDOW)
            )
        except GatewayError as error:
            log.warning("events_not_read", action="bus", party=receiver, code=error.code)
            events = ()
        sent = _Round(receiver, [], set())
        for event in events:
            parcel = self._parcel(event, channel)
            if parcel is None:
                break
            sent.events.append(event)
            channel.publish(parcel, partial(self._settled, sent, event))
        return sent

    def _parcel(self, event: OutgoingEvent, channel: ConfirmedChannel) -> Parcel | None:
        """None for an event that has no form on the wire: it holds up its own receiver, and no other."""
        try:
            body = encode_event(event, self._receivers[event.receiver])
        except Exception:
            log.exception("event_unreadable", action="bus", party=event.receiver, message_id=event.id)
            self._watch.not_published(event.receiver, event.kind, "unreadable")
            return None
        key = receiver_key(event.receiver)
        copies = channel.routes_copies
        return Parcel(
            message_id=event.id,
            body=body,
            content_type=CONTENT_TYPE,
            exchange=EVENTS,
            routing_key=event.kind if copies else key,
            headers={**({"BCC": [key]} if copies else {}), **_trace(event)},
            kind=event.kind,
        )

    def _settled(self, sent: _Round, event: OutgoingEvent, outcome: Outcome) -> None:
        if outcome is Outcome.CONFIRMED:
            sent.confirmed.add(event.seq)
            self._watch.published(event.receiver, event.kind)
            return
        log.warning(
            "event_not_published", action="bus", party=event.receiver, kind=event.kind, code=outcome.value
        )
        self._watch.not_published(event.receiver, event.kind, outcome.value)

    def _mark(self, link: Link, connection: Connection, sent: _Round) -> bool:
        seq = sent.confirmed_up_to()
        if seq is None:
            return False
        crash_point("before_mark")
        try:
            link.ask(connection, self._outgoing.mark(sent.receiver, CHANNEL, seq))
        except GatewayError as error:
            # Published, and not remembered: it goes again, and receivers have seen it.
            log.warning("events_not_marked", action="bus", party=sent.receiver, code=error.code)
            return False
        link.progress()
        return True


def _trace(event: OutgoingEvent) -> Mapping[str, str]:
    """`traceparent` of its message's trace. The span is an instant: the broker answers the round."""
    if event.origin is None:
        return {}
    with tracing.of_message(event.origin, "publish", kind=event.kind):
        return tracing.headers()
