"""A host that goes on with another engine, without a connection being lost."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Misconfigured
from gateway.pipeline.engine import Engine
from gateway.values import replace
from gateway.web.authentication import PartyKeys
from gateway.web.operators import OperatorTokens, operators_directory
from gateway.web.tokens import write_secret
from tests.web.site import Site
from tests.web.test_host import _certificate, _listen_on


def use(site: Site, engine: Engine) -> None:
    keys = PartyKeys.load(engine.settings, site.data)
    site.host.use(engine, keys, OperatorTokens.load(site.data))


def with_audience(engine: Engine, audience: str) -> Engine:
    tokens = engine.settings.gateway.tokens.model_copy(update={"audience": audience})
    gateway = engine.settings.gateway.model_copy(update={"tokens": tokens})
    return replace(engine, settings=engine.settings.model_copy(update={"gateway": gateway}))


async def test_an_open_connection_sees_the_new_settings_with_its_next_request(site: Site) -> None:
    reader, writer = await site.connect()

    async def ask() -> bytes:
        request = f"GET /v1/batches/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token()}\r\n\r\n"
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        return head.split(b" ")[1]

    assert await ask() == b"404"
    use(site, with_audience(site.world.engine, "another"))
    assert await ask() == b"401"
    use(site, site.world.engine)
    assert await ask() == b"404"
    writer.close()


async def test_operators_come_and_go_with_their_files(site: Site) -> None:
    """Removing the file and a reload (SIGHUP) is how a credential is revoked."""
    path, token = "/v1/admin/messages", "n" * 43
    file, earlier = operators_directory(site.data) / "operator-2.token", site.operator_token("operator-2")
    file.unlink()
    assert (await site.get(path, admin=True, token=earlier)).status == 200
    use(site, site.world.engine)
    assert (await site.get(path, admin=True, token=earlier)).status == 401
    write_secret(file, token.encode())
    use(site, site.world.engine)
    assert (await site.get(path, admin=True, token=token)).status == 200
    assert (await site.get(path, admin=True, token=earlier)).status == 401


async def test_metrics_are_there_once_after_every_change(site: Site) -> None:
    for _ in range(3):
        use(site, site.world.engine)
    answer = await site.get("/metrics", admin=True, token="")
    assert answer.body.count(b"# TYPE gateway_audit_head_sequence ") == 1


async def test_a_closed_intake_stays_closed(site: Site) -> None:
    site.host._intake_open = False
    use(site, site.world.engine)
    assert (await site.submit()).status == 503


async def _certificate_shown(site: Site) -> bytes:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    url = site.host.public_url.removeprefix("https://").split(":")
    _, writer = await asyncio.open_connection(url[0], int(url[1]), ssl=trusting)
    shown: Any = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    await writer.wait_closed()
    return bytes(shown)


async def test_a_renewed_certificate_is_shown_and_a_broken_one_is_not(site: Site, tmp_path: Path) -> None:
    await site.host.stop()
    _listen_on(site, public={"tls": _certificate(tmp_path)})
    await site.host.start()
    first = await _certificate_shown(site)
    _certificate(tmp_path)
    assert await _certificate_shown(site) == first
    use(site, site.world.engine)
    second = await _certificate_shown(site)
    assert second != first
    (tmp_path / "a.key").write_text("nonsense")
    with pytest.raises(Misconfigured):
        use(site, site.world.engine)
    assert await _certificate_shown(site) == second
