"""Reports add up, and a day is told once."""

from __future__ import annotations

from datetime import timedelta

from gateway.message import Declined
from gateway.pipeline.reports import publish_day, season_report, visa_flow
from schemas.hijri import season
from schemas.kinds import check
from tests.flows.office import CENTER, LICENSING, World, told


async def _some_day(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"].insert(0, Declined("NO", "refused"))
    await world.submit([*world.applications(3), {"reference": "broken"}])
    await world.carry_until_rest()


async def test_the_flow_of_a_day_counts_every_line_once(world: World) -> None:
    await _some_day(world)
    today = world.clock.today()
    (row,) = (await visa_flow(today, today, world.engine))["rows"]
    assert (row["licensee_id"], row["received"]) == ("LIC-1001", 4)
    assert (row["issued"], row["refused"], row["rejected"], row["waiting"]) == (2, 1, 1, 0)
    tomorrow = today + timedelta(days=1)
    assert (await visa_flow(tomorrow, tomorrow, world.engine))["rows"] == []


async def test_a_season_in_numbers(world: World) -> None:
    await _some_day(world)
    year = season(world.clock.today())
    report = await season_report(year, world.engine)
    assert not isinstance(check("season.report", report), tuple)
    assert (report["batches"], report["applications"], report["issued"]) == (1, 4, 2)
    assert report["countries"] == [{"country": "IDN", "issued": 2, "inside": 0, "overstayed": 0}]


async def test_a_day_is_told_to_the_departments_once(world: World) -> None:
    await _some_day(world)
    today = world.clock.today()
    await publish_day(today, world.engine)
    await publish_day(today, world.engine)
    (event,) = await told(world, LICENSING, "visa_flow.report")
    assert not isinstance(check("visa_flow.report", event), tuple)
    assert await told(world, CENTER, "visa_flow.report") == []
