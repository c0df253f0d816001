"""What a scrape tells of what the gateway holds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from gateway.clock import micros
from gateway.errors import Unavailable
from gateway.ledger.port import Position
from gateway.message import PartyId
from gateway.observe import processes
from gateway.observe.processes import Used
from gateway.web.middleware import UnderWay, answer_always
from tests.flows.office import CENTER, LICENSING, send
from tests.web.site import Site

FOREIGN_AFFAIRS = PartyId("foreign-affairs")


async def scraped(site: Site, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric, by the values of its labels in the order of their names."""
    answer = await site.get("/metrics", admin=True, token="")
    families = text_string_to_metric_families(answer.body.decode())
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


async def publish(site: Site, ceiling: int, opens_in: int, closes_in: int, version: int = 1) -> None:
    day = site.world.clock.today().toordinal()
    window = {
        "opens": type(site.world.clock.today()).fromordinal(day + opens_in).isoformat(),
        "closes": type(site.world.clock.today()).fromordinal(day + closes_in).isoformat(),
    }
    body = {"mission_id": "MSN-IDN-JKT", "window": window, "ceiling": ceiling, "version": version}
    await send(site.world, FOREIGN_AFFAIRS, "mission.capacity", **body)


async def test_places_left_are_those_of_the_window_that_is_open(site: Site) -> None:
    await publish(site, 5, 30, 40)
    assert await scraped(site, "gateway_quota_remaining") == {}
    await publish(site, 100, -3, 3)
    await site.submit(site.batch(site.world.applications(4)))
    await site.world.carry_until_rest()
    assert await scraped(site, "gateway_quota_ceiling") == {("mission_capacity", "MSN-IDN-JKT"): 100}
    assert await scraped(site, "gateway_quota_remaining") == {("mission_capacity", "MSN-IDN-JKT"): 96}
    await publish(site, 2, -3, 3, version=2)  # lowered below what is taken
    assert await scraped(site, "gateway_quota_remaining") == {("mission_capacity", "MSN-IDN-JKT"): 0}


async def test_open_batches_and_the_oldest_of_them(site: Site) -> None:
    began = micros(site.world.clock.now()) / 1_000_000
    await site.submit(site.batch(2))
    site.world.clock.pass_by(seconds=10)
    assert await scraped(site, "gateway_batches") == {("processing",): 1}
    assert await scraped(site, "gateway_oldest_batch_timestamp_seconds") == {("processing",): began}
    await site.world.carry_until_rest()
    assert await scraped(site, "gateway_batches") == {}


async def test_news_that_a_receiver_was_not_given_yet(site: Site) -> None:
    await send(site.world, LICENSING, "licensee.activation_check")
    await site.world.carry_until_rest()
    (told,) = await site.world.engine.ledger.events(LICENSING, after=0, limit=10)
    name = "gateway_oldest_undelivered_timestamp_seconds"
    await site.world.engine.ledger.mark(LICENSING, "bus", Position(told.seq - 1))
    assert await scraped(site, name) == {("bus", "licensing"): told.created_at / 1_000_000}
    await site.world.engine.ledger.mark(LICENSING, "bus", Position(told.seq))
    assert await scraped(site, name) == {}


async def test_room_is_that_of_the_data_directory_s_file_system(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await scraped(site, "gateway_data_size_bytes") == {}, "there is none yet"
    monkeypatch.chdir(tmp_path)
    directory = Path(site.world.engine.settings.gateway.data_directory)
    directory.mkdir()
    usage = shutil.disk_usage(directory)
    assert await scraped(site, "gateway_data_size_bytes") == {(): usage.total}
    (free,) = (await scraped(site, "gateway_data_free_bytes")).values()
    assert 0 < free < usage.total
    assert free == pytest.approx(usage.free, rel=0.2)


async def test_a_ledger_that_cannot_be_read_is_told_of_by_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable() -> None:
        raise Unavailable("ledger_closed")

    monkeypatch.setattr(site.world.engine.ledger, "open_batches", unreadable)
    answer = await site.get("/metrics", admin=True, token="")
    assert answer.status == 200
    assert b"gateway_batches" not in answer.body
    assert b"gateway_cpu_seconds_total" in answer.body


async def test_answers_are_counted_by_class(site: Site) -> None:
    await site.submit(site.batch(1))
    await site.get("/v1/batches/none")
    await site.get("/livez", admin=True)
    counted = await scraped(site, "gateway_http_answers_total")
    assert counted == {("http", "2xx"): 1, ("http", "4xx"): 1}


async def test_soap_s_answers_are_counted_apart() -> None:
    """SOAP 1.1 tells every fault with status 500, those of the caller too."""
    counted: list[tuple[str, str]] = []

    async def fault(_request: web.Request) -> web.Response:
        return web.Response(status=500)

    middleware = answer_always("http://x", UnderWay(), lambda *told: counted.append(told))
    app = web.Application(middlewares=[middleware])
    app.add_routes([web.post("/soap/movements", fault), web.post("/v1/batches", fault)])
    async with TestClient(TestServer(app)) as client:
        for path in ("/soap/movements", "/v1/batches", "/soap/none"):
            await client.post(path)
    assert counted == [("soap", "5xx"), ("http", "5xx"), ("http", "4xx")]


# --- the processes ---------------------------------------------------------------------------------------


async def test_a_process_tells_what_it_uses(site: Site) -> None:
    (cpu,) = (await scraped(site, "gateway_cpu_seconds_total")).values()
    (resident,) = (await scraped(site, "gateway_resident_memory_bytes")).values()
    (files,) = (await scraped(site, "gateway_open_files")).values()
    times = os.times()
    assert cpu == pytest.approx(sum(times[:4]), abs=1.0)
    assert 20e6 < resident < 4e9
    assert 3 < files < 10_000


def test_processes_that_serve_together_are_told_as_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With their supervisor, whose figures hold those of children that ended."""
    parent = os.getppid()
    children = tmp_path / str(parent) / "task" / str(parent)
    children.mkdir(parents=True)
    (children / "children").write_text("71 72 ")
    for pid, cpu, ended in ((parent, 100, 1000), (71, 200, 0), (72, 300, 0)):
        folder = tmp_path / str(pid)
        (folder / "fd").mkdir(parents=True)
        for number in range(3):
            (folder / "fd" / str(number)).touch()
        fields = ["0"] * 40
        fields[11], fields[13], fields[21] = str(cpu), str(ended), "10"
        (folder / "stat").write_text(f"{pid} (a name) with) " + " ".join(fields))
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    monkeypatch.setattr(processes, "counts_together", lambda: True)
    found = [processes._used(pid) for pid in processes._pids()]
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert found == [
        Used(1100 / ticks, 10 * page, 3),
        Used(200 / ticks, 10 * page, 3),
        Used(300 / ticks, 10 * page, 3),
    ]


def test_without_proc_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    assert [processes._used(pid) for pid in processes._pids()] == [None]


async def test_the_center_s_channel_is_not_the_ministry_s(site: Site) -> None:
    """A center that reads its notifications over HTTP has no channel on which it could be late."""
    await site.submit(site.batch(1))
    await site.world.carry_until_rest()
    assert await site.world.engine.ledger.events(CENTER, after=0, limit=1)
    assert await scraped(site, "gateway_oldest_undelivered_timestamp_seconds") == {}
