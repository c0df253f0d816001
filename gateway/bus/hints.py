"""Work hints over the broker: who has something to carry tells whoever has room for it.

A hint names messages at most (ids, never records), and it decides nothing: whoever takes one claims from
the ledger, in the ledger's own fair order. So a hint is transient, is published without a confirm and may be
lost, doubled or late. Without the broker what is due is found by looking, some tenths of a second later.

One queue a class of work, so that a single message is never told behind those of a large batch. A process
holds one hint of each class until it claims: one that is full leaves the next to another.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from kombu import Connection, Consumer, Message, Producer, Queue

from gateway.bus.link import Broker, Link
from gateway.pipeline.hints import MOST_AT_ONCE, helpers_wanted
from gateway.ports import WorkHints

SINGLE: Final = "umrah.work.single"
BATCH: Final = "umrah.work.batch"
#: In one hint.
MOST_IDS: Final = 50
#: A hint that nobody took by then is no news any more.
_STALE_MS: Final = 5_000
_MOST_WAITING: Final = 1_000
_IDLE_S: Final = 5.0
_HELD_S: Final = 0.01
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Hint:
    """Something is due."""

    queue: str
    #: Some of it.
    ids: tuple[str, ...] = ()

    def body(self) -> bytes:
        return json.dumps(self.ids).encode()


def hints_of(count: int, ids: Sequence[str], share: int, *, carries: bool) -> list[Hint]:
    """What to tell others when `count` messages became due here (see `helpers_wanted`)."""
    wanted = helpers_wanted(count, share, carries=carries)
    if wanted and ids:
        parts = [tuple(ids[start : start + MOST_IDS]) for start in range(0, len(ids), MOST_IDS)]
        return [Hint(SINGLE, part) for part in parts[:MOST_AT_ONCE]]
    return [Hint(BATCH)] * wanted


class BrokerHints:
    """See `gateway.ports.WorkHints`: hints inside this process, and to and from the others."""

    def __init__(
        self,
        local: WorkHints,
        broker: Broker,
        *,
        share: int,
        carries: bool,
        on_connected: Callable[[str, bool], None] = lambda _side, _connected: None,
    ) -> None:
        """`carries`: whether this process claims messages; if not, it only tells."""
        self._local = local
        self._share = share
        self._carries = carries
        self._telling = Link("hints_out", broker, _Telling(self).session, on_connected)
        self._hearing = Link("hints_in", broker, _Hearing(self).session, on_connected)
        self._stop_within_s = broker.connect_timeout_s
        #: Waiting to be told. A full one forgets the oldest.
        self.waiting: deque[Hint] = deque(maxlen=_MOST_WAITING)
        #: Set when this process claims: the hints that it holds are used.
        self.used = threading.Event()

    async def start(self) -> None:
        """Returns at once: nothing waits for the broker."""
        self._telling.start()
        if self._carries:
            self._hearing.start()

    async def stop(self) -> None:
        """Hints that were not told are forgotten."""
        for link in (self._telling, self._hearing):
            link.ask_to_stop()
        for link in (self._telling, self._hearing):
            await link.stopped(self._stop_within_s)

    def notify(self, count: int = 1, ids: Sequence[str] = ()) -> None:
        self._local.notify(count)
        found = hints_of(count, ids, self._share, carries=self._carries)
        if found:
            self.waiting.extend(found)
            self._telling.wake.set()

    async def wait(self, timeout_s: float) -> None:
        self.used.set()
        await self._local.wait(timeout_s)

    async def heard(self) -> None:
        """Another process told us that something is due. On the event loop."""
        self._local.notify()


def _queues() -> tuple[Queue, ...]:
    # Durable, since newer brokers know no others that are shared; what is in them is not.
    arguments = {"x-message-ttl": _STALE_MS, "x-max-length": _MOST_WAITING, "x-overflow": "drop-head"}
    return tuple(Queue(name, durable=True, queue_arguments=arguments) for name in (SINGLE, BATCH))


def _declare(connection: Connection) -> None:
    for queue in _queues():
        queue(connection.default_channel).declare()


class _Telling:
    """The publishing session: nothing is confirmed, and nothing is told twice."""

    def __init__(self, hints: BrokerHints) -> None:
        self._hints = hints

    def session(self, link: Link, connection: Connection) -> None:
        _declare(connection)
        producer = Producer(connection.channel(), auto_declare=False)
        link.ready()
        while not link.stopping.is_set():
            link.wake.clear()
            self._tell_all(producer)
            if not self._hints.waiting:
                link.rest(connection, _IDLE_S)

    def _tell_all(self, producer: Producer) -> None:
        with suppress(IndexError):
            while True:
                hint = self._hints.waiting.popleft()
                producer.publish(
                    hint.body(),
                    exchange="",
                    routing_key=hint.queue,
                    delivery_mode=1,
                    content_type="application/json",
                    content_encoding="utf-8",
                )


class _Hearing:
    """The consuming session: a hint is held until this process claims."""

    def __init__(self, hints: BrokerHints) -> None:
        self._hints = hints
        self._held: list[Message] = []

    def session(self, link: Link, connection: Connection) -> None:
        _declare(connection)
        self._held.clear()
        for queue in _queues():
            self._consume(connection.channel(), queue, link)
        link.ready()
        link.progress()
        while not link.stopping.is_set():
            self._turn(link, connection)

    def _consume(self, channel: Any, queue: Queue, link: Link) -> None:
        def arrived(message: Message) -> None:
            self._hints.used.clear()
            self._held.append(message)
            link.submit(self._hints.heard())

        # Whatever stands in it, a hint is only a reason to look.
        consumer = Consumer(
            channel,
            [queue(channel)],
            auto_declare=False,
            on_message=arrived,
            on_decode_error=lambda message, _error: message.ack(),
            prefetch_count=1,
        )
        consumer.consume()

    def _turn(self, link: Link, connection: Connection) -> None:
        with suppress(TimeoutError):
            connection.drain_events(timeout=_HELD_S if self._held else _LOOK_S)
        if connection.supports_heartbeats:
            connection.heartbeat_check()
        if self._held and self._hints.used.is_set():
            for message in self._held:
                message.ack()
            self._held.clear()
            link.progress()
