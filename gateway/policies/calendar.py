"""Is a partner closed now, and until when? Pure functions of its calendar and the time.

The hours are those of the partner's own system, so they are measured by real time in Riyadh (no daylight
saving there), never by a business date that a demonstration has set.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.settings.protection import Calendar, ClosedHours

_RIYADH: Final = ZoneInfo("Asia/Riyadh")
#: By `datetime.weekday`.
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = timedelta(days=1)
#: Windows that follow on each other are followed this far; a partner that never opens is looked at again.
_FARTHEST: Final = timedelta(days=14)


def closed_until(calendar: Calendar, now: datetime) -> datetime | None:
    """When the partner opens (aware, UTC), or None when it is open. An end is open, a beginning is closed."""
    if not calendar.weekly and not calendar.once:
        return None
    here = now.astimezone(_RIYADH).replace(tzinfo=None)
    at, farthest = here, here + _FARTHEST
    while at < farthest and (ends := _covered_until(calendar, at)) is not None:
        at = ends
    return None if at == here else at.replace(tzinfo=_RIYADH).astimezone(UTC)


def _covered_until(calendar: Calendar, at: datetime) -> datetime | None:
    """The latest end of the windows that hold `at`."""
    windows = [*(once.times() for once in calendar.once), *_weekly(calendar, at)]
    return max((ends for begins, ends in windows if begins <= at < ends), default=None)


def _weekly(calendar: Calendar, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Those windows of every week that may hold `at`: of its own day, and of the one before."""
    for hours in calendar.weekly:
        for day in (at.date() - _DAY, at.date()):
            if _DAYS[day.weekday()] in hours.days:
                yield _on(hours, datetime.combine(day, datetime.min.time()))


def _on(hours: ClosedHours, midnight: datetime) -> tuple[datetime, datetime]:
    begins, ends = (datetime.combine(midnight, clock) for clock in hours.times())
    return begins, ends if ends > begins else ends + _DAY
