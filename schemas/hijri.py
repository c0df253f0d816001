"""The Umm al-Qura calendar, which is a table of month lengths, 1343 to 1500 AH.

Gregorian dates are authoritative. A Hijri date is a text `YYYY-MM-DD` and is only ever derived or compared.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

from hijridate import Gregorian, Hijri

#: The days that the table covers.
FIRST_DAY: Final = date(1924, 8, 1)
LAST_DAY: Final = date(2077, 11, 16)


class OutsideCalendarError(ValueError):
    """The date lies outside the table: before 1924-08-01 or after 2077-11-16."""


@lru_cache(maxsize=8192)
def to_hijri(day: date) -> str:
    """The Umm al-Qura date of a Gregorian day, as `YYYY-MM-DD`. Raises `OutsideCalendarError`."""
    year, month, day_of_month = _convert(day)
    return f"{year:04}-{month:02}-{day_of_month:02}"


def agree(day: date, hijri: str) -> bool:
    """Whether `hijri` (`YYYY-MM-DD`) is the same day. A day that no month has, such as 1439-02-30, never is.

    Raises `OutsideCalendarError`.
    """
    return to_hijri(day) == hijri


def season(day: date) -> int:
    """The season a day belongs to: its Hijri year. Raises `OutsideCalendarError`."""
    return _convert(day)[0]


def first_day(year: int, month: int) -> date:
    """The Gregorian day on which a Hijri month begins. Raises `OutsideCalendarError`."""
    try:
        return date.fromordinal(Hijri(year, month, 1).to_gregorian().toordinal())
    except (OverflowError, ValueError) as error:
        raise OutsideCalendarError(f"{year}-{month}") from error


@lru_cache(maxsize=8192)
def _convert(day: date) -> tuple[int, int, int]:
    try:
        hijri = Gregorian(day.year, day.month, day.day).to_hijri()
    except OverflowError as error:
        raise OutsideCalendarError(day.isoformat()) from error
    return hijri.year, hijri.month, hijri.day
