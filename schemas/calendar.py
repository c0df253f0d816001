"""The season calendar: the months of a season in both calendars, and what part of a plan covers each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from schemas.hijri import first_day
from schemas.kinds.offers import PLAN_PARTS

#: Names of the Hijri months, in English and Arabic.
MONTHS: Final = (
    ("Muharram", "محرم"),
    ("Safar", "صفر"),
    ("Rabi' I", "ربيع الأول"),
    ("Rabi' II", "ربيع الآخر"),
    ("Jumada I", "جمادى الأولى"),
    ("Jumada II", "جمادى الآخرة"),
    ("Rajab", "رجب"),
    ("Sha'ban", "شعبان"),
    ("Ramadan", "رمضان"),
    ("Shawwal", "شوال"),
    ("Dhu al-Qa'dah", "ذو القعدة"),
    ("Dhu al-Hijjah", "ذو الحجة"),
)


@dataclass(frozen=True, slots=True)
class Month:
    """One Hijri month of a season."""

    number: int
    name_en: str
    name_ar: str
    first: date
    last: date
    #: Of the operational plan; None: no part covers it, and the control `unplanned_months` decides.
    plan_part: int | None


def season_months(year: int) -> tuple[Month, ...]:
    """The twelve months of a Hijri year. Raises `OutsideCalendarError`."""
    begins = [first_day(year, month) for month in range(1, 13)]
    ends = [*(day - timedelta(days=1) for day in begins[1:]), first_day(year + 1, 1) - timedelta(days=1)]
    return tuple(
        Month(number, *MONTHS[number - 1], begins[number - 1], ends[number - 1], _part(number))
        for number in range(1, 13)
    )


def _part(month: int) -> int | None:
    return next((part for part, months in PLAN_PARTS.items() if month in months), None)
