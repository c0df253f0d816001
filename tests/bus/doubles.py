"""A ledger's worth of memory behind the bus's ports, and a department on the other side of the broker."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from kombu import Connection, Producer, Queue

from gateway.bus.port import OutgoingEvent, Taken, Watch
from gateway.bus.proof import sign_command
from gateway.message import Body, MessageId, PartyId, new_id

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


class Outbox:
    """`OutgoingEvents` in memory. Tells when a receiver's mark has come to an event."""

    def __init__(self) -> None:
        self.events: dict[str, list[OutgoingEvent]] = defaultdict(list)
        self.marks: dict[str, int] = defaultdict(int)
        self.failing: Exception | None = None
        self._moved = asyncio.Condition()

    def add(self, receiver: str, **given: Any) -> OutgoingEvent:
        event = event_for(receiver, len(self.events[receiver]) + 1, **given)
        self.events[receiver].append(event)
        return event

    async def after(self, receiver: PartyId, channel: str, limit: int) -> Sequence[OutgoingEvent]:
        if self.failing is not None:
            raise self.failing
        return [each for each in self.events[receiver] if each.seq > self.marks[receiver]][:limit]

    async def mark(self, receiver: PartyId, channel: str, seq: int) -> None:
        assert seq >= self.marks[receiver], "a mark never goes back"
        async with self._moved:
            self.marks[receiver] = seq
            self._moved.notify_all()

    async def marked(self, receiver: str, seq: int, timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s), self._moved:
            await self._moved.wait_for(lambda: self.marks[receiver] >= seq)


def event_for(receiver: str, seq: int, **given: Any) -> OutgoingEvent:
    fields: dict[str, Any] = {
        "seq": seq,
        "id": new_id(),
        "kind": "licensee.activation",
        "receiver": PartyId(receiver),
        "subject": f"licensee/L-{seq}",
        "time": NOW,
        "data": {"licensee_id": f"L-{seq}", "active": True},
        "classification": "public",
    }
    return OutgoingEvent(**{**fields, **given})


class Desk:
    """`Take` in memory: remembers by key, and answers or fails as a test wants."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], tuple[str, Body]] = {}
        #: The errors of the next calls, in order; None takes.
        self.errors: list[Exception | None] = []
        self.calls = 0
        self._moved = asyncio.Condition()

    async def __call__(self, sender: PartyId, kind: str, body: Body, idempotency_key: str) -> Taken:
        async with self._moved:
            self.calls += 1
            self._moved.notify_all()
            error = self.errors.pop(0) if self.errors else None
            if error is not None:
                raise error
            duplicate = (sender, idempotency_key) in self.taken
            self.taken.setdefault((sender, idempotency_key), (kind, body))
            return Taken(MessageId(new_id()), NOW, duplicate)

    async def called(self, times: int, timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s), self._moved:
            await self._moved.wait_for(lambda: self.calls >= times)


@dataclass
class Noted(Watch):
    """Everything the bus told, for tests to wait for."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def _note(self, *what: Any) -> None:
        with self._changed:
            self.told.append(what)
            self._changed.notify_all()

    def published(self, receiver: PartyId, kind: str) -> None:
        self._note("published", receiver, kind)

    def not_published(self, receiver: PartyId, kind: str, reason: str) -> None:
        self._note("not_published", receiver, kind, reason)

    def taken(self, sender: PartyId, kind: str, *, duplicate: bool) -> None:
        self._note("taken", sender, kind, duplicate)

    def rejected(self, sender: PartyId | None, code: str) -> None:
        self._note("rejected", sender, code)

    def postponed(self, sender: PartyId, kind: str) -> None:
        self._note("postponed", sender, kind)

    def connected(self, side: str, connected: bool) -> None:
        self._note("connected", side, connected)

    async def until(self, done: Callable[[list[tuple[Any, ...]]], bool], timeout_s: float = 20) -> None:
        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: done(self.told), timeout_s)

        assert await asyncio.to_thread(wait), self.told

    async def heard(self, *what: Any, times: int = 1) -> None:
        await self.until(lambda told: told.count(what) >= times)


class Keys:
    """`PartyKeys` of a few parties, with the private halves for tests."""

    def __init__(self, *parties: str) -> None:
        self.private = {party: Ed25519PrivateKey.generate() for party in parties}
        self._nobodys = Ed25519PrivateKey.generate()

    def of(self, party: str) -> tuple[Ed25519PublicKey, ...]:
        return (self.private.get(party, self._nobodys).public_key(),)


class Department:
    """A party on the other side: plain kombu, as a department would use it."""

    def __init__(self, url: str, party: str, keys: Keys) -> None:
        self.party = party
        self._keys = keys
        self._connection = Connection(url, transport_options={"polling_interval": 0.01})
        self._confirming = Connection(
            url,
            transport_options={"polling_interval": 0.01}
            if url.startswith("memory")
            else {"confirm_publish": True},
        )

    def close(self) -> None:
        self._connection.release()
        self._confirming.release()

    def command(self, **given: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": new_id(),
            "source": f"urn:umrah:party:{self.party}",
            "type": "licensee.status",
            "datacontenttype": "application/json",
            "data": {"licensee_id": "L-1", "version": 1, "status": "active"},
            **given,
        }

    def send(self, event: Mapping[str, Any] | bytes, *, signer: str | None = None, **given: Any) -> bytes:
        """Publish; `given` overrides properties, and `headers` adds to the signature's."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        party = signer or self.party
        key = self._keys.private.get(party) or Ed25519PrivateKey.generate()
        headers = {"authorization": sign_command(key, party, "umrah-gateway", body, NOW)}
        properties = {
            "content_type": "application/cloudevents+json; charset=utf-8",
            "content_encoding": "utf-8",
            "exchange": "",
            "routing_key": "umrah.commands",
            **given,
            "headers": {**headers, **given.get("headers", {})},
        }
        with self._confirming.channel() as channel:
            Producer(channel).publish(body, delivery_mode=2, **properties)
        return body

    def read(self, queue: str, count: int, timeout_s: float = 30) -> list[Any]:
        """Exactly `count` messages of `queue`, acknowledged."""
        messages: list[Any] = []
        with self._connection.channel() as channel:
            channel.auto_decode = False
            consumer = self._connection.Consumer(
                [Queue(queue, no_declare=True)], channel=channel, on_message=messages.append,
                prefetch_count=count,
            )  # fmt: skip
            with consumer:
                while len(messages) < count:
                    self._connection.drain_events(timeout=timeout_s)
            for message in messages[:count]:
                message.ack()
        assert len(messages) == count
        return messages

    def send_new(self) -> str:
        """The id of a fresh command, sent."""
        command = self.command()
        self.send(command)
        return str(command["id"])

    def read_until(self, queue: str, last_id: str, timeout_s: float = 30) -> list[Any]:
        """Every message of `queue` up to the first with this id, acknowledged."""
        messages: list[Any] = []
        with self._connection.channel() as channel:
            consumer = self._connection.Consumer(
                [Queue(queue, no_declare=True)], channel=channel, on_message=messages.append
            )
            with consumer:
                while not messages or messages[-1].properties["message_id"] != last_id:
                    self._connection.drain_events(timeout=timeout_s)
        return messages

    def waiting(self, queue: str) -> int:
        """How many messages of `queue` nobody holds."""
        with self._connection.channel() as channel:
            return Queue(queue, no_declare=True)(channel).queue_declare(passive=True).message_count
