"""The business day: its work is done once, whatever cuts it short; and a clock whose date is set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from typing import Any, TypeVar

import pytest

from gateway.clock import RIYADH, SteppedClock, SystemClock, micros
from gateway.errors import Conflict
from gateway.ledger.books import Books
from gateway.ledger.port import MessageFilter
from gateway.pipeline.day import new_day
from gateway.states import Outcome, State
from gateway.values import replace
from tests.flows.border import arrives, day, issue, visa
from tests.flows.office import CENTER, PILGRIM_SERVICES, World, told

T = TypeVar("T")


class _CutOff(Exception):
    """The process died here."""


class _Dying:
    """The ledger, until a number of transactions is made: the next one does not happen."""

    def __init__(self, ledger: Any, transactions: int) -> None:
        self._ledger = ledger
        self.left = transactions

    async def work(self, work: Callable[[Books], T]) -> T:
        if self.left == 0:
            raise _CutOff
        self.left -= 1
        result: T = await self._ledger.work(work)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def test_a_days_work_is_done_once(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    assert (await day(world, "2026-12-21")).counts["overstay_notices"] == 1
    again = await new_day(world.engine)
    assert (str(again.today), again.counts) == ("2026-12-21", {})
    record = await world.engine.ledger.record("business_day", "current")
    assert record is not None
    assert record.facts == {"day": "2026-12-21"}


async def test_a_date_before_the_one_whose_work_is_done_asks_for_nothing(world: World) -> None:
    await day(world, "2026-12-21")
    world.clock.pass_by(days=-3)
    assert (await new_day(world.engine)).counts == {}
    record = await world.engine.ledger.record("business_day", "current")
    assert record is not None
    assert record.facts == {"day": "2026-12-21"}


@pytest.mark.parametrize("transactions", range(16))
async def test_a_day_cut_short_anywhere_is_done_whole_and_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, transactions: int
) -> None:
    monkeypatch.setattr("gateway.pipeline.day._PAGE", 2)
    await issue(world, 5)
    numbers = [str(number) for number in range(6000000001, 6000000006)]
    for number in numbers:
        await arrives(world, "2026-12-01", number=number)
    world.clock.pass_by(days=80)
    ledger = world.engine.ledger
    dying = _Dying(ledger, transactions)
    # Nine pages of notices, four other works of the day, and the record that it is done.
    with nullcontext() if transactions >= 14 else pytest.raises(_CutOff):
        await new_day(replace(world.engine, ledger=dying))  # type: ignore[arg-type]
    assert (await ledger.record("business_day", "current") is None) is (transactions < 14)
    await new_day(world.engine)
    rows = await ledger.messages(MessageFilter(kind="overstay.notice"), after_id="", limit=100)
    assert len(rows) == 15
    notices = await told(world, PILGRIM_SERVICES, "overstay.notice")
    assert sorted((event["visa_number"], event["level"]) for event in notices) == [
        (number, level) for number in numbers for level in (1, 2, 3)
    ]
    assert [(await visa(world, number)).notices for number in numbers] == [3] * 5


async def test_two_at_work_on_one_day_do_it_once(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    world.clock.pass_by(days=29)
    await asyncio.gather(*(new_day(world.engine) for _ in range(4)))
    assert len(await told(world, CENTER, "overstay.notice")) == 1


async def test_what_waits_for_a_request_window_goes_on_when_it_opens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = await world.submit(1)
    record = await world.engine.ledger.record("controls", "current")
    assert record is not None
    facts = {**record.facts, "request_windows": [{"opens": "2026-11-23", "closes": "2027-01-31"}]}
    await world.engine.ledger.work(
        lambda books: books.put("controls", "current", facts, version="9", message_id="m")
    )
    await day(world, "2026-11-22")
    await world.carry_until_rest()
    row = await world.only(receipt)
    assert (row.state, row.code) == (State.HELD, "window_closed")
    # The date changes and no time passes: nothing is looked at again by itself.
    monkeypatch.setattr(world.clock, "today", lambda: date(2026, 11, 23))
    assert await world.carry_due() == 0
    await new_day(world.engine)
    await world.carry_due()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


# --- clocks -------------------------------------------------------------------------------------------


def test_a_stepped_clock_goes_from_date_to_date_and_never_back() -> None:
    clock = SteppedClock(date(2026, 7, 1))
    assert clock.today() == date(2026, 7, 1)
    clock.step_to(date(2026, 7, 1))
    clock.step_to(date(2027, 2, 3))
    with pytest.raises(Conflict, match="date_goes_back"):
        clock.step_to(date(2027, 2, 2))
    assert clock.today() == date(2027, 2, 3)


def test_the_system_time_of_a_stepped_clock_is_real() -> None:
    clock = SteppedClock(date(2031, 7, 1))
    assert abs((clock.now() - SystemClock().now()).total_seconds()) < 5
    assert clock.business_now().astimezone(RIYADH).date() == date(2031, 7, 1)
    assert clock.business_now().tzinfo is not None


def test_without_a_set_date_the_business_instant_is_now() -> None:
    clock = SystemClock()
    before = micros(clock.now())
    assert before <= micros(clock.business_now()) <= micros(clock.now())
