"""The ministry's network, both ways, as one thing to start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from gateway.bus.consumer import Commands, Intake
from gateway.bus.keys import EncryptionKey
from gateway.bus.link import Broker, Link
from gateway.bus.port import OutgoingEvents, PartyKeys, Take, Watch
from gateway.bus.proof import KeysInForce
from gateway.bus.publisher import Publisher
from gateway.message import PartyId

_PUBLISHER: Final = "publisher"
_CONSUMER: Final = "consumer"


class Bus:
    """Publishes what waits in the ledger, and takes what the ministry sends.

    The broker's health is nobody's business but ours: nothing here waits for it or fails without it.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        outgoing: OutgoingEvents,
        receivers: Mapping[PartyId, EncryptionKey],
        take: Take,
        keys: PartyKeys,
        intake: Intake,
        now: Callable[[], datetime],
        watch: Watch | None = None,
        idle_s: float = 1.0,
    ) -> None:
        watch = watch or Watch()
        publisher = Publisher(outgoing, receivers, watch, idle_s=idle_s)
        #: Who is told, and the key that it is encrypted to: for as long as the bus runs.
        self.receivers = dict(receivers)
        #: The keys that senders are believed by; replaced by `use`.
        self.keys = KeysInForce(keys)
        commands = Commands(take, self.keys, intake, watch, now)
        self._publishing = Link(_PUBLISHER, broker, publisher.session, watch.connected)
        self._consuming = Link(_CONSUMER, broker, commands.session, watch.connected)
        self._stop_within_s = intake.drain_s + broker.connect_timeout_s + broker.confirm_timeout_s

    async def start(self) -> None:
        """Begin both directions, with the running loop as the gateway's. Returns at once."""
        self._publishing.start()
        self._consuming.start()

    def notify(self) -> None:
        """There may be a new event to publish. Safe to call too often, from any thread."""
        self._publishing.wake.set()

    def use(self, keys: PartyKeys) -> None:
        """Believe these keys from now on, and no others."""
        self.keys.keys = keys

    def alive(self) -> Mapping[str, str]:
        """For `/readyz`: each direction, `connected` or `disconnected`. Never a reason to be not ready."""
        links = (self._publishing, self._consuming)
        return {link.side: "connected" if link.connected else "disconnected" for link in links}

    async def stop(self) -> bool:
        """Finish what is under way and close both connections. True when both ended in time.

        The loop must go on running meanwhile: commands under way are being taken on it.
        """
        links = (self._consuming, self._publishing)
        for link in links:
            link.ask_to_stop()
        # Together: a silent broker keeps each of them waiting to the end.
        return all(await asyncio.gather(*(link.stopped(self._stop_within_s) for link in links)))
