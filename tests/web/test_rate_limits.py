"""What a party may ask for: requests and lines, each party by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.observe.metrics import Metrics
from gateway.settings import Settings
from gateway.settings.transport import Rate, Rates
from gateway.values import replace
from gateway.web.problems import RateLimited
from gateway.web.rate_limits import RATE_LIMITS, RateLimits
from tests.interop import site as soap_site
from tests.pipeline.world import World, shipped_settings
from tests.web.site import Site, open_site
from tests.web.test_soap_services import ARRIVAL, CLOCK, SOAP_11, token

SLOW = Rate(requests_per_s=2, requests_burst=3, lines_per_s=10, lines_burst=20)


def limited(settings: Settings, **rates: Rate) -> Settings:
    gateway = settings.gateway.model_copy(update={"rates": Rates(**rates)})
    return settings.model_copy(update={"gateway": gateway})


class Limited:
    """Buckets, and the time that fills them."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.metrics = Metrics(CollectorRegistry())
        settings = limited(shipped_settings(), service_center=SLOW)
        self.limits = RateLimits(settings, self.metrics, lambda: self.now_s)

    def refused(self, kind: str, party: str = "sc-01") -> float:
        labels = {"party": party, "kind": kind, "code": "rate_limited"}
        return self.metrics.registry.get_sample_value("gateway_messages_rejected_total", labels) or 0.0


@pytest.fixture
def rated() -> Limited:
    return Limited()


def wait_of(call: Any, *arguments: Any) -> int:
    with pytest.raises(RateLimited) as raised:
        call(*arguments)
    return raised.value.retry_after_s


def test_a_burst_passes_and_then_the_rate(rated: Limited) -> None:
    for _ in range(3):
        rated.limits.request("sc-01")
    assert wait_of(rated.limits.request, "sc-01") == 1
    rated.now_s += 0.5
    rated.limits.request("sc-01")
    assert wait_of(rated.limits.request, "sc-01") == 1
    rated.now_s += 3_600
    for _ in range(3):  # never more than the burst, however long nobody asked
        rated.limits.request("sc-01")
    wait_of(rated.limits.request, "sc-01")
    assert rated.refused("any") == 3


def test_nobody_waits_for_another_party(rated: Limited) -> None:
    for _ in range(3):
        rated.limits.request("sc-01")
    wait_of(rated.limits.request, "sc-01")
    rated.limits.request("sc-02")
    for _ in range(1_000):  # another kind of party has another rate
        rated.limits.request("passports")


def test_a_refused_request_costs_nothing(rated: Limited) -> None:
    for _ in range(3):
        rated.limits.request("sc-01")
    for _ in range(100):
        wait_of(rated.limits.request, "sc-01")
    rated.now_s += 0.5
    rated.limits.request("sc-01")


def test_a_large_batch_passes_whole_and_the_next_one_waits_for_it(rated: Limited) -> None:
    rated.limits.batch("sc-01")
    rated.limits.lines("sc-01", 100)
    assert wait_of(rated.limits.batch, "sc-01") == 8
    assert rated.refused("visa.batch") == 1
    rated.limits.batch("sc-02")
    rated.now_s += 7.9
    assert wait_of(rated.limits.batch, "sc-01") == 1
    rated.now_s += 0.1
    rated.limits.batch("sc-01")


def test_another_configuration_forgets_no_debt(rated: Limited) -> None:
    rated.limits.lines("sc-01", 100)
    faster = SLOW.model_copy(update={"lines_per_s": 40.0})
    rated.limits.use(limited(shipped_settings(), service_center=faster))
    assert wait_of(rated.limits.batch, "sc-01") == 2


def test_the_wait_that_is_told_is_bounded(rated: Limited) -> None:
    rated.limits.lines("sc-01", 10_000_000)
    assert wait_of(rated.limits.batch, "sc-01") == 3_600


@pytest.fixture
async def slow(world: World, tmp_path: Path) -> AsyncIterator[Site]:
    world.engine = replace(world.engine, settings=limited(world.engine.settings, service_center=SLOW))
    async with aiohttp.ClientSession() as session:
        site = await open_site(world, tmp_path, session)
        yield site
        await site.host.stop()


async def test_over_its_rate_a_center_is_told_when_to_come_back(slow: Site) -> None:
    for _ in range(3):
        assert (await slow.get("/v1/notifications")).status == 200
    answer = await slow.get("/v1/notifications")
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (429, "rate_limited", "1")
    assert (await slow.get("/v1/notifications", token=slow.token("sc-02"))).status == 200
    assert (await slow.get("/v1/notifications", token=slow.token("licensing"))).status == 200
    metrics = (await slow.get("/metrics", admin=True)).body.decode()
    assert 'gateway_messages_rejected_total{code="rate_limited",kind="any",party="sc-01"} 1.0' in metrics


async def test_whoever_proves_nothing_uses_up_nobodys_rate(slow: Site) -> None:
    forged = slow.token("sc-01")[:-6] + "AAAAAA"
    for _ in range(10):
        assert (await slow.get("/v1/notifications", token=forged)).status == 401
    assert (await slow.get("/v1/notifications")).status == 200


async def test_lines_of_a_batch_are_counted_and_the_next_batch_waits(slow: Site) -> None:
    assert (await slow.submit(slow.batch(50), key="a")).status == 202
    answer = await slow.submit(slow.batch(1, seed=8), key="b")
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) in (2, 3)
    assert (await slow.get("/v1/notifications")).status == 200  # reading goes on


@asynccontextmanager
async def serving_limited(site: soap_site.Site, settings: Settings) -> AsyncIterator[str]:
    app = web.Application()
    app[RATE_LIMITS] = RateLimits(settings, Metrics(CollectorRegistry()))
    app.add_routes(site.services.routes(site.url))
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_system_over_its_rate_is_told_that_soap_is_busy() -> None:
    settings = limited(shipped_settings(), system=SLOW.model_copy(update={"requests_per_s": 0.001}))
    call = (
        f'<s:Envelope xmlns:s="{SOAP_11.namespace}"><s:Header>{{}}</s:Header>'
        f"<s:Body>{ARRIVAL}</s:Body></s:Envelope>"
    )
    statuses = []
    async with (
        soap_site.open_site(CLOCK) as site,
        serving_limited(site, settings) as url,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(4):
            headers = {"Content-Type": "text/xml; charset=utf-8"}
            data = call.format(token()).encode()
            async with session.post(url + "/soap/movements", data=data, headers=headers) as answer:
                statuses.append((answer.status, answer.headers.get("Retry-After")))
                body = await answer.text()
    assert statuses == [(200, None)] * 3 + [(503, "1000")]
    assert "SERVICE_BUSY" in body


def test_the_shipped_rates_are_far_above_what_the_network_needs() -> None:
    """6.7 million pilgrims in 300 days through five hundred companies, all in eight hours a day."""
    a_second = 6_700_000 / 300 / (8 * 3600)
    for kind, rate in shipped_settings().gateway.rates:
        assert rate.lines_per_s > 100 * a_second, kind
        assert rate.lines_burst >= shipped_settings().gateway.intake.max_lines
        assert rate.requests_burst >= 1_000
