"""When a partner is closed: over midnight, over the end of a week, and windows that follow on each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policies.calendar import closed_until
from gateway.settings.protection import Calendar

RIYADH = ZoneInfo("Asia/Riyadh")


def at(text: str) -> datetime:
    """A moment of the wall clock in Riyadh."""
    return datetime.fromisoformat(text).replace(tzinfo=RIYADH)


def weekly(days: tuple[str, ...], begins: str, ends: str) -> dict[str, object]:
    return {"days": days, "from": begins, "to": ends}


#: 2026-11-27 is a Friday.
NIGHTS = Calendar.model_validate({"weekly": (weekly(("fri",), "23:00", "02:00"),)})


def test_no_calendar_is_never_closed() -> None:
    assert closed_until(Calendar(), at("2026-11-27T23:30")) is None


def test_a_night_passes_midnight_and_is_of_the_day_on_which_it_begins() -> None:
    assert closed_until(NIGHTS, at("2026-11-27T22:59")) is None
    assert closed_until(NIGHTS, at("2026-11-27T23:00")) == at("2026-11-28T02:00")
    assert closed_until(NIGHTS, at("2026-11-28T01:59")) == at("2026-11-28T02:00")
    assert closed_until(NIGHTS, at("2026-11-28T02:00")) is None
    assert closed_until(NIGHTS, at("2026-11-27T01:00")) is None, "the night of Thursday is open"


def test_the_night_of_the_last_day_of_a_week_ends_in_the_next_one() -> None:
    sundays = Calendar.model_validate({"weekly": (weekly(("sun",), "22:00", "06:00"),)})
    assert closed_until(sundays, at("2026-11-30T05:00")) == at("2026-11-30T06:00")


def test_hours_are_those_of_riyadh_whatever_zone_asks() -> None:
    assert closed_until(NIGHTS, datetime(2026, 11, 27, 20, 30, tzinfo=UTC)) == at("2026-11-28T02:00")
    assert closed_until(NIGHTS, datetime(2026, 11, 27, 23, 30, tzinfo=UTC)) is None


def test_windows_that_follow_on_each_other_are_one() -> None:
    once = {"from": "2026-11-28T01:30", "to": "2026-11-28T09:00"}
    both = NIGHTS.model_copy(update={"once": Calendar.model_validate({"once": (once,)}).once})
    assert closed_until(both, at("2026-11-27T23:30")) == at("2026-11-28T09:00")


def test_the_same_hour_twice_is_a_whole_day() -> None:
    fridays = Calendar.model_validate({"weekly": (weekly(("fri",), "00:00", "00:00"),)})
    assert closed_until(fridays, at("2026-11-27T00:00")) == at("2026-11-28T00:00")
    assert closed_until(fridays, at("2026-11-28T00:00")) is None


def test_a_partner_that_never_opens_is_looked_at_again() -> None:
    days = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
    always = Calendar.model_validate({"weekly": (weekly(days, "00:00", "00:00"),)})
    until = closed_until(always, at("2026-11-27T12:00"))
    assert until is not None
    assert timedelta(days=13) < until - at("2026-11-27T12:00") < timedelta(days=16)


_CLOCKS = st.times().map(lambda clock: clock.strftime("%H:%M"))
_WEEKLY = st.builds(
    weekly,
    st.lists(st.sampled_from(("sun", "mon", "tue", "wed", "thu", "fri", "sat")), min_size=1, unique=True).map(
        tuple
    ),
    _CLOCKS,
    _CLOCKS,
)


@settings(deadline=None)
@given(
    st.lists(_WEEKLY, max_size=3).map(lambda hours: Calendar.model_validate({"weekly": tuple(hours)})),
    st.integers(0, 2 * 366 * 24 * 60).map(
        lambda minutes: at("2026-01-01T00:00") + timedelta(minutes=minutes)
    ),
)
def test_it_is_open_at_the_end_and_closed_until_then(calendar: Calendar, now: datetime) -> None:
    until = closed_until(calendar, now)
    if until is None:
        return
    assert until > now
    if until - now < timedelta(days=13):
        assert closed_until(calendar, until) is None
        assert closed_until(calendar, now + (until - now) / 2) == until
