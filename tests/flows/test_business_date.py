"""A demonstration sets the business date: over the admin listener, from day to day, never back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest

from cli.serve import clock_for, settings_for
from gateway.clock import SteppedClock, micros
from gateway.errors import Misconfigured
from gateway.pipeline.day import keep_date, new_day, turn_days
from gateway.states import State
from gateway.values import replace
from tests.flows.border import arrives, day, issue
from tests.flows.office import CENTER, World, told
from tests.web.site import JSON, Answer, Site, open_site

PATH = "/v1/admin/business-date"


@pytest.fixture
async def site(world: World, tmp_path: Path) -> AsyncIterator[Site]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        opened = await open_site(world, tmp_path, session)
        yield opened
        await opened.host.stop()


@pytest.fixture
def stepped(world: World) -> SteppedClock:
    """The world's clock, from now on one whose date is set."""
    clock = SteppedClock(world.clock.today())
    world.engine = replace(world.engine, clock=clock)
    world.engine.ledger._clock = clock  # type: ignore[attr-defined]
    return clock


async def _put(site: Site, document: object, **options: str) -> Answer:
    data = json.dumps(document).encode()
    return await site.call("PUT", PATH, admin=True, headers={"Content-Type": JSON}, data=data, **options)


async def test_the_answer_comes_when_the_days_work_is_done(
    world: World, stepped: SteppedClock, site: Site
) -> None:
    await world.submit(1)
    await world.carry_due()
    await arrives(world, "2026-12-01")
    answer = await _put(site, {"date": "2026-12-21"})
    assert answer.status == 200
    assert answer.json == {"date": "2026-12-21", "done": {"overstay_notices": 1, "let_go_on": 0}}
    assert stepped.today() == date(2026, 12, 21)
    assert len(await told(world, CENTER, "overstay.notice")) == 1
    again = await _put(site, {"date": "2026-12-21"})
    assert again.json == {"date": "2026-12-21", "done": {}}


async def test_the_date_never_goes_back(stepped: SteppedClock, site: Site) -> None:
    await _put(site, {"date": "2026-12-21"})
    answer = await _put(site, {"date": "2026-12-20"})
    assert (answer.status, answer.code) == (409, "date_goes_back")
    assert stepped.today() == date(2026, 12, 21)


@pytest.mark.parametrize("wrong", ["2026-02-30", "21.12.2026", "", None, 20261221])
async def test_what_is_no_date_is_refused(stepped: SteppedClock, site: Site, wrong: object) -> None:
    before = stepped.today()
    answer = await _put(site, {"date": wrong})
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == "/date"
    assert stepped.today() == before


async def test_where_the_date_is_the_real_one_there_is_nothing_to_set(site: Site) -> None:
    assert (await _put(site, {"date": "2030-01-01"})).status == 404


async def test_only_an_operator_sets_the_date(stepped: SteppedClock, site: Site) -> None:
    before = stepped.today()
    assert (await _put(site, {"date": "2030-01-01"}, token="guess")).status == 401
    assert stepped.today() == before


# --- what follows from it by itself -----------------------------------------------------------------------


async def test_an_application_expires_by_the_business_date(world: World) -> None:
    receipt = await world.submit(1)
    row = await world.only(receipt)
    assert row.deadline_at is not None
    ledger, now = world.engine.ledger, world.engine.now()
    await ledger.sweep(now=now, release=10, business_now=micros(world.clock.now()))
    assert (await world.only(receipt)).state is State.READY
    later = micros(world.clock.now() + timedelta(days=200))
    swept = await ledger.sweep(now=now, release=10, business_now=later)
    assert swept.expired == 1
    assert (await world.only(receipt)).state is State.EXPIRED


async def test_the_days_work_is_done_when_the_day_comes(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-20")
    turning = asyncio.create_task(turn_days(lambda: world.engine))
    world.clock.pass_by(days=1)
    await _until_noticed(world)
    turning.cancel()


async def _until_noticed(world: World) -> None:
    async with asyncio.timeout(20):
        while not await told(world, CENTER, "overstay.notice"):
            await asyncio.sleep(0)


async def test_a_start_with_an_earlier_date_goes_on_from_the_latest(
    world: World, stepped: SteppedClock
) -> None:
    stepped.step_to(date(2026, 12, 21))
    await new_day(world.engine)
    earlier = replace(world.engine, clock=SteppedClock(date(2026, 12, 1)))
    await keep_date(earlier)
    assert earlier.clock.today() == date(2026, 12, 21)
    later = replace(world.engine, clock=SteppedClock(date(2027, 1, 1)))
    await keep_date(later)
    assert later.clock.today() == date(2027, 1, 1)


def test_the_environment_sets_the_date_of_a_demonstration_only() -> None:
    assert not isinstance(clock_for({}), SteppedClock)
    assert clock_for({"GATEWAY_PROFILE": "demo", "GATEWAY_BUSINESS_DATE": "2026-07-01"}).today() == date(
        2026, 7, 1
    )
    with pytest.raises(Misconfigured, match="demonstrations only"):
        clock_for({"GATEWAY_BUSINESS_DATE": "2026-07-01"})
    with pytest.raises(Misconfigured, match="a date such as"):
        clock_for({"GATEWAY_PROFILE": "demo", "GATEWAY_BUSINESS_DATE": "01.07.2026"})


def test_the_date_is_no_setting_of_a_file() -> None:
    env = {"GATEWAY_PROFILE": "demo", "GATEWAY_BUSINESS_DATE": "2026-07-01"}
    assert settings_for(None, None, env).gateway.listeners
