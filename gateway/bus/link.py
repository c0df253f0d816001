"""A thread with a broker connection of its own that is made again whenever it breaks.

kombu's connections are for one thread, and its calls block: so each direction has a thread, and talks to the
gateway's event loop through `Link.ask`. Nothing long is done on these threads, so heartbeats are always
answered in time.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from kombu import Connection
from tenacity import Retrying, sleep_using_event, stop_when_event_set, wait_random_exponential

from gateway.bus.topology import QueueType
from gateway.observe.log import log

Answer = TypeVar("Answer")

#: How often a resting connection is looked after; far below the heartbeat interval.
_BEAT_S: Final = 1.0


class BrokerSilent(Exception):
    """The broker did not answer in time. What it was told may or may not have been kept."""


class NotPublished(Exception):
    """The broker did not take everything. The connection is given up and what is left goes again."""


class Stopping(Exception):
    """The link is being stopped; leave what is not finished."""


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """PEM files for `amqps://`. Without `ca`: the system's authorities."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and how long it may take."""

    #: `amqp://`, `amqps://` or, in tests, `memory://`. Not shown: it may hold a password.
    url: str = field(repr=False)
    tls: BrokerTls = BrokerTls()
    #: Fixed once the queues exist. On one node of RabbitMQ 3.10.8 quorum queues stopped confirming for good
    #: after the broker was killed, and classic ones did not: `quorum` only on a cluster of newer ones.
    queue_type: QueueType = "classic"
    heartbeat_s: int = 30
    connect_timeout_s: float = 10.0
    #: The longest wait for a publish to be confirmed.
    confirm_timeout_s: float = 10.0
    first_retry_s: float = 0.1
    longest_retry_s: float = 30.0

    def connection(self) -> Connection:
        """A new connection, not yet opened."""
        if self.url.startswith("memory:"):
            return Connection(self.url, transport_options={"polling_interval": 0.01})
        timeouts = {"read_timeout": self.confirm_timeout_s, "write_timeout": self.confirm_timeout_s}
        return Connection(
            self.url,
            ssl=self._ssl(),
            heartbeat=self.heartbeat_s,
            connect_timeout=self.connect_timeout_s,
            transport_options={**timeouts, "client_properties": {"connection_name": "umrah-gateway"}},
        )

    def _ssl(self) -> dict[str, Any] | bool:
        if not self.url.startswith("amqps:"):
            return False
        files = {"ca_certs": self.tls.ca, "certfile": self.tls.certificate, "keyfile": self.tls.key}
        given = {name: str(path) for name, path in files.items() if path is not None}
        # Without `server_hostname` the name in the certificate would not be compared. None: take the URL's.
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None, **given}


class Link:
    """Runs `session` on a thread, again with a new connection after each failure, until stopped."""

    def __init__(
        self,
        side: str,
        broker: Broker,
        session: Callable[[Link, Connection], None],
        on_connected: Callable[[str, bool], None],
    ) -> None:
        self.side = side
        self.broker = broker
        #: Set to cut a rest short.
        self.wake = threading.Event()
        self.stopping = threading.Event()
        self.connected = False
        self._session = session
        self._on_connected = on_connected
        self._progressed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # --- from the event loop

    def start(self) -> None:
        """Begin, also again after a stop. Does not wait for the broker: the gateway works without."""
        self.stopping.clear()
        self.wake.clear()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"bus-{self.side}", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Tell the session to finish what it has begun."""
        self.stopping.set()
        self.wake.set()

    async def stopped(self, timeout_s: float) -> bool:
        """Whether the thread ended within `timeout_s`."""
        if self._thread is None:
            return True
        await asyncio.to_thread(self._thread.join, timeout_s)
        return not self._thread.is_alive()

    # --- from the session, on the link's thread

    def submit(self, work: Coroutine[Any, Any, Answer]) -> Future[Answer]:
        """Start `work` on the gateway's loop."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise Stopping
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def ask(self, connection: Connection, work: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer of `work` from the gateway's loop; the connection is looked after meanwhile."""
        future = self.submit(work)
        while True:
            try:
                return future.result(timeout=_BEAT_S)
            except TimeoutError:
                if future.done():
                    raise
                self.beat(connection)

    def rest(self, connection: Connection, longest_s: float) -> None:
        """Wait for `wake`, at most `longest_s`, looking after the connection."""
        self.progress()
        ends = time.monotonic() + longest_s
        while not self.wake.wait(min(_BEAT_S, max(0.0, ends - time.monotonic()))):
            self.beat(connection)
            if time.monotonic() >= ends:
                return

    def beat(self, connection: Connection) -> None:
        """Send a heartbeat if one is due, and read what came: a dead connection raises."""
        if not connection.supports_heartbeats:
            return
        connection.heartbeat_check()
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.001)

    def ready(self) -> None:
        """Everything on the broker is as it must be."""
        self._tell(connected=True)

    def progress(self) -> None:
        """Something went well: the next failure is the first one again."""
        self._progressed = True

    # --- the thread

    def _run(self) -> None:
        while not self.stopping.is_set():
            retrying = Retrying(
                sleep=sleep_using_event(self.stopping),
                stop=stop_when_event_set(self.stopping),
                wait=wait_random_exponential(self.broker.first_retry_s, self.broker.longest_retry_s),
            )
            with suppress(Exception):  # recorded where it was caught
                retrying(self._connect)

    def _connect(self) -> None:
        self._progressed = False
        try:
            self._work()
        except Stopping:
            pass
        except Exception as error:
            log.warning("bus_disconnected", action="bus", destination=self.side, error=type(error).__name__)
            if not self._progressed:
                raise

    def _work(self) -> None:
        connection = self.broker.connection()
        try:
            connection.connect()
            self._session(self, connection)
        finally:
            self._tell(connected=False)
            # After any failure the connection goes: a late confirm would be taken for the next one's.
            with suppress(Exception):
                connection.release()

    def _tell(self, *, connected: bool) -> None:
        if connected != self.connected:
            self.connected = connected
            self._on_connected(self.side, connected)
