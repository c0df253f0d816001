"""What is particular to the embedded ledger: one process, group commit, crashes of the whole process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import micros
from gateway.errors import Misconfigured, Unavailable
from gateway.ledger.sql.operating import use_token
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.sqlite.connection import migrate, open_writer
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.ledger.sqlite.writer import GroupCommitWriter
from gateway.message import Micros
from gateway.states import State
from tests.doubles import ManualClock
from tests.ledger.records import PARTY, REFERENCE, accepted_batch, claim, intend, line, now, opening, rejected


async def test_a_second_process_is_not_admitted(tmp_path: Path, clock: ManualClock) -> None:
    first = SqliteLedger(tmp_path / "ledger.db", clock)
    await first.open()
    with pytest.raises(Misconfigured, match="another gateway process"):
        await SqliteLedger(tmp_path / "ledger.db", clock).open()
    await first.close()


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    connection = open_writer(tmp_path / "ledger.db")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(Misconfigured, match="newer"):
        await SqliteLedger(tmp_path / "ledger.db", clock).open()


async def test_opening_after_a_crash_ends_all_leases_at_once_and_discards_half_received_batches(
    tmp_path: Path, clock: ManualClock
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    await ledger.put_reference(REFERENCE)
    await accepted_batch(ledger, clock, 2)
    before, after = await claim(ledger, clock)
    await intend(ledger, after, clock)
    half = opening(clock, "half")
    await ledger.begin_batch(half)
    await ledger.add_lines(
        half.batch_id, half.intake_token, [line(half, 1, clock)], rejected, intake_until=now(clock, s=60)
    )
    await ledger.close()  # leases and the intake stay in the file, as a crash would leave them

    again = SqliteLedger(tmp_path / "ledger.db", clock)
    await again.open()
    states = {}
    for message in (before, after):
        row = await again.message(message.id)
        assert row is not None
        states[message.id] = row.state
    assert states == {before.id: State.READY, after.id: State.UNCERTAIN}
    assert await again.batch(half.batch_id) is None
    await again.close()


@pytest.fixture
def counting(tmp_path: Path) -> GroupCommitWriter:
    writer = GroupCommitWriter(lambda: open_writer(tmp_path / "w.db"), lambda: micros(ManualClock().now()))
    writer.start()
    return writer


async def test_a_failing_unit_takes_nothing_with_it(counting: GroupCommitWriter) -> None:
    await counting.run(lambda tx: tx.run("CREATE TABLE t (n INTEGER PRIMARY KEY)"))

    def insert(n: int, fail: bool) -> object:
        def work(tx: Transaction) -> None:
            tx.run("INSERT INTO t (n) VALUES (?)", (n,))
            if fail:
                raise ValueError("mine alone")

        return work

    ends = await asyncio.gather(
        *(counting.run(insert(n, n % 7 == 3)) for n in range(50)),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    failed = [n for n, end in enumerate(ends) if isinstance(end, ValueError)]
    assert failed == [n for n in range(50) if n % 7 == 3]
    kept = await counting.run(lambda tx: [row["n"] for row in tx.all("SELECT n FROM t ORDER BY n")])
    assert kept == [n for n in range(50) if n % 7 != 3]
    await counting.stop()


async def test_a_database_fault_is_told_as_unavailable(counting: GroupCommitWriter) -> None:
    with pytest.raises(Unavailable, match="ledger_unavailable"):
        await counting.run(lambda tx: tx.run("INSERT INTO nowhere VALUES (1)"))
    await counting.stop()
    with pytest.raises(Unavailable, match="ledger_closed"):
        await counting.run(lambda tx: None)


async def test_only_what_somebody_is_told_of_pays_for_a_flush_and_it_covers_what_came_before(
    counting: GroupCommitWriter,
) -> None:
    """`PRAGMA synchronous`: 2 is FULL, which flushes the whole log with the commit; 1 is NORMAL."""

    def flushes(tx: Transaction) -> int:
        row = tx.one("PRAGMA synchronous")
        assert row is not None
        return int(row[0])

    modes = [await counting.run(flushes, durable=durable) for durable in (True, False, False, True)]
    assert modes == [2, 1, 1, 2]
    await counting.stop()


async def test_the_commits_behind_answers_and_intents_flush(tmp_path: Path, clock: ManualClock) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    await ledger.put_reference(REFERENCE)
    flushed: list[tuple[str, bool]] = []
    run = ledger._writer.run

    async def recorded(work: object, *, durable: bool = True, quick: bool = False) -> object:
        asked: Any = getattr(work, "do", work)  # what is done for many together stands behind it
        flushed.append((asked.__qualname__.split(".")[1], durable))
        return await run(work, durable=durable, quick=quick)  # type: ignore[arg-type]

    ledger._writer.run = recorded  # type: ignore[method-assign,assignment]
    await ledger.use_token(PARTY, "jti", "", expires_at=now(clock, s=60), now=now(clock))
    await accepted_batch(ledger, clock, 1)
    (message,) = await claim(ledger, clock)
    await intend(ledger, message, clock)
    await ledger.close()
    assert dict(flushed) == {
        "use_token": False,
        "begin_batch": False,
        "add_lines": False,
        "accept_batch": True,
        "sweep": False,
        "claim": False,
        "_apply_all": True,
    }


def test_the_use_of_a_token_looks_at_no_other_that_lives(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "ledger.db")
    migrate(connection)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def use(jti: str) -> int:
        nonlocal steps
        steps = 0
        assert use_token(Transaction(connection, Micros(1)), PARTY, jti, "", Micros(10), Micros(1))
        return steps

    connection.set_progress_handler(count, 1)
    alone = use("first")
    for number in range(1_000):
        use(str(number))
    assert use("last") <= 2 * alone
    connection.close()
