"""Reports as the ministry's departments and operators ask for them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.web import reports
from schemas.hijri import season
from schemas.kinds import check
from tests.web.site import Answer, Site

FLOW, SEASON = "/v1/reports/visa-flow", "/v1/reports/season"
ADMIN = ("/v1/admin/census", "/v1/admin/quotas", "/v1/admin/reports/visa-flow", "/v1/admin/reports/season")


async def asked(site: Site, path: str, party: str = "licensing") -> Answer:
    return await site.get(path, token=site.token(party))


async def issue(site: Site, count: int = 3) -> None:
    assert (await site.submit(site.batch(count))).status == 202
    await site.world.carry_until_rest()


@pytest.mark.parametrize("party", ["licensing", "pilgrim-services"])
async def test_the_flow_of_today_is_told_by_licensee_mission_and_day(site: Site, party: str) -> None:
    await issue(site)
    answer = await asked(site, FLOW, party)
    today = site.world.clock.today().isoformat()
    assert answer.status == 200
    assert answer.json["period"] == {"from": today, "until": today}
    (row,) = answer.json["rows"]
    assert (row["received"], row["issued"], row["waiting"], row["day"]) == (3, 3, 0, today)
    assert not isinstance(check("visa_flow.report", answer.json), tuple)


async def test_days_without_a_message_are_told_as_empty(site: Site) -> None:
    await issue(site)
    assert (await asked(site, f"{FLOW}?from=2026-01-01&until=2026-01-31")).json["rows"] == []


async def test_a_season_is_told_in_numbers(site: Site) -> None:
    await issue(site)
    year = season(site.world.clock.today())
    now, then = await asked(site, SEASON), await asked(site, f"{SEASON}?season={year - 1}")
    assert (now.json["season"], now.json["applications"], now.json["issued"]) == (year, 3, 3)
    assert (then.json["season"], then.json["applications"]) == (year - 1, 0)
    assert not isinstance(check("season.report", now.json), tuple)


@pytest.mark.parametrize("path", [FLOW, SEASON])
@pytest.mark.parametrize("party", ["sc-01", "committee", "nic"])
async def test_only_who_is_told_of_a_report_may_ask_for_it(site: Site, path: str, party: str) -> None:
    answer = await asked(site, path, party)
    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize("path", [FLOW, SEASON])
async def test_nobody_without_a_token_gets_a_report(site: Site, path: str) -> None:
    assert (await site.get(path, token="")).status == 401


@pytest.mark.parametrize(
    "query",
    ["?from=2026-02-30", "?from=20260101", "?until=tomorrow", "?from=2026-01-02&until=2026-01-01", "?day=1",
     "?from=٢٠٢٦-٠١-٠١", "?from=9999-12-31&until=0001-01-01", "?from="],
)  # fmt: skip
async def test_days_that_can_not_be_meant_are_refused(site: Site, query: str) -> None:
    answer = await asked(site, FLOW + query)
    assert (answer.status, answer.code) == (400, "invalid_parameter")


async def test_a_report_covers_a_quarter_at_most(site: Site) -> None:
    today = site.world.clock.today()
    longest = today - timedelta(days=reports.MOST_DAYS - 1)
    assert (await asked(site, f"{FLOW}?from={longest}")).status == 200
    assert (await asked(site, f"{FLOW}?from={longest - timedelta(days=1)}")).status == 400


@pytest.mark.parametrize("query", ["?season=0", "?season=1501", "?season=x", "?season=1448&season=1449"])
async def test_a_season_that_can_not_be_meant_is_refused(site: Site, query: str) -> None:
    assert (await asked(site, SEASON + query)).code == "invalid_parameter"


# --- operators ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ADMIN)
async def test_operators_alone_see_what_passed_through(site: Site, path: str) -> None:
    assert (await site.get(path, admin=True)).status == 200
    for token in ("guess", site.token("licensing")):
        assert (await site.get(path, admin=True, token=token)).status == 401
    assert (await site.get(path)).status == 404


async def test_the_census_counts_every_sort_with_an_example(site: Site) -> None:
    await issue(site, 2)
    census = (await site.get(ADMIN[0], admin=True)).json["census"]
    (issued,) = [s for s in census if (s["what"], s["name"]) == ("message", "visa.application")]
    assert (issued["detail"], issued["count"]) == ("issued", 2)
    assert (await site.get(f"/v1/admin/messages/{issued['example']}", admin=True)).status == 200


async def test_operators_get_the_same_reports_as_departments(site: Site) -> None:
    await issue(site)
    for path in (FLOW, SEASON):
        theirs = await site.get(path.replace("/v1/", "/v1/admin/"), admin=True)
        assert theirs.json == (await asked(site, path)).json
    assert (await site.get(ADMIN[2] + "?from=x", admin=True)).status == 400
