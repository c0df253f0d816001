"""What a real broker survives, and what the bus does meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from kombu import Connection, Queue

from gateway.bus.confirms import ConfirmedChannel, Outcome, Parcel
from gateway.bus.link import Broker, Link
from gateway.errors import Unavailable
from tests.bus.broker import PrivateBroker
from tests.bus.conftest import RECEIVERS, Network

EACH = 600
#: Far less than all of them: the broker dies while most are still on their way.
MIDWAY = 200


async def test_a_broker_killed_and_started_again_loses_nothing_and_keeps_the_order(
    real_network: Network, rabbitmq: PrivateBroker
) -> None:
    network = real_network
    for _ in range(EACH):
        for party in RECEIVERS:
            network.outbox.add(party)
    await network.start()
    await network.outbox.marked(RECEIVERS[0], MIDWAY)
    await asyncio.to_thread(rabbitmq.kill)
    await network.noted.heard("connected", "publisher", False)
    confirmed = dict(network.outbox.marks)
    await asyncio.to_thread(rabbitmq.start)
    for party in RECEIVERS:
        await network.outbox.marked(party, EACH)
    assert any(mark < EACH for mark in confirmed.values()), "it was killed too late to show anything"
    for party in RECEIVERS:
        await _all_arrived_in_order(network, party)


async def _all_arrived_in_order(network: Network, party: str) -> None:
    queue = f"umrah.events.{party}"
    last = network.outbox.events[party][-1].id
    read = await asyncio.to_thread(network.department(party).read_until, queue, last)
    seen = dict.fromkeys(json.loads(message.body)["id"] for message in read)
    assert list(seen) == [event.id for event in network.outbox.events[party]]


async def test_commands_not_yet_taken_when_the_broker_dies_come_again(
    real_network: Network, rabbitmq: PrivateBroker
) -> None:
    network = real_network
    network.desk.errors = [Unavailable("ledger_unavailable")] * 10_000
    await network.start()
    sender = network.department()
    ids = {sender.send_new() for _ in range(20)}
    await network.desk.called(20)
    await asyncio.to_thread(rabbitmq.kill)
    await network.noted.heard("connected", "consumer", False)
    network.desk.errors = []
    await asyncio.to_thread(rabbitmq.start)
    await network.noted.heard("taken", "licensing", "licensee.status", False, times=20)
    assert {key for _, key in network.desk.taken} == ids
    assert network.department().waiting("umrah.commands.rejected") == 0


async def test_a_broker_that_falls_silent_is_left_and_nothing_counts_as_published(
    real_network: Network, rabbitmq: PrivateBroker
) -> None:
    network = real_network
    network.broker = Broker(
        network.url, first_retry_s=0.05, longest_retry_s=0.2, confirm_timeout_s=1.0, connect_timeout_s=1.0
    )
    bus = await network.start()
    try:
        rabbitmq.freeze()
        network.outbox.add("licensing")
        bus.notify()
        await network.noted.heard("connected", "publisher", False)
        assert network.outbox.marks["licensing"] == 0
    finally:
        rabbitmq.thaw()
    await network.outbox.marked("licensing", 1)


async def test_the_bus_starts_before_the_broker_does(real_network: Network, rabbitmq: PrivateBroker) -> None:
    rabbitmq.kill()
    network = real_network
    network.outbox.add("licensing")
    bus = network.make()
    await bus.start()
    assert bus.alive()["publisher"] == "disconnected"
    await asyncio.to_thread(rabbitmq.start)
    await network.outbox.marked("licensing", 1)


async def test_a_bus_without_a_broker_stops_at_once(real_network: Network, rabbitmq: PrivateBroker) -> None:
    rabbitmq.kill()
    try:
        bus = real_network.make()
        await bus.start()
        async with asyncio.timeout(5):
            assert await bus.stop()
    finally:
        await asyncio.to_thread(rabbitmq.start)


async def test_both_directions_stop_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both = asyncio.Barrier(2)

    async def stopped(_link: Link, _timeout_s: float) -> bool:
        await both.wait()
        return True

    monkeypatch.setattr(Link, "stopped", stopped)
    async with asyncio.timeout(5):
        assert await Network("memory://").make().stop()


def test_each_message_gets_its_own_answer(rabbitmq_url: str) -> None:
    """Three on their way at once: kept, not kept, nowhere to go."""
    told: dict[str, Outcome] = {}
    with Connection(rabbitmq_url) as connection:
        limited: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
        Queue("full", queue_arguments=limited, auto_delete=True)(connection.default_channel).declare()
        channel = ConfirmedChannel(connection)
        for name, queue in (("first", "full"), ("second", "full"), ("third", "nowhere")):
            parcel = Parcel(name, b"{}", "application/json", "", queue)
            channel.publish(parcel, lambda outcome, name=name: told.__setitem__(name, outcome))
        channel.settle(10)
        Queue("full")(connection.default_channel).delete()
    assert told == {"first": Outcome.CONFIRMED, "second": Outcome.NACKED, "third": Outcome.UNROUTABLE}
