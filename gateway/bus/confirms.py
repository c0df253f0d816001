"""Publishing with confirms (RabbitMQ's extension), many under way at once.

Waiting for each confirm would make every message a round trip. Here the broker's answers arrive as events
while the next messages go out, and are matched by delivery tag.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kombu import Connection, Producer

from gateway.bus.link import BrokerSilent


class Outcome(Enum):
    """What the broker said about one message."""

    CONFIRMED = "confirmed"
    #: It could not keep the message.
    NACKED = "nacked"
    #: No queue was there to take it.
    UNROUTABLE = "unroutable"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to publish, always persistent."""

    message_id: str
    body: bytes = field(repr=False)
    content_type: str
    exchange: str
    routing_key: str
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_encoding: str = "utf-8"
    #: The AMQP property `type`.
    kind: str | None = None


#: Told once for each parcel, on the thread of the connection.
Settled = Callable[[Outcome], None]


class ConfirmedChannel:
    """A channel of its own on `connection`. On `memory://` everything is confirmed at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel = connection.channel()
        self._confirms: bool = connection.transport.driver_type == "amqp"
        self._producer = Producer(
            self._channel, auto_declare=False, on_return=self._returned if self._confirms else None
        )
        self._last_tag = 0
        self._open: dict[int, tuple[str, float, Settled]] = {}
        self._came_back: set[str] = set()
        if self._confirms:
            self._channel.confirm_select()
            self._channel.events["basic_ack"].add(self._acked)
            self._channel.events["basic_nack"].add(self._nacked)

    @property
    def routes_copies(self) -> bool:
        """Whether the broker knows the `BCC` header."""
        return self._confirms

    @property
    def under_way(self) -> int:
        """Messages that the broker has not answered for."""
        return len(self._open)

    def check_patience(self, timeout_s: float) -> None:
        """Raise `BrokerSilent` when the oldest open message waits longer than `timeout_s`."""
        _, since_s, _ = next(iter(self._open.values()), ("", float("inf"), None))
        if time.monotonic() - since_s > timeout_s:
            raise BrokerSilent

    def publish(self, parcel: Parcel, settled: Settled) -> None:
        """Send without waiting. Afterwards let events be drained, by `settle` or otherwise."""
        self._last_tag += 1
        self._open[self._last_tag] = parcel.message_id, time.monotonic(), settled
        self._producer.publish(
            parcel.body,
            exchange=parcel.exchange,
            routing_key=parcel.routing_key,
            headers=dict(parcel.headers),
            content_type=parcel.content_type,
            content_encoding=parcel.content_encoding,
            delivery_mode=2,
            mandatory=True,
            message_id=parcel.message_id,
            type=parcel.kind,
        )
        if not self._confirms:
            self._acked(self._last_tag, multiple=False)

    def settle(self, timeout_s: float) -> None:
        """Wait until all is answered. Raises `BrokerSilent`, or what broke the connection."""
        ends = time.monotonic() + timeout_s
        while self._open:
            left = ends - time.monotonic()
            if left <= 0:
                raise BrokerSilent
            try:
                self._connection.drain_events(timeout=min(1.0, left))
            except TimeoutError:
                self._connection.heartbeat_check()

    def _returned(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        # It comes before the acknowledgement of the same message.
        self._came_back.add(message.properties.get("message_id", ""))

    def _acked(self, tag: int, multiple: bool) -> None:
        self._answer(tag, multiple, Outcome.CONFIRMED)

    def _nacked(self, tag: int, multiple: bool) -> None:
        self._answer(tag, multiple, Outcome.NACKED)

    def _answer(self, tag: int, multiple: bool, outcome: Outcome) -> None:
        tags = [each for each in self._open if each <= tag] if multiple else [tag]
        for each in tags:
            message_id, _, settled = self._open.pop(each)
            unroutable = message_id in self._came_back
            self._came_back.discard(message_id)
            settled(Outcome.UNROUTABLE if unroutable else outcome)
