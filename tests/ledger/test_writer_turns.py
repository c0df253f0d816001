"""The writer's quick units: run in the loop that asked and committed by the thread, beside all others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import micros
from gateway.errors import LeaseLost, Unavailable
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.sql.unit import Together
from gateway.ledger.sqlite.connection import IntegrityError, open_writer
from gateway.ledger.sqlite.writer import GroupCommitWriter
from tests.doubles import ManualClock

_TABLES = (
    "CREATE TABLE t (n INTEGER PRIMARY KEY)",
    # Checked by COMMIT itself: what is wrong shows only there.
    "CREATE TABLE late (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)",
)


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[GroupCommitWriter]:
    writer = GroupCommitWriter(lambda: open_writer(tmp_path / "w.db"), lambda: micros(ManualClock().now()))
    writer.start()
    for table in _TABLES:
        await writer.run(lambda tx, table=table: tx.run(table))  # type: ignore[misc]
    yield writer
    if not writer._stopping:
        await writer.stop()


def insert(n: int, error: Exception | None = None) -> object:
    def work(tx: Transaction) -> str:
        if isinstance(error, LeaseLost):
            raise error
        tx.run("INSERT INTO t (n) VALUES (?)", (n,))
        if error is not None:
            raise error
        return threading.current_thread().name

    return work


async def kept(writer: GroupCommitWriter) -> list[int]:
    return await writer.run(lambda tx: [row["n"] for row in tx.all("SELECT n FROM t ORDER BY n")])


async def test_quick_units_run_in_the_loop_and_others_in_the_thread(writer: GroupCommitWriter) -> None:
    here = threading.current_thread().name
    assert await writer.run(insert(1), quick=True) == here  # type: ignore[arg-type]
    assert await writer.run(insert(2)) == "ledger-writer"  # type: ignore[arg-type]
    assert await kept(writer) == [1, 2]


async def test_quick_units_and_others_are_committed_in_the_order_they_came(writer: GroupCommitWriter) -> None:
    order: list[int] = []

    def note(n: int) -> object:
        return lambda tx: order.append(n)

    await asyncio.gather(*(writer.run(note(n), quick=n % 5 != 0) for n in range(200)))  # type: ignore[arg-type]
    assert order == list(range(200))


async def test_a_quick_unit_that_fails_takes_nothing_with_it(writer: GroupCommitWriter) -> None:
    errors = {3: ValueError("mine alone"), 5: LeaseLost("five")}
    ends = await asyncio.gather(
        *(writer.run(insert(n, errors.get(n)), quick=True) for n in range(9)),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert {n: end for n, end in enumerate(ends) if isinstance(end, Exception)} == errors
    assert await kept(writer) == [0, 1, 2, 4, 6, 7, 8]


async def test_a_commit_that_fails_is_told_to_the_unit_whose_fault_it_is(writer: GroupCommitWriter) -> None:
    def orphan(tx: Transaction) -> None:
        tx.run("INSERT INTO late (n) VALUES (404)")

    ends = await asyncio.gather(
        writer.run(insert(1), quick=True),  # type: ignore[arg-type]
        writer.run(orphan, quick=True),
        writer.run(insert(2), quick=True),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert isinstance(ends[1], IntegrityError)
    assert await kept(writer) == [1, 2]


async def test_work_for_many_is_done_once_for_those_side_by_side(writer: GroupCommitWriter) -> None:
    asked: list[list[int]] = []

    def double(tx: Transaction, items: Sequence[int]) -> list[int | LeaseLost]:
        asked.append(list(items))
        return [LeaseLost("odd") if item % 2 else 2 * item for item in items]

    works = [Together(double, 1), Together(double, 2), insert(7), Together(double, 4)]
    odd, *others = [asyncio.ensure_future(writer.run(work, quick=True)) for work in works]  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await odd
    assert [await other for other in others if other is not others[1]] == [4, 8]
    assert asked == [[1, 2], [4]]
    assert await kept(writer) == [7]


async def test_work_for_many_that_fails_is_done_for_each_alone(writer: GroupCommitWriter) -> None:
    asked: list[list[int]] = []

    def add(tx: Transaction, items: Sequence[int]) -> list[int]:
        asked.append(list(items))
        tx.run_many("INSERT INTO t (n) VALUES (?)", [(item,) for item in items])
        return list(items)

    ends = await asyncio.gather(
        *(writer.run(Together(add, n), quick=True) for n in (1, 2, 2, 3)), return_exceptions=True
    )
    assert asked[0] == [1, 2, 2, 3]
    assert asked[-4:] == [[1], [2], [2], [3]]
    assert [type(end) for end in ends] == [int, int, IntegrityError, int]
    assert await kept(writer) == [1, 2, 3]


async def test_nobody_is_answered_before_the_commit(writer: GroupCommitWriter) -> None:
    committed: list[int] = []
    commit = writer._commit

    def noted() -> None:
        commit()
        committed.append(1)

    writer._commit = noted  # type: ignore[method-assign]
    await writer.run(insert(1), quick=True)  # type: ignore[arg-type]
    assert committed


async def test_stopping_finishes_what_is_queued_and_takes_nothing_more(
    writer: GroupCommitWriter, tmp_path: Path
) -> None:
    waiting = [asyncio.ensure_future(writer.run(insert(n), quick=n % 2 == 0)) for n in range(20)]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await writer.stop()
    await asyncio.gather(*waiting)
    with pytest.raises(Unavailable, match="ledger_closed"):
        await writer.run(insert(99), quick=True)  # type: ignore[arg-type]
    again = open_writer(tmp_path / "w.db")
    assert again.execute("SELECT count(*) FROM t").fetchone()[0] == 20
    again.close()


async def test_a_loop_that_ends_before_its_turn_keeps_nobody_waiting(writer: GroupCommitWriter) -> None:
    def abandon() -> None:
        loop = asyncio.new_event_loop()

        def ask_and_leave() -> None:
            asked = writer.run(insert(1), quick=True)  # type: ignore[arg-type]
            asked.send(None)
            asked.close()
            loop.stop()

        loop.call_soon(ask_and_leave)
        loop.run_forever()
        loop.close()

    await asyncio.to_thread(abandon)
    await writer.run(insert(2), quick=True)  # type: ignore[arg-type]
    assert await kept(writer) == [1, 2]


async def test_several_loops_share_one_writer(writer: GroupCommitWriter) -> None:
    async def many(first: int) -> None:
        await asyncio.gather(
            *(writer.run(insert(n), quick=n % 3 > 0) for n in range(first, first + 100))  # type: ignore[arg-type]
        )

    threads = [asyncio.to_thread(asyncio.run, many(first)) for first in (1000, 2000, 3000)]
    await asyncio.gather(many(0), *threads)
    assert len(await kept(writer)) == 400


async def test_who_asks_within_a_few_rounds_of_the_loop_shares_the_commit(writer: GroupCommitWriter) -> None:
    transactions: list[Transaction] = []

    async def ask(rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await writer.run(transactions.append, quick=True)

    await asyncio.gather(ask(0), ask(1), ask(2), ask(3))
    assert len(transactions) == 4
    assert all(one is transactions[0] for one in transactions)


async def test_who_asks_alone_waits_for_no_clock(
    writer: GroupCommitWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, timers = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def noted(when: float, *given: Any, **named: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *given, **named)

    monkeypatch.setattr(loop, "call_at", noted)
    await writer.run(insert(1), quick=True)  # type: ignore[arg-type]
    assert timers == []
