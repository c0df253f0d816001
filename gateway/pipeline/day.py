"""What a new business day brings: overstays are noticed, windows open, what is due by date is done.

Each piece is a transaction of its own, and doing one again does no harm: a day whose work was cut short, by a
crash or a full disk, is done again from its beginning. That it is done is recorded last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Final

from gateway.clock import SteppedClock
from gateway.flows import Desk, Subject, activation, capacity, discipline, licensing, overstays
from gateway.flows.desk import GATEWAY
from gateway.ledger.books import Books
from gateway.message import MessageId
from gateway.observe.log import log
from gateway.pipeline import rotate, shred
from gateway.pipeline.engine import Engine
from gateway.pipeline.reports import publish_day

#: The record that holds the latest day whose work is done.
CURRENT: Final = ("business_day", "current")
#: Visas looked at in one transaction: intake and carrying go on in between.
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Days:
    """The latest day whose work is done, None before the first; and the day that it is."""

    before: date | None
    today: date


@dataclass(frozen=True, slots=True)
class DayDone:
    """What a day's work came to. Nothing is counted when it was done before."""

    today: date
    counts: Mapping[str, int] = field(default_factory=dict)


#: One transaction of a day's work. Safe to run again.
DayWork = Callable[[Desk, Days], None]


def _limits(desk: Desk, _days: Days) -> None:
    """The controls may be other ones than yesterday."""
    overstays.judge_all(desk)


def _penalties(desk: Desk, _days: Days) -> None:
    discipline.lift_ended_penalties(desk)


def _statuses(desk: Desk, _days: Days) -> None:
    licensing.begin_statuses(desk)


def _activations(desk: Desk, _days: Days) -> None:
    activation.end_expired(desk)


#: What is due by date before anything else, in this order: nobody is let through who may not be.
BEFORE: Final[Sequence[DayWork]] = (_penalties, _statuses, _activations)
#: And what follows from the day's overstays.
AFTER: Final[Sequence[DayWork]] = (_limits,)


async def new_day(engine: Engine) -> DayDone:
    """Do what the business date asks for, unless it is done. Raises `Unavailable`."""
    days = Days(await _latest(engine), engine.clock.today())
    if days.before is not None and days.today <= days.before:
        return DayDone(days.today)
    await _each(BEFORE, days, engine)
    counts = {"overstay_notices": await _notices(engine), "let_go_on": await _windows(engine)}
    await _each(AFTER, days, engine)
    for ended in _ended(days):
        await publish_day(ended, engine)
    # Begun here, ended by the worker in its own time.
    over = {
        "shredding_begun": len(await shred.begin_due(engine)),
        "keys_destroyed": await rotate.destroy_retired(engine),
    }
    await engine.ledger.work(partial(_done, days.today))
    engine.hints.notify()
    for name, count in (counts | over).items():
        log.info("new_day", action=name, count=count)
    return DayDone(days.today, counts)


async def turn_days(in_force: Callable[[], Engine]) -> None:
    """Do each day's work when it comes, for ever; what an earlier process began is done at the start."""
    done: date | None = None
    while True:
        engine = in_force()
        today = engine.clock.today()
        if today != done:
            done = today if await _day_done(engine) else done
        await asyncio.sleep(engine.settings.gateway.carrying.sweep_interval_s)


async def _day_done(engine: Engine) -> bool:
    try:
        await new_day(engine)
    except Exception:  # tried again in a moment: what is done of it stays done
        log.exception("new_day_failed", action="new_day_failed")
        return False
    return True


async def keep_date(engine: Engine) -> None:
    """A date that was set does not go back by a start with an earlier one."""
    latest = await _latest(engine)
    if latest is not None and isinstance(engine.clock, SteppedClock):
        engine.clock.step_to(max(latest, engine.clock.today()))


async def _each(works: Sequence[DayWork], days: Days, engine: Engine) -> None:
    for work in works:
        await engine.ledger.work(partial(_in_one, work, days, engine))


def _ended(days: Days) -> Iterator[date]:
    """The days that are over since the work was done last."""
    day = days.before or days.today
    while day < days.today:
        yield day
        day += timedelta(days=1)


async def _latest(engine: Engine) -> date | None:
    record = await engine.ledger.record(*CURRENT)
    return None if record is None else date.fromisoformat(record.facts["day"])


async def _notices(engine: Engine) -> int:
    """Levels in order, so that a first notice comes before a second, also after days without a gateway."""
    given = 0
    for level in range(1, 1 + len(await engine.ledger.look(overstays.levels))):
        page = overstays.Page(0, None)
        while True:
            page = await engine.ledger.work(
                partial(_notice_some, engine=engine, level=level, after=page.last)
            )
            given += page.noticed
            if page.last is None:
                break
    return given


def _notice_some(
    books: Books, *, engine: Engine, level: int, after: tuple[date, bytes] | None
) -> overstays.Page:
    return overstays.notice_some(engine.office, books, level, after, limit=_PAGE)


async def _windows(engine: Engine) -> int:
    """Those that wait for a mission's next window, where one is open now."""
    missions = await engine.ledger.look(capacity.missions)
    return sum([await engine.ledger.work(partial(capacity.open_windows, name)) for name in missions])


def _in_one(work: DayWork, days: Days, engine: Engine, books: Books) -> None:
    subject = Subject(MessageId(""), CURRENT[0], GATEWAY)
    work(Desk(engine.office, books, subject), days)


def _done(today: date, books: Books) -> None:
    """A new record lets the gate look again at what it holds: a request window may have opened."""
    kind, id = CURRENT
    known = books.record(kind, id)
    if known is None or known.facts["day"] < today.isoformat():
        books.put(kind, id, {"day": today.isoformat()}, version=today.isoformat())
