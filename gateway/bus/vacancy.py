"""Does somebody else use this broker? For whoever means to play on it, and must disturb nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from kombu import Connection, Queue

from gateway.bus.link import Broker
from gateway.bus.topology import COMMANDS, REJECTED, events_queue_name
from gateway.errors import Unavailable
from gateway.message import PartyId

_NOT_FOUND: Final = 404


def in_use(broker: Broker, receivers: Iterable[str]) -> list[str]:
    """The gateway's queues that hold messages or have a reader, by name. Changes nothing.

    A queue that is not there yet is nobody's. Raises `Unavailable`, also where it may not look.
    """
    connection = broker.connection()
    names = (COMMANDS, REJECTED, *(events_queue_name(PartyId(party)) for party in receivers))
    try:
        connection.connect()
        return list(_busy(connection, names))
    except (OSError, *connection.connection_errors, *connection.channel_errors) as error:
        raise Unavailable("broker_unreachable", "the broker is not there, or lets nobody in") from error
    finally:
        connection.release()


def _busy(connection: Connection, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        with connection.channel() as channel:  # a queue that is not there closes the channel
            try:
                found = Queue(name, no_declare=True)(channel).queue_declare(passive=True)
            except connection.channel_errors as error:
                if getattr(error, "reply_code", None) != _NOT_FOUND:
                    raise
                continue
        if found.message_count or found.consumer_count:
            yield name
