"""Names on the broker, and how an event finds its one receiver.

Every event is published to `umrah.events` with its kind as the routing key, as a topic exchange wants it.
But need-to-know differs from receiver to receiver, so an event exists once for each of them, and a binding by
kind would show everyone everyone's copy. Each copy therefore names its receiver in the `BCC` header,
RabbitMQ's sender-selected distribution: the broker routes by that key as well and takes the header off. A
party's queue is bound by that key alone. One exchange and one binding a party; no list of kinds to keep up to
date on the broker; and a copy for a queue that is gone comes back to us, since nothing else is bound.

`memory://` knows no `BCC`: there the receiver's key is the routing key itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from kombu import Exchange, Queue

from gateway.message import PartyId

EVENTS: Final = "umrah.events"
COMMANDS: Final = "umrah.commands"
REJECTED: Final = "umrah.commands.rejected"

#: What holds the messages on the broker. `quorum` is for a cluster.
QueueType = Literal["classic", "quorum"]

# RabbitMQ 4 gives up on a message of a quorum queue after 20 deliveries: it must not vanish.
_KEPT: Final[Mapping[str, Any]] = {
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": REJECTED,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


def events_exchange() -> Exchange:
    """The topic exchange of everything that the gateway tells."""
    return Exchange(EVENTS, type="topic", durable=True, delivery_mode="persistent")


def commands_exchange() -> Exchange:
    """Where commands are published; a right to write here is no right to write into other queues."""
    return Exchange(COMMANDS, type="direct", durable=True, delivery_mode="persistent")


def events_queue_name(party: PartyId) -> str:
    """`umrah.events.licensing`."""
    return f"{EVENTS}.{party}"


def receiver_key(party: PartyId) -> str:
    """The key by which a party's queue is bound. No kind begins like this."""
    return f"to.{party}"


def events_queue(party: PartyId, queue_type: QueueType) -> Queue:
    """The party's own queue."""
    name, arguments = events_queue_name(party), {"x-queue-type": queue_type}
    return Queue(name, events_exchange(), receiver_key(party), queue_arguments=arguments)


def commands_queue(queue_type: QueueType) -> Queue:
    """What parties tell the gateway."""
    kept = _KEPT if queue_type == "quorum" else {}
    arguments = {"x-queue-type": queue_type, **kept}
    return Queue(COMMANDS, commands_exchange(), COMMANDS, queue_arguments=arguments)


def rejected_queue(queue_type: QueueType) -> Queue:
    """What could not be taken. Published through the default exchange, by the queue's name."""
    return Queue(REJECTED, queue_arguments={"x-queue-type": queue_type})


def declare_events(channel: Any, receivers: Iterable[PartyId], queue_type: QueueType) -> None:
    """Make sure of exchange, queues and bindings. Safe to repeat."""
    for party in receivers:
        events_queue(party, queue_type)(channel).declare()


def declare_commands(channel: Any, queue_type: QueueType) -> None:
    """Make sure of both queues of commands. Safe to repeat."""
    rejected_queue(queue_type)(channel).declare()
    commands_queue(queue_type)(channel).declare()
