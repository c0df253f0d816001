"""What senders, probes and scrapers see while nothing new is taken in."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.service_centers.sample import sample_batch, write_batch
from gateway.clock import RIYADH
from gateway.pipeline.pressure import Pressure, Resource
from gateway.settings.pressure import Floor
from gateway.settings.pressure import Pressure as Limits
from gateway.values import replace
from gateway.web.tokens import demo_key_path, sign_token
from tests.faults.disks import SmallDisk
from tests.pipeline.world import World
from tests.processes import Installation
from tests.web.site import NDJSON, Site, open_site


@pytest.fixture
async def pressed(world: World, tmp_path: Path) -> AsyncIterator[Site]:
    """A site that stops for its disk, looked at by the test alone."""
    limits = Limits(look_every_s=0.5, disk_free=Floor(stop_below=9e14, go_on_above=1e15))
    pressure = Pressure(world.engine.ledger, limits, world.engine.metrics)
    world.engine = replace(world.engine, pressure=pressure)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        opened = await open_site(world, tmp_path, session)
        yield opened
        await pressure.stop()
        await opened.host.stop()


def _of(site: Site) -> Pressure:
    pressure = site.world.engine.pressure
    assert pressure is not None
    return pressure


async def test_a_batch_is_answered_503_with_the_reason_in_both_languages(pressed: Site) -> None:
    await _of(pressed).look()
    answer = await pressed.submit()
    assert (answer.status, answer.code) == (503, "intake_storage")
    assert 5 <= int(answer.headers["Retry-After"]) <= 10
    arabic = await pressed.submit(headers={"Accept-Language": "ar"})
    assert answer.json["detail"] != arabic.json["detail"]
    assert answer.json["title"]


async def test_no_byte_of_the_body_is_waited_for(pressed: Site) -> None:
    await _of(pressed).look()
    head = (
        "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nIdempotency-Key: k\r\n"
        f"Authorization: Bearer {pressed.token()}\r\nContent-Length: 100000000\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    reader, writer = await pressed.connect()
    writer.write(head.encode())
    async with asyncio.timeout(2):
        status = await reader.readline()
    writer.close()
    assert status.split()[1] == b"503"


async def test_messages_and_photos_wait_outside_too(pressed: Site) -> None:
    await _of(pressed).look()
    message = await pressed.message("licensee.status", {}, party="licensing")
    assert (message.status, message.code) == (503, "intake_storage")
    photo = await pressed.call(
        "PUT", f"/v1/photos/{'0' * 64}", headers={"Content-Type": "image/jpeg"}, data=b"x"
    )
    assert (photo.status, photo.code) == (503, "intake_storage")


async def test_nothing_of_a_refused_request_is_recorded(pressed: Site) -> None:
    """Its token is not used up: it may come again, for another batch too."""
    await _of(pressed).look()
    token = pressed.token()
    assert (await pressed.submit(token=token)).status == 503
    _of(pressed).limits = Limits(disk_free=None)
    await _of(pressed).look()
    assert (await pressed.submit(token=token, key="another")).status == 202


async def test_centers_go_on_reading_and_probes_and_metrics_tell(pressed: Site) -> None:
    taken = await pressed.submit()
    assert (await pressed.get("/readyz", admin=True)).status == 200
    await _of(pressed).look()
    path = f"/v1/batches/{taken.json['batch_id']}"
    assert (await pressed.get(path)).status == 200
    assert (await pressed.get("/v1/notifications")).status == 200
    ready = await pressed.get("/readyz", admin=True)
    assert ready.status == 503
    assert ready.json["intake"] == "closed"
    assert ready.json["ledger"] == "writable"
    assert ready.json["pressure"] == "disk"
    metrics = (await pressed.get("/metrics", admin=True)).body.decode()
    assert 'gateway_intake_pressure{resource="disk"} 1.0' in metrics
    assert 'gateway_intake_pressure{resource="ledger"} 0.0' in metrics
    assert 'gateway_pressure_reading{resource="disk"}' in metrics


async def test_a_ledger_in_trouble_is_not_ready_at_once(pressed: Site) -> None:
    _of(pressed)._refused()
    ready = await pressed.get("/readyz", admin=True)
    assert (ready.status, ready.json["ledger"]) == (503, "not_writable")
    assert _of(pressed).pressed == {Resource.LEDGER}


# --- a real gateway on a disk that fills ------------------------------------------------------------------

_SHIPPED = "{stop_below: 200000000, go_on_above: 400000000}"
_SMALL = "{stop_below: 4000000, go_on_above: 8000000}"
#: Of a batch.
LINES = 20
#: What was being carried when the disk was full goes on when its lease has ended.
_SOON = {
    "gateway.yaml": [(_SHIPPED, _SMALL), ("lease_s: 60                   # longer", "lease_s: 12 # longer")],
    "destinations.yaml": [(f"deadline_s: {seconds}", "deadline_s: 4") for seconds in (10, 15, 30)],
}


async def test_a_gateway_whose_disk_is_full_says_so_within_a_second_and_recovers_within_five(
    tmp_path: Path,
) -> None:
    home = Installation(tmp_path / "home", changes=_SOON)
    with SmallDisk(home.data, 64) as disk:
        try:
            await asyncio.to_thread(_start, home)
            async with aiohttp.ClientSession() as session:
                await _filled_and_freed(Center(home, session), disk)
        finally:
            await asyncio.to_thread(home.stop)


def _start(home: Installation) -> None:
    home.start_partners()
    home.start_gateway()


@dataclass
class Center:
    """Sends one batch after the other, and remembers those that were acknowledged."""

    home: Installation
    session: aiohttp.ClientSession
    acknowledged: list[str] = field(default_factory=list)
    sent: int = 0

    async def send(self, lines: int = LINES) -> int:
        """The status of the answer."""
        self.sent += 1
        header, applications = sample_batch(lines, self.sent, datetime.now(RIYADH).date(), clean=True)
        out = io.BytesIO()
        write_batch("ndjson", header, applications, out)
        headers = {"Content-Type": NDJSON, "Idempotency-Key": f"k{self.sent}", **self._proof()}
        url = f"{self.home.url('public')}/v1/batches"
        async with self.session.post(url, data=out.getvalue(), headers=headers) as answer:
            found = await answer.json(content_type=None)
            if answer.status == 202:
                self.acknowledged.append(found["batch_id"])
            else:
                assert int(answer.headers["Retry-After"]) > 0
                assert found["code"] in ("intake_storage", "intake_closed")
            return answer.status

    async def until(self, status: int, within_s: float) -> None:
        """Send until that is answered."""
        began = time.monotonic()
        while await self.send() != status:
            assert time.monotonic() - began < within_s
            await asyncio.sleep(0.02)

    async def state(self, batch: str) -> dict[str, Any]:
        async with self.session.get(
            f"{self.home.url('public')}/v1/batches/{batch}", headers=self._proof()
        ) as answer:
            assert answer.status == 200
            return dict(await answer.json())

    def _proof(self) -> dict[str, str]:
        key = demo_key_path(self.home.data, "sc-01")
        return {
            "Authorization": f"Bearer {sign_token(key, 'sc-01', 'umrah-gateway', 300, datetime.now(UTC))}"
        }


async def _filled_and_freed(center: Center, disk: SmallDisk) -> None:
    assert await center.send() == 202
    await asyncio.to_thread(disk.fill)
    await center.until(503, within_s=3.0)
    assert await asyncio.to_thread(center.home.get, "admin", "/readyz") is None  # 503
    assert [await center.send() for _ in range(5)] == [503] * 5
    disk.free()
    await center.until(202, within_s=5.0)
    await _all_carried(center)


async def _all_carried(center: Center) -> None:
    async with asyncio.timeout(60):
        for batch in center.acknowledged:
            while (state := await center.state(batch))["state"] != "completed":
                await asyncio.sleep(0.05)
            assert state["counts"] == {"total": LINES, "issued": LINES}
