"""A department on the broker: commands of every kind, and the queue of those that were set aside."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from kombu import Connection, Producer, Queue

from gateway.bus.proof import sign_command
from gateway.bus.topology import COMMANDS, REJECTED
from gateway.message import new_id
from gateway.web.tokens import demo_key_path
from schemas.kinds import KINDS
from tests.hostile.row import Told
from tests.hostile.site import Site

_PARTY: Final = "licensing"
_PATIENCE_S: Final = 20.0
_licensees = count(50_000)


def command(**given: Any) -> dict[str, Any]:
    """A good command, about a licensee of its own."""
    status = {**KINDS["licensee.status"].example, "licensee_id": f"LIC-{next(_licensees)}", "version": 1}
    return {
        "specversion": "1.0",
        "id": new_id(),
        "source": f"urn:umrah:party:{_PARTY}",
        "type": "licensee.status",
        "datacontenttype": "application/json",
        "data": status,
        **given,
    }


def send(site: Site, event: Mapping[str, Any] | bytes, **properties: Any) -> None:
    """Publish, signed as the department signs; `properties` override the good ones."""
    assert site.broker is not None
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    key = load_pem_private_key(demo_key_path(site.gateway.home.data, _PARTY).read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    signature = sign_command(key, _PARTY, "umrah-gateway", body, datetime.now(UTC))
    good = {
        "content_type": "application/cloudevents+json; charset=utf-8",
        "content_encoding": "utf-8",
        "exchange": "",
        "routing_key": COMMANDS,
    }
    headers = {"authorization": signature, **properties.pop("headers", {})}
    with (
        Connection(site.broker.url, transport_options={"confirm_publish": True}) as connection,
        connection.channel() as channel,
    ):
        Producer(channel).publish(body, delivery_mode=2, headers=headers, **{**good, **properties})


def set_aside(site: Site) -> Told:
    """The next command that was set aside, by its reason; its body is its sender's own and not looked at."""
    assert site.broker is not None
    found: list[Any] = []
    with Connection(site.broker.url) as connection, connection.channel() as channel:
        channel.auto_decode = False
        queue = Queue(REJECTED, no_declare=True)
        with connection.Consumer([queue], channel=channel, on_message=found.append, prefetch_count=1):
            while not found:
                connection.drain_events(timeout=_PATIENCE_S)
        found[0].ack()
    headers = found[0].headers
    return Told(f"set aside: {headers['reason_code']}", str(headers).encode())


def until(holds: Callable[[], bool]) -> bool:
    """Whether it holds in time."""
    ends = time.monotonic() + _PATIENCE_S
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(0.01)
    return False
