"""Commands off the queue: each is acknowledged when it is durably taken, or durably set aside.

Nothing is decided on this thread but whether a message is a command at all, and whose. The rest is the
gateway's, on its event loop; several commands are handed over at once, so that they share commits, in the
order of their arrival. What cannot be taken now stays unacknowledged and is offered again after a pause, so
that a broker that counts deliveries has nothing to count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, Final

from kombu import Connection, Consumer, Message

from gateway.bus.command import Command, Delivery, check_wrapping, read_command
from gateway.bus.confirms import ConfirmedChannel, Outcome
from gateway.bus.link import Link, NotPublished, Stopping
from gateway.bus.port import PartyKeys, Take, Taken, Watch
from gateway.bus.proof import ProofRules, prove_sender
from gateway.bus.properties import are_unreadable, forgive_routing_keys, read_everything
from gateway.bus.rejection import rejected_parcel
from gateway.bus.topology import commands_queue, declare_commands
from gateway.errors import Conflict, Refused, Unavailable
from gateway.message import PartyId
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.observe.log import log
from gateway.values import replace

#: kombu's own mark on a packed body; hidden from it, so that it unpacks nothing.
_COMPRESSION: Final = "compression"
_HIDDEN: Final = "x-refused-compression"

read_everything()


@dataclass(frozen=True, slots=True)
class Intake:
    """How commands are taken in."""

    #: Kind and version of everything that may come.
    kinds: Mapping[str, int]
    proof: ProofRules = field(default_factory=ProofRules)
    max_bytes: int = 1_048_576
    #: Commands held unacknowledged at the same time.
    prefetch: int = 50
    first_pause_s: float = 0.2
    longest_pause_s: float = 10.0
    #: How often a command that makes the gateway fail is tried before it is set aside.
    attempts: int = 5
    #: A broker takes back what is held much longer than this (RabbitMQ: 30 minutes); so we let go first.
    hold_s: float = 900.0
    #: For commands under way when the gateway stops.
    drain_s: float = 10.0


@dataclass(slots=True)
class _Held:
    """A command between delivery and acknowledgement."""

    message: Message
    command: Command
    since_s: float = field(default_factory=time.monotonic)
    failures: int = 0
    pauses: int = 0
    #: When it is offered again, once it was postponed.
    due_s: float = 0.0


class Commands:
    """Whatever the consuming link needs to tell a command from what is none."""

    def __init__(
        self, take: Take, keys: PartyKeys, intake: Intake, watch: Watch, now: Callable[[], datetime]
    ) -> None:
        self.take = take
        self.intake = intake
        self.watch = watch
        self.now = now
        self._keys = keys

    def session(self, link: Link, connection: Connection) -> None:
        """Consume until told to stop. Raises whatever breaks the connection: the rest is redelivered."""
        declare_commands(connection.default_channel, link.broker.queue_type)
        _Session(self, link, connection).run()

    def sender(self, delivery: Delivery) -> PartyId:
        """Who signed what was delivered, once it is plain enough to look at. Raises `Refused`."""
        check_wrapping(delivery, self.intake.max_bytes)
        token = delivery.headers.get("authorization")
        return prove_sender(token, delivery.body, self._keys, self.intake.proof, self.now())


class _Session:
    """The commands of one connection. Everything happens on the link's thread but `take` itself."""

    def __init__(self, commands: Commands, link: Link, connection: Connection) -> None:
        self._commands = commands
        self._intake = commands.intake
        self._link = link
        self._connection = connection
        self._rejects = ConfirmedChannel(connection)
        self._answered: SimpleQueue[tuple[_Held, Future[Taken]]] = SimpleQueue()
        self._under_way = 0
        self._postponed: list[_Held] = []

    def run(self) -> None:
        consumer = self._consumer()
        consumer.consume()
        self._link.ready()
        while not self._link.stopping.is_set():
            self._turn()
        consumer.cancel()
        ends = time.monotonic() + self._intake.drain_s
        while (self._under_way or self._rejects.under_way) and time.monotonic() < ends:
            self._turn()

    def _consumer(self) -> Consumer:
        channel = self._connection.channel()
        forgive_routing_keys(channel)
        channel.auto_decode = False  # the hash is over the bytes as they were sent
        channel.Message = _unpacking_nothing(channel.Message)
        return Consumer(
            channel,
            [commands_queue(self._link.broker.queue_type)],
            auto_declare=False,
            on_message=self._arrived,
            on_decode_error=lambda message, _error: self._reject(message, None, Refused("bad_request")),
            prefetch_count=self._intake.prefetch,
        )

    def _turn(self) -> None:
        # An answer of the loop can't end a wait on the socket, so while one is due the wait is short.
        busy = self._under_way or self._postponed
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=0.005 if busy else 0.25)
        if self._connection.supports_heartbeats:
            self._connection.heartbeat_check()
        self._rejects.check_patience(self._link.broker.confirm_timeout_s)
        self._collect()
        self._offer_again()

    # --- arrivals

    def _arrived(self, message: Message) -> None:
        delivery, sender = _delivery(message), None
        try:
            sender = self._commands.sender(delivery)
            command = read_command(delivery.body, sender, self._intake.kinds)
        except Refused as refused:
            self._reject(message, sender, refused)
        # The border: whatever it is that the message makes us raise, the commands behind it must pass.
        except Exception:
            log.exception("command_unreadable", action="bus", party=sender)
            self._reject(message, sender, Refused("bad_request"))
        else:
            self._offer(_Held(message, command))

    def _offer(self, held: _Held) -> None:
        command = held.command
        taking = self._commands.take(command.sender, command.kind, command.body, command.idempotency_key)
        future = self._link.submit(tracing.under("command", held.message.headers or {}, taking))
        self._under_way += 1
        future.add_done_callback(lambda done: self._answered.put((held, done)))

    # --- answers

    def _collect(self) -> None:
        with suppress(Empty):
            while True:
                held, future = self._answered.get_nowait()
                self._under_way -= 1
                self._answer(held, future)

    def _answer(self, held: _Held, future: Future[Taken]) -> None:
        try:
            taken = future.result()
        except CancelledError:
            raise Stopping from None
        except Unavailable:
            self._postpone(held)
        except Refused as refused:
            self._refused(held, refused)
        except Exception:
            self._failed(held)
        else:
            crash_point("before_ack")
            held.message.ack()
            self._link.progress()
            self._commands.watch.taken(held.command.sender, held.command.kind, duplicate=taken.duplicate)

    def _refused(self, held: _Held, refused: Refused) -> None:
        if isinstance(refused, Conflict) and refused.retry_after_s is not None:
            self._postpone(held)
            return
        inside = [replace(each, pointer=f"/data{each.pointer}") for each in refused.violations]
        self._reject(held.message, held.command.sender, Refused(refused.code, violations=inside))

    def _failed(self, held: _Held) -> None:
        held.failures += 1
        log.exception("command_failed", action="bus", party=held.command.sender, attempt=held.failures)
        if held.failures < self._intake.attempts:
            self._postpone(held)
        else:
            self._reject(held.message, held.command.sender, Refused("internal_error"))

    # --- not now

    def _postpone(self, held: _Held) -> None:
        pause_s = min(self._intake.first_pause_s * 2**held.pauses, self._intake.longest_pause_s)
        held.pauses += 1
        held.due_s = time.monotonic() + pause_s
        self._postponed.append(held)
        self._commands.watch.postponed(held.command.sender, held.command.kind)

    def _offer_again(self) -> None:
        if self._link.stopping.is_set():
            return
        now_s = time.monotonic()
        due = [held for held in self._postponed if held.due_s <= now_s]
        self._postponed = [held for held in self._postponed if held.due_s > now_s]
        for held in due:
            if now_s - held.since_s > self._intake.hold_s:
                raise NotPublished
            self._offer(held)

    # --- never

    def _reject(self, message: Message, sender: PartyId | None, refused: Refused) -> None:
        """Set aside; acknowledged only once the copy is safe."""
        delivery = _delivery(message)
        parcel = rejected_parcel(delivery, sender, refused, self._commands.now(), self._intake.max_bytes)

        def settled(outcome: Outcome) -> None:
            if outcome is not Outcome.CONFIRMED:
                raise NotPublished
            message.ack()
            self._link.progress()
            log.warning("command_rejected", action="bus", party=sender, code=refused.code)
            self._commands.watch.rejected(sender, refused.code)

        self._rejects.publish(parcel, settled)


def _unpacking_nothing(message_class: Any) -> Any:
    """kombu unpacks a body as soon as it makes a message of it, however large that gets: not here."""

    class PackedMessage(message_class):  # type: ignore[misc]
        def __init__(self, *raw: Any, **named: Any) -> None:
            headers = _raw_headers(raw[0] if raw else named["payload"])
            if _COMPRESSION in headers:
                headers[_HIDDEN] = headers.pop(_COMPRESSION)
            super().__init__(*raw, **named)

    return PackedMessage


def _raw_headers(raw: Any) -> dict[str, Any]:
    """The headers of a message of py-amqp's, or of `memory://`."""
    if isinstance(raw, dict):
        return raw.get("headers") or {}
    return getattr(raw, "properties", {}).get("application_headers") or {}


def _delivery(message: Message) -> Delivery:
    body = message.body
    headers = message.headers
    hidden = headers.get(_HIDDEN)
    return Delivery(
        body=body.encode() if isinstance(body, str) else bytes(body or b""),
        content_type=str(message.content_type or ""),
        content_encoding=str(message.content_encoding or ""),
        headers=headers,
        compression=None if hidden is None else str(hidden),
        readable=not are_unreadable(headers),
    )
