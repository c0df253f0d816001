"""A center names the URL; it never leads the gateway into its own network."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.errors import Unavailable
from gateway.webhooks.address import GuardedClient, is_public, system_addresses
from tests.flows.office import World
from tests.webhooks.receiver import Receiver, courier, receiving
from tests.webhooks.test_delivery import events, position

REFUSED = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1", "192.0.2.1",
    "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1",
    "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1",
    "2001:0:7f00:1::", "::127.0.0.1", "not an address", "",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_of_the_open_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "185.12.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
def test_an_address_of_the_open_internet_is_not(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "127.1"])
async def test_nothing_is_sent_to_this_machine_however_it_is_written(
    world: World, receiver: Receiver, host: str
) -> None:
    await events(world, 1)
    url = f"https://{host}:{receiver.port}/hook"
    async with courier(world.engine, url, allow_private=False) as delivering:
        await delivering.round()
    assert receiver.got == []
    assert (await position(world)).failures == 1


async def test_one_private_address_of_a_name_is_one_too_many(world: World, receiver: Receiver) -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "127.0.0.1"]

    client = GuardedClient(world.clock, idle_s=15, resolve=both, allow_private=False)
    await client.start()
    with pytest.raises(Unavailable, match="address_not_allowed"):
        await _post(client, f"https://center.example:{receiver.port}/", world)
    await client.close()


async def test_the_address_that_was_checked_is_the_one_connected_to(world: World, receiver: Receiver) -> None:
    asked = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        """The first answer leads to the receiver; a second look would lead nowhere."""
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    await events(world, 1)
    url = f"http://center.example:{receiver.port}/hook"
    async with courier(world.engine, url, resolve=rebinding) as delivering:
        assert await delivering.round() == 1
    assert asked == ["center.example"]
    assert receiver.got[0][0]["Host"] == f"center.example:{receiver.port}"


async def test_the_next_address_is_tried_when_the_first_does_not_answer(
    world: World, receiver: Receiver
) -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    await events(world, 1)
    async with courier(world.engine, f"http://center.example:{receiver.port}/", resolve=two) as delivering:
        assert await delivering.round() == 1


async def test_the_certificate_must_be_the_name_s_and_not_the_address_s(world: World, tmp_path: Path) -> None:
    async def here(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    server, trusting = _tls(tmp_path, "center.example")
    await events(world, 1)
    async with receiving(server) as receiver:
        good = f"https://center.example:{receiver.port}/hook"
        other = f"https://other.example:{receiver.port}/hook"
        async with courier(world.engine, other, resolve=here, tls=trusting) as delivering:
            assert await delivering.round() == 0
        assert receiver.got == []
        world.clock.pass_by(seconds=10)
        async with courier(world.engine, good, resolve=here, tls=trusting) as delivering:
            assert await delivering.round() == 1


async def test_a_name_that_does_not_resolve_is_tried_again_later(world: World) -> None:
    async def nothing(host: str, port: int) -> Sequence[str]:
        return []

    await events(world, 1)
    async with courier(world.engine, "http://center.example/", resolve=nothing) as delivering:
        assert await delivering.round() == 0
    assert (await position(world)).failures == 1


async def test_names_are_resolved_by_the_machine() -> None:
    assert set(await system_addresses("localhost", 80)) <= {"127.0.0.1", "::1"}


async def _post(client: GuardedClient, url: str, world: World) -> None:
    await client.post(
        url, {}, b"", deadline_s=5, connect_timeout_s=2, max_reply_bytes=10,
        send_by_boottime_s=world.clock.boottime_s() + 5,
    )  # fmt: skip


def _tls(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server with a certificate of that name, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both = folder / "both.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    both.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(both)
    trusting = ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())
    return server, trusting
