"""A department as a client of the broker: what it can rely on, and what it must not believe."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import OKPKey
from kombu import Connection, Exchange

from cli.season.offices import check_vacant
from gateway.bus.bus import Bus
from gateway.bus.consumer import Intake
from gateway.bus.department import Department, PrivateKeys, read_event
from gateway.bus.event import encode_event
from gateway.bus.keys import demo_encryption_key_path, ensure_demo_encryption_key
from gateway.bus.link import Broker
from gateway.bus.topology import declare_events
from gateway.bus.vacancy import in_use
from gateway.errors import Misconfigured, Unavailable
from gateway.message import PartyId
from tests.bus.broker import PrivateBroker, free_ports
from tests.bus.doubles import Desk, Keys, Noted, Outbox, event_for

_LICENSING = PartyId("licensing")
_RESTRICTED = {"classification": "restricted", "data": {"licensee_id": "L-1", "note": "سري"}}


@pytest.fixture
def keys() -> PrivateKeys:
    return PrivateKeys(Ed25519PrivateKey.generate(), OKPKey.generate_key("X25519"))


def _public(keys: PrivateKeys) -> OKPKey:
    return OKPKey.import_key(keys.opening.as_pem(private=False))


# --- what is sealed


def test_a_sealed_event_is_opened(keys: PrivateKeys) -> None:
    event = event_for("licensing", 7, **_RESTRICTED)
    opened = read_event(encode_event(event, _public(keys)), "licensing", keys.opening)
    assert (opened.id, opened.sequence, opened.data) == (event.id, 7, event.data)


def test_data_put_under_another_event_is_refused(keys: PrivateKeys) -> None:
    one, other = (
        json.loads(encode_event(event_for("licensing", seq, **_RESTRICTED), _public(keys))) for seq in (1, 2)
    )
    mixed = json.dumps({**one, "data": other["data"]}).encode()
    with pytest.raises(ValueError, match="another event"):
        read_event(mixed, "licensing", keys.opening)


def test_data_sealed_for_another_party_is_refused(keys: PrivateKeys) -> None:
    body = encode_event(event_for("committee", 1, **_RESTRICTED), OKPKey.generate_key("X25519"))
    with pytest.raises(ValueError, match="not sealed for this key"):
        read_event(body, "licensing", keys.opening)


def test_keys_are_read_from_their_files(tmp_path: Path) -> None:
    ensure_demo_encryption_key(tmp_path, "licensing")
    signing = tmp_path / "signing.pem"
    signing.write_bytes(
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    opening = demo_encryption_key_path(tmp_path, "licensing")
    found = PrivateKeys.load(signing, opening)
    event = event_for("licensing", 1, **_RESTRICTED)
    assert read_event(encode_event(event, _public(found)), "licensing", found.opening).data == event.data
    with pytest.raises(Misconfigured):
        PrivateKeys.load(opening, opening)
    with pytest.raises(Misconfigured):
        PrivateKeys.load(signing, Path(__file__))


# --- over the broker


@pytest.fixture
def url(rabbitmq: PrivateBroker) -> str:
    """The broker without anything of a gateway's."""
    with Connection(rabbitmq.url) as connection:
        for name in ("umrah.commands", "umrah.commands.rejected", "umrah.events.licensing"):
            with connection.channel() as channel:
                channel.queue_delete(name)
        with connection.channel() as channel:
            Exchange("umrah.commands")(channel).delete()
    return rabbitmq.url


@pytest.fixture
async def gateway(url: str, keys: PrivateKeys) -> AsyncIterator[tuple[Desk, Outbox]]:
    """The bus of a gateway that knows this department's keys."""
    signers = Keys("licensing")
    assert isinstance(keys.signing, Ed25519PrivateKey)
    signers.private["licensing"] = keys.signing
    desk, outbox, noted = Desk(), Outbox(), Noted()
    bus = Bus(
        Broker(url),
        outgoing=outbox,
        receivers={_LICENSING: _public(keys)},
        take=desk,
        keys=signers,
        intake=Intake(kinds={"licensee.status": 1}),
        now=lambda: datetime.now(UTC),
        watch=noted,
    )
    await bus.start()
    await noted.heard("connected", "publisher", True)
    await noted.heard("connected", "consumer", True)
    yield desk, outbox
    assert await bus.stop()


async def test_a_command_is_taken_once_however_often_it_is_sent(
    url: str, keys: PrivateKeys, gateway: tuple[Desk, Outbox]
) -> None:
    desk, _ = gateway
    with Department(Broker(url), "licensing", keys) as department:
        id = department.send("licensee.status", {"licensee_id": "L-1", "version": 1, "status": "active"})
        assert department.send("licensee.status", {"licensee_id": "L-1"}, id=id) == id
    await desk.called(2)
    assert list(desk.taken) == [("licensing", id)]


async def test_an_event_that_was_not_kept_comes_again(
    url: str, keys: PrivateKeys, gateway: tuple[Desk, Outbox]
) -> None:
    _, outbox = gateway
    sent = [outbox.add("licensing", **_RESTRICTED) for _ in range(3)]
    await outbox.marked("licensing", 3)
    with Department(Broker(url), "licensing", keys) as department:
        for event in department.events(5):
            if event.sequence == 2:
                break  # the process dies while it keeps the second one
    with Department(Broker(url), "licensing", keys) as department:
        left = list(department.events(0.5))
    assert [event.id for event in left] == [event.id for event in sent[1:]]
    assert left[0].data == _RESTRICTED["data"]


def test_a_command_to_a_broker_without_a_gateway_is_noticed(url: str, keys: PrivateKeys) -> None:
    with Department(Broker(url), "licensing", keys) as department, pytest.raises(Unavailable):
        department.send("licensee.status", {})


def test_a_queue_that_is_not_there_is_noticed(url: str, keys: PrivateKeys) -> None:
    with Department(Broker(url), "licensing", keys) as department, pytest.raises(Unavailable):
        list(department.events(0.1))


def test_without_a_broker_it_says_so(keys: PrivateKeys) -> None:
    nowhere = Broker(f"amqp://guest:guest@127.0.0.1:{free_ports(1)[0]}//", connect_timeout_s=2)
    for use in (
        lambda: Department(nowhere, "licensing", keys).send("licensee.status", {}),
        lambda: in_use(nowhere, ["licensing"]),
    ):
        with pytest.raises(Unavailable, match="broker_unreachable"):
            use()


@pytest.mark.parametrize("wrong", ["guest:wrong@{at}//", "guest:guest@{at}/nowhere"])
def test_a_broker_that_does_not_let_it_in_says_so(url: str, keys: PrivateKeys, wrong: str) -> None:
    outside = Broker("amqp://" + wrong.format(at=url.partition("@")[2].rstrip("/")))
    with pytest.raises(Unavailable, match="broker_unreachable"):
        in_use(outside, ["licensing"])
    with pytest.raises(Unavailable, match="broker_unreachable"):
        Department(outside, "licensing", keys).__enter__()


def test_the_season_keeps_off_queues_that_hold_something(url: str) -> None:
    with Connection(url) as connection:
        declare_events(connection.default_channel, [_LICENSING], "classic")
        check_vacant(url, ["licensing"])
        connection.Producer().publish("somebody's", routing_key="umrah.events.licensing", serializer="raw")
        connection.default_channel.queue_declare("umrah.events.licensing", passive=True)
    with pytest.raises(Misconfigured, match=r"in use \(umrah\.events\.licensing\)"):
        check_vacant(url, ["licensing"])


def test_what_is_no_address_of_a_broker_is_said_before_anything_starts() -> None:
    with pytest.raises(Misconfigured, match="--broker: give an address"):
        check_vacant("http://localhost:5672/", ["licensing"])


async def test_the_season_keeps_off_a_gateway_that_is_there(url: str, gateway: object) -> None:
    with pytest.raises(Misconfigured, match=r"in use \(umrah\.commands\)"):
        check_vacant(url, ["licensing"])
