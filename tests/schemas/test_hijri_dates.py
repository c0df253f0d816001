"""The Umm al-Qura calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.hijri import OutsideCalendarError, agree, season, to_hijri

FIRST, LAST = date(1924, 8, 1), date(2077, 11, 16)


@pytest.mark.parametrize(
    ("day", "hijri"),
    [
        (FIRST, "1343-01-01"),
        (date(2017, 11, 18), "1439-02-29"),
        (date(2017, 11, 19), "1439-03-01"),
        (date(2024, 7, 7), "1446-01-01"),
        (LAST, "1500-12-30"),
    ],
)
def test_known_days(day: date, hijri: str) -> None:
    assert to_hijri(day) == hijri
    assert agree(day, hijri)
    assert season(day) == int(hijri[:4])


def test_a_day_that_the_month_does_not_have_agrees_with_nothing() -> None:
    assert not agree(date(2017, 11, 18), "1439-02-30")
    assert not agree(date(2017, 11, 19), "1439-02-30")


@pytest.mark.parametrize("day", [FIRST - timedelta(1), LAST + timedelta(1), date.min, date.max])
def test_days_outside_the_table_are_told_apart(day: date) -> None:
    with pytest.raises(OutsideCalendarError):
        to_hijri(day)


#: Until then the official table has some months of 28 and of 31 days: they were seen, not computed.
LAST_IRREGULAR_YEAR = 1364


@example(date(1925, 4, 23))
@example(date(1926, 12, 6))
@example(date(1945, 8, 7))
@given(st.dates(FIRST, LAST - timedelta(1)))
def test_the_next_day_is_the_next_hijri_day(day: date) -> None:
    year, month, number = map(int, to_hijri(day).split("-"))
    following = tuple(map(int, to_hijri(day + timedelta(1)).split("-")))
    new_month = (year + (month == 12), month % 12 + 1, 1)
    assert following in ((year, month, number + 1), new_month)
    shortest, longest = (28, 31) if year <= LAST_IRREGULAR_YEAR else (29, 30)
    assert number <= longest and (following != new_month or number >= shortest)
