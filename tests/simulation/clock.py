"""The clocks of a simulated machine: the wall clock may be set wrong, the boot-time clock never leaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from gateway.clock import micros
from gateway.message import Micros

#: When every run begins. Arrivals of the samples fall into months that plans cover.
START: Final = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_START_US: Final = micros(START)


class VirtualClock:
    """See `gateway.ports.Clock`. `passed` gives the seconds since the run began."""

    def __init__(self, passed: Callable[[], float]) -> None:
        self._passed = passed
        #: By how much the wall clock is wrong.
        self.wrong_by_s = 0.0
        #: By how much the business date runs ahead.
        self.days_ahead = 0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._passed() + self.wrong_by_s)

    def now_us(self) -> Micros:
        return Micros(_START_US + round((self._passed() + self.wrong_by_s) * 1_000_000))

    def today(self) -> date:
        return self.business_now().date()

    def business_now(self) -> datetime:
        return self.now() + timedelta(days=self.days_ahead)

    def boottime_s(self) -> float:
        return 1_000.0 + self._passed()
