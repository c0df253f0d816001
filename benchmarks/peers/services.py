"""A database server and a broker of the benchmark's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import amqp
from amqp.exceptions import NotFound

from tests import postgresql
from tests.bus.broker import PrivateBroker


@dataclass(frozen=True, slots=True)
class Services:
    """Running; the same two for all contenders, emptied between them."""

    postgresql: postgresql.Server
    broker: PrivateBroker

    def pids(self) -> dict[str, int]:
        """By component."""
        return {"broker": self.broker.pid, "database": self.postgresql.pid}

    def delete_queues(self, names: Iterable[str]) -> None:
        """With what is left in them. Those that are not there are no fault."""
        with self._connection() as connection:
            for name in names:
                connection.channel().queue_delete(name)

    def consumers(self, queue: str) -> int:
        """How many there are of it; 0 when there is no such queue."""
        with self._connection() as connection:
            try:
                return int(connection.channel().queue_declare(queue, passive=True).consumer_count)
            except NotFound:
                return 0

    def _connection(self) -> amqp.Connection:
        return amqp.Connection(host=f"127.0.0.1:{self.broker.port}", userid="guest", password="guest")


def installed() -> bool:
    """Whether this machine has both."""
    return PrivateBroker.script() is not None and postgresql.available()


@contextmanager
def services() -> Iterator[Services]:
    """Started, and ended at the end. Both must be installed."""
    with ExitStack() as stack:
        database = stack.enter_context(postgresql.server())
        broker = PrivateBroker(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="umrah-rabbit-"))))
        stack.callback(broker.close)
        broker.start()
        yield Services(database, broker)
