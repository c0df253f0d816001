"""The two clocks: system time for leases and retries, the business date for rules."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from gateway.errors import Conflict
from gateway.message import Micros

RIYADH = ZoneInfo("Asia/Riyadh")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own clocks (see `ports.Clock`)."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_us(self) -> Micros:
        return Micros(time.time_ns() // 1000)

    def today(self) -> date:
        return datetime.now(RIYADH).date()

    def business_now(self) -> datetime:
        return self.now()

    def boottime_s(self) -> float:
        return time.clock_gettime(_CLOCK)


class SteppedClock(SystemClock):
    """The machine's clocks, but for the business date, which is set: a season can pass in an hour.

    System time stays real, so that leases, tokens and retries are as they always are.
    """

    def __init__(self, start: date) -> None:
        self._today = start

    def today(self) -> date:
        return self._today

    def business_now(self) -> datetime:
        """The time of day that it is, on the business date."""
        return datetime.combine(self._today, datetime.now(RIYADH).timetz())

    def step_to(self, day: date) -> None:
        """Go on to `day`. Raises `Conflict` (`date_goes_back`) for an earlier one than today."""
        if day < self._today:
            raise Conflict("date_goes_back")
        self._today = day


def day_begins(day: date) -> datetime:
    """The first moment of a day in Riyadh."""
    return datetime.combine(day, datetime.min.time(), RIYADH)


def micros(moment: datetime) -> Micros:
    """An aware moment as the ledger keeps it: whole microseconds since the epoch."""
    return Micros(round(moment.timestamp() * 1_000_000))


def moment(value: int) -> datetime:
    """The inverse of `micros`, in UTC."""
    return datetime.fromtimestamp(value / 1_000_000, UTC)
