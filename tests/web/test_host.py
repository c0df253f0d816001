from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.errors import Misconfigured
from gateway.settings.transport import ListenerTls
from gateway.values import replace
from tests.pipeline.world import World
from tests.web.site import NDJSON, Site, open_site


async def test_stopping_lets_a_batch_under_way_end_and_takes_no_more(site: Site) -> None:
    body = site.batch(3)
    _, idle = await site.connect()
    reader, writer = await site.connect()
    lines = [
        "POST /v1/batches HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {site.token()}",
        f"Content-Type: {NDJSON}",
        "Idempotency-Key: k",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body[:100])
    await writer.drain()
    await asyncio.sleep(0.05)
    address = site.host.public_url.removeprefix("http://").split(":")
    stopping = asyncio.create_task(site.host.stop())
    await asyncio.sleep(0.05)
    with pytest.raises(OSError):
        await asyncio.open_connection(address[0], int(address[1]))
    writer.write(body[100:])
    async with asyncio.timeout(2):
        assert (await reader.readline()).startswith(b"HTTP/1.1 202 ")
        await stopping
    writer.close()
    idle.close()


async def test_probes_see_that_intake_closes_before_the_admin_side_stops(site: Site) -> None:
    site.host._intake_open = False
    ready = await site.get("/readyz", admin=True, token="")
    assert (ready.status, ready.json["intake"]) == (503, "closed")


async def test_a_host_can_be_started_again(site: Site) -> None:
    await site.host.stop()
    await site.host.stop()
    with pytest.raises(RuntimeError):
        _ = site.host.public_url
    await site.host.start()
    assert (await site.submit()).status == 202
    assert (await site.get("/metrics", admin=True)).status == 200


async def test_an_address_that_is_taken_stops_the_start_and_leaves_nothing_open(site: Site) -> None:
    await site.host.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _listen_on(site, public={"port": taken.getsockname()[1]})
        with pytest.raises(Misconfigured, match="cannot listen"):
            await site.host.start()
    _listen_on(site, public={"port": 0})
    await site.host.start()
    assert (await site.get("/livez", admin=True)).status == 200


async def test_with_a_fixed_port_the_configured_address_stands_in_answers(site: Site) -> None:
    await site.host.stop()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _listen_on(site, public={"port": port})
    await site.host.start()
    assert site.host.public_url == f"http://127.0.0.1:{port}"
    answer = await site.submit(headers={"Host": "evil.example"})
    assert answer.headers["Location"].startswith(site.world.engine.settings.gateway.base_url)


def _listen_on(site: Site, **changes: dict[str, Any]) -> None:
    engine = site.world.engine
    gateway = engine.settings.gateway
    listeners = gateway.listeners.model_copy(
        update={
            name: getattr(gateway.listeners, name).model_copy(update=new) for name, new in changes.items()
        }
    )
    settings = engine.settings.model_copy(
        update={"gateway": gateway.model_copy(update={"listeners": listeners})}
    )
    site.world.engine = replace(engine, settings=settings)
    site.host._engine = site.world.engine


def _certificate(folder: Path) -> ListenerTls:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    (folder / "a.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "a.key").write_bytes(secret)
    return ListenerTls(certificate=str(folder / "a.crt"), key=str(folder / "a.key"))


async def test_a_listener_with_a_certificate_speaks_tls_only(site: Site, tmp_path: Path) -> None:
    await site.host.stop()
    _listen_on(site, public={"tls": _certificate(tmp_path)})
    await site.host.start()
    assert site.host.public_url.startswith("https://")
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
        site.session = session
        assert (await site.submit()).status == 202
        await asyncio.sleep(0)
    with pytest.raises(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session:
            await session.get(site.host.public_url.replace("https", "http") + "/docs")


async def test_tls_files_that_do_not_fit_stop_the_start(site: Site, tmp_path: Path) -> None:
    await site.host.stop()
    tls = _certificate(tmp_path)
    (tmp_path / "a.key").write_text("nonsense")
    _listen_on(site, public={"tls": tls})
    with pytest.raises(Misconfigured):
        await site.host.start()


async def test_two_hundred_connections_that_say_nothing_do_not_keep_a_batch_out(
    world: World, tmp_path: Path
) -> None:
    async with aiohttp.ClientSession() as session:
        site = await open_site(world, tmp_path, session)
        silent = [await site.connect() for _ in range(200)]
        assert (await site.submit()).status == 202
        for _, writer in silent:
            writer.close()
        await site.host.stop()
