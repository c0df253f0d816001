"""What the bus needs from the rest of the gateway, and what passes between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel

from gateway.message import Body, MessageId, PartyId

#: The name of this way out: what is confirmed here may still be unread over HTTP, and the reverse.
CHANNEL: Final = "bus"

SigningKey = Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """One event for one receiver, already reduced to what that receiver may know."""

    #: The position among the receiver's events: grows, with gaps, and is never used again.
    seq: int
    #: The same in every repetition: receivers drop what they have seen.
    id: str
    kind: str
    receiver: PartyId
    #: What the event is about, readable on the way: an id of class public, never a visa number.
    subject: str
    time: datetime
    data: Body = field(repr=False)
    #: The highest class among the fields of `data` (`schemas.confidentiality`).
    classification: str
    correlation_id: str | None = None
    version: int = 1
    #: The message that led to it, where there is one: they share a trace.
    origin: str | None = None


class OutgoingEvents(Protocol):
    """The events that wait for a receiver. Both are awaited on the gateway's loop, one at a time."""

    async def after(self, receiver: PartyId, channel: str, limit: int) -> Sequence[OutgoingEvent]:
        """At most `limit` events of `receiver` behind the mark of `channel`, in order of `seq`.

        An event must not appear before one with a smaller `seq`, not even late: the mark passes it over.
        Raises `Unavailable`.
        """

    async def mark(self, receiver: PartyId, channel: str, seq: int) -> None:
        """Everything up to and with `seq` was confirmed. Safe to repeat. Raises `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A command is durably recorded."""

    message_id: MessageId
    received_at: datetime
    #: It had been recorded before, under the same idempotency key.
    duplicate: bool


class Take(Protocol):
    """Admits one command, on the gateway's loop."""

    async def __call__(self, sender: PartyId, kind: str, body: Body, idempotency_key: str) -> Taken:
        """Return once the command is durable; safe to repeat with the same key.

        Raises `Refused` or `Conflict` when it can never be taken (a `Conflict` with `retry_after_s` is
        offered again), `Unavailable` when not now. Pointers of violations are inside `body`.
        """


class PartyKeys(Protocol):
    """The public keys with which parties sign. Read from the consumer's thread."""

    def of(self, party: str) -> Sequence[SigningKey]:
        """The party's keys, more than one while they change; for an unknown party a key of nobody's."""


class Watch:
    """What happens on the bus, for metrics. Every method is called from one of the bus's threads.

    Does nothing by itself: derive from it and count. A method must be quick and must not raise.
    """

    def published(self, receiver: PartyId, kind: str) -> None:
        """An event was confirmed by the broker."""

    def not_published(self, receiver: PartyId, kind: str, reason: str) -> None:
        """`unroutable`, `nacked` or `unreadable`; it will be tried again."""

    def taken(self, sender: PartyId, kind: str, *, duplicate: bool) -> None:
        """A command was recorded, or had been before."""

    def rejected(self, sender: PartyId | None, code: str) -> None:
        """A command went to the rejected ones. `sender` is None when it did not prove itself."""

    def postponed(self, sender: PartyId, kind: str) -> None:
        """A command could not be taken now and is kept."""

    def connected(self, side: str, connected: bool) -> None:
        """The `publisher` or the `consumer` gained or lost its connection."""


class KindDescription(Protocol):
    """What `schemas.kinds` tells of a kind, as far as this package needs it."""

    @property
    def kind(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def model(self) -> type[BaseModel]: ...
    @property
    def title_en(self) -> str: ...
    @property
    def title_ar(self) -> str: ...
    @property
    def senders(self) -> Sequence[str] | frozenset[str]: ...
    @property
    def receivers(self) -> Sequence[str] | frozenset[str]: ...
    @property
    def example(self) -> Mapping[str, object]: ...
