from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from joserfc import jwe
from joserfc.errors import JoseError
from kombu import Connection, Queue

from gateway.bus.event import ENCRYPTION, KEY_WRAPPING
from gateway.bus.link import Broker
from gateway.errors import Refused, Unavailable
from tests.bus.conftest import RECEIVERS, Network


async def read(network: Network, party: str, count: int) -> list[Any]:
    return await asyncio.to_thread(network.department(party).read, f"umrah.events.{party}", count)


async def test_an_event_reaches_its_receiver_and_nobody_else(network: Network) -> None:
    event = network.outbox.add("licensing", correlation_id="c-1")
    await network.start()
    await network.outbox.marked("licensing", 1)
    (message,) = await read(network, "licensing", 1)
    assert message.content_type == "application/cloudevents+json; charset=utf-8"
    assert message.properties["message_id"] == event.id
    assert json.loads(message.body) == {
        "specversion": "1.0",
        "id": event.id,
        "source": "urn:umrah:gateway",
        "type": "licensee.activation",
        "subject": "licensee/L-1",
        "time": "2026-11-22T06:00:00.000000Z",
        "dataschema": "urn:umrah:kind:licensee.activation:v1",
        "classification": "public",
        "sequence": "00000000000000000001",
        "correlationid": "c-1",
        "datacontenttype": "application/json",
        "data": {"licensee_id": "L-1", "active": True},
    }
    for other in RECEIVERS[1:]:
        assert network.department(other).waiting(f"umrah.events.{other}") == 0


async def test_the_routing_key_is_the_kind_and_the_receiver_is_not_shown(real_network: Network) -> None:
    real_network.outbox.add("licensing")
    await real_network.start()
    await real_network.outbox.marked("licensing", 1)
    (message,) = await read(real_network, "licensing", 1)
    assert message.delivery_info["exchange"] == "umrah.events"
    assert message.delivery_info["routing_key"] == "licensee.activation"
    assert "BCC" not in message.headers
    assert message.properties["delivery_mode"] == 2


async def test_each_receiver_gets_its_own_events_in_order(network: Network) -> None:
    for n in range(450):
        for party in RECEIVERS:
            network.outbox.add(party, data={"n": n, "for": party})
    await network.start()
    for party in RECEIVERS:
        await network.outbox.marked(party, 450)
    for party in RECEIVERS:
        bodies = [json.loads(message.body) for message in await read(network, party, 450)]
        assert [body["data"] for body in bodies] == [{"n": n, "for": party} for n in range(450)]
        assert [body["sequence"] for body in bodies] == sorted(body["sequence"] for body in bodies)


@pytest.mark.parametrize("classification", ["restricted", "secret"])
async def test_only_the_receivers_key_opens_what_is_not_public(network: Network, classification: str) -> None:
    data = {"case_id": "C-1", "description": "حالة صحية"}
    event = network.outbox.add("pilgrim-services", data=data, classification=classification)
    await network.start()
    await network.outbox.marked("pilgrim-services", 1)
    (message,) = await read(network, "pilgrim-services", 1)
    body = json.loads(message.body)
    assert body["datacontenttype"] == "application/jose"
    assert body["classification"] == classification
    assert "صحية" not in str(message.body)
    algorithms = [KEY_WRAPPING, ENCRYPTION]
    opened = jwe.decrypt_compact(body["data"], network.encryption["pilgrim-services"], algorithms=algorithms)
    assert json.loads(opened.plaintext or b"") == data
    for other in ("licensing", "committee"):
        with pytest.raises(JoseError):
            jwe.decrypt_compact(body["data"], network.encryption[other], algorithms=algorithms)
    tied = opened.protected["apv"]
    assert urlsafe_b64decode(tied + "=" * (-len(tied) % 4)).decode() == f"pilgrim-services/{event.id}"


async def test_an_event_of_an_unknown_class_is_not_sent_and_holds_up_no_other_receiver(
    network: Network,
) -> None:
    network.outbox.add("licensing", classification="unheard-of")
    network.outbox.add("licensing")
    network.outbox.add("committee")
    bus = await network.start()
    await network.outbox.marked("committee", 1)
    await network.noted.heard("not_published", "licensing", "licensee.activation", "unreadable")
    assert await bus.stop()
    assert network.department().waiting("umrah.events.licensing") == 0


async def test_a_new_event_goes_out_when_the_bus_is_told(network: Network) -> None:
    bus = await network.start()
    for n in range(1, 4):
        network.outbox.add("committee")
        bus.notify()
        await network.outbox.marked("committee", n)
    assert len(await read(network, "committee", 3)) == 3


async def test_events_wait_while_the_ledger_cannot_be_read(network: Network) -> None:
    network.outbox.failing = Unavailable("ledger_unavailable")
    network.outbox.add("licensing")
    bus = await network.start()
    network.outbox.failing = None
    bus.notify()
    await network.outbox.marked("licensing", 1)


async def test_what_was_published_and_not_marked_comes_again_under_the_same_id(network: Network) -> None:
    event = network.outbox.add("licensing")
    bus = await network.start()
    await network.outbox.marked("licensing", 1)
    assert await bus.stop()
    network.outbox.marks["licensing"] = 0  # as if the process had died before the mark
    await network.make().start()
    await network.outbox.marked("licensing", 1)
    ids = [json.loads(message.body)["id"] for message in await read(network, "licensing", 2)]
    assert ids == [event.id, event.id]


async def test_an_event_without_a_queue_is_noticed_and_kept_until_there_is_one(real_network: Network) -> None:
    bus = await real_network.start()
    real_network.outbox.add("committee")
    bus.notify()
    await real_network.outbox.marked("committee", 1)
    with Connection(real_network.url) as connection, connection.channel() as channel:
        Queue("umrah.events.committee")(channel).delete()
    real_network.outbox.add("committee")
    real_network.outbox.add("licensing")
    bus.notify()
    await real_network.noted.heard("not_published", "committee", "licensee.activation", "unroutable")
    await real_network.outbox.marked("committee", 2)
    await real_network.outbox.marked("licensing", 1)
    (message,) = await read(real_network, "committee", 1)
    assert json.loads(message.body)["sequence"].endswith("02")


async def test_quorum_queues_serve_where_they_are_configured(real_network: Network) -> None:
    real_network.broker = Broker(real_network.url, queue_type="quorum")
    real_network.outbox.add("licensing")
    real_network.desk.errors = [Refused("forbidden")]
    await real_network.start()
    await real_network.outbox.marked("licensing", 1)
    assert len(await read(real_network, "licensing", 1)) == 1
    sender = real_network.department()
    sender.send_new()
    await real_network.noted.heard("rejected", "licensing", "forbidden")
    sender.send_new()
    await real_network.noted.heard("taken", "licensing", "licensee.status", False)


async def test_a_bus_says_whether_it_is_connected(network: Network) -> None:
    bus = network.make()
    assert bus.alive() == {"publisher": "disconnected", "consumer": "disconnected"}
    await bus.start()
    await network.noted.heard("connected", "publisher", True)
    await network.noted.heard("connected", "consumer", True)
    assert bus.alive() == {"publisher": "connected", "consumer": "connected"}
    assert await bus.stop()
    assert bus.alive() == {"publisher": "disconnected", "consumer": "disconnected"}
