"""`calendar` in both calendars."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import pairwise

from schemas.calendar import season_months
from tests.cli.command import Command


def test_the_months_of_a_season_follow_each_other_without_a_gap() -> None:
    months = season_months(1448)
    assert months[0].first == date(2026, 6, 16)
    assert all(later.first - earlier.last == timedelta(days=1) for earlier, later in pairwise(months))
    assert [month.plan_part for month in months] == [None, 1, 1, 1, 1, 1, 2, 2, None, None, None, None]


def test_a_document_for_machines(run: Command) -> None:
    ended = run("calendar", "--season", "1448", "--json")
    assert json.loads(ended.out)["months"][8]["name_en"] == "Ramadan"


def test_a_year_outside_the_calendar_is_wrong_usage(run: Command) -> None:
    ended = run("calendar", "--season", "1700")
    assert ended.code == 2
    assert "1343 to 1500" in ended.err
