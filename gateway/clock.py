"""The two clocks: system time for leases and retries, the business date for rules."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from gateway.message import Micros

RIYADH = ZoneInfo("Asia/Riyadh")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own clocks (see `ports.Clock`)."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def today(self) -> date:
        return datetime.now(RIYADH).date()

    def boottime_s(self) -> float:
        return time.clock_gettime(_CLOCK)


def micros(moment: datetime) -> Micros:
    """An aware moment as the ledger keeps it: whole microseconds since the epoch."""
    return Micros(round(moment.timestamp() * 1_000_000))


def moment(value: int) -> datetime:
    """The inverse of `micros`, in UTC."""
    return datetime.fromtimestamp(value / 1_000_000, UTC)
