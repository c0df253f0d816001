"""Several processes of one group at one SQLite file: whose turn it is, what each takes over from the dead."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from cli.serve import _check_embedded
from gateway.clock import micros
from gateway.errors import LeaseLost, Misconfigured, Unavailable
from gateway.ledger.journal import Entry, Head, link
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.sqlite import connection, sharing
from gateway.ledger.sqlite.connection import ProcessLock, has_wal_fault, open_writer
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.ledger.sqlite.sharing import Membership
from gateway.ledger.sqlite.writer import _ROUNDS, GroupCommitWriter
from gateway.settings import load
from gateway.states import State
from gateway.web.seat import Role
from tests.doubles import ManualClock
from tests.ledger.records import accepted_batch, claim, intend, line, now, opening, rejected
from tests.processes import ROOT


@asynccontextmanager
async def members(folder: Path, clock: ManualClock, count: int) -> AsyncIterator[list[SqliteLedger]]:
    """Ledgers as that many processes of a group would open them."""
    ledgers = [SqliteLedger(folder / "ledger.db", clock, shared=True) for _ in range(count)]
    for ledger in ledgers:
        await ledger.open()
    try:
        yield ledgers
    finally:
        for ledger in ledgers:
            await ledger.close()


# --- one writes at a time ---------------------------------------------------------------------------------


async def test_no_two_processes_write_or_checkpoint_at_the_same_time(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before BEGIN until COMMIT, which checkpoints, has returned."""
    begin, commit = GroupCommitWriter._run_together, GroupCommitWriter._commit
    writing: set[GroupCommitWriter] = set()
    together: list[int] = []

    def begun(self: GroupCommitWriter, units: object) -> None:
        writing.add(self)
        together.append(len(writing))
        begin(self, units)  # type: ignore[arg-type]

    def committed(self: GroupCommitWriter) -> None:
        commit(self)
        writing.discard(self)

    monkeypatch.setattr(GroupCommitWriter, "_run_together", begun)
    monkeypatch.setattr(GroupCommitWriter, "_commit", committed)
    async with members(tmp_path, clock, 3) as ledgers:

        async def keep_noting(ledger: SqliteLedger) -> None:
            for n in range(40):
                await ledger.note(Entry(now(clock), f"n{n}", "test"))
                await ledger.work(lambda books: books.record("licensee", "L"))

        await asyncio.gather(*(keep_noting(ledger) for ledger in ledgers for _ in range(2)))
    assert len(together) > 100
    assert set(together) == {1}


#: A process that takes its turn, writes, says so, and then stands there until it is ended.
_IN_A_TRANSACTION: Final = """
import asyncio, sys
from pathlib import Path
from gateway.ledger.journal import Entry
from gateway.ledger.sql.auditing import note
from gateway.ledger.sqlite.ledger import SqliteLedger
from tests.doubles import ManualClock

def stand(tx):
    note(tx, Entry(tx.now, "half", "test"), ())
    tx.run("INSERT INTO record (kind, id, owner, version, facts, at, in_force)"
           " VALUES ('licensee', 'L', '', '1', '{}', 1, 1)")
    tx.flush()
    print("writes", flush=True)
    sys.stdin.read()

async def main():
    ledger = SqliteLedger(Path(sys.argv[1]), ManualClock(), shared=True)
    await ledger.open()
    await ledger.note(Entry(1, "whole", "test"))
    await ledger._write(stand)

asyncio.run(main())
"""


@contextmanager
def in_a_transaction(database: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process in the middle of its turn."""
    with subprocess.Popen(
        [sys.executable, "-c", _IN_A_TRANSACTION, str(database)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"writes\n"
            yield process
        finally:
            process.kill()


def somebody_waits(lock: Path) -> bool:
    """For a lock that another has: the kernel lists who waits behind an arrow."""
    inode = f":{lock.stat().st_ino} "
    return any("->" in each and inode in each for each in Path("/proc/locks").read_text().splitlines())


async def until_somebody_waits(lock: Path, instead: Callable[[], bool] = lambda: False) -> None:
    while not somebody_waits(lock) and not instead():
        await asyncio.sleep(0)


async def test_a_process_killed_while_it_writes_leaves_the_turn_and_nothing_else(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with members(tmp_path, clock, 1) as (ledger,):
        with in_a_transaction(tmp_path / "ledger.db") as other:
            quick = asyncio.create_task(ledger.note(Entry(now(clock), "mine", "test")))
            await until_somebody_waits(tmp_path / "ledger.write.lock", quick.done)
            assert not quick.done()
            other.send_signal(signal.SIGKILL)
            await quick
        assert await ledger.work(lambda books: books.record("licensee", "L")) is None
        rows = await ledger.journal(after=0, limit=10)
        assert [(row.chain, row.entry.action) for row in rows] == [("w2", "whole"), ("w1", "mine")]
        async with members(tmp_path, clock, 1) as (successor,):  # goes on with the dead one's chain
            await successor.note(Entry(now(clock), "next", "test"))
        assert {name: head.number for name, head in (await ledger.heads()).items()} == {"w1": 1, "w2": 2}
    connection = open_writer(tmp_path / "ledger.db")
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


async def test_a_process_that_stops_waits_for_its_turn_and_loses_nothing(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with members(tmp_path, clock, 2) as (ledger, watching):
        with in_a_transaction(tmp_path / "ledger.db"):
            asked = [asyncio.ensure_future(ledger.note(Entry(now(clock), "mine", "test"))) for _ in range(3)]
            await asyncio.sleep(0)
            stopping = asyncio.create_task(ledger.close())
            await until_somebody_waits(tmp_path / "ledger.write.lock", stopping.done)
            assert not stopping.done()
        await stopping
        await asyncio.gather(*asked)
        rows = await watching.journal(after=0, limit=10)
        assert [row.entry.action for row in rows] == ["whole", "mine", "mine", "mine"]


class OneTurn:
    """Turns of one process, and whether they are taken and given back in order."""

    def __init__(self) -> None:
        self._held = threading.Lock()
        #: Whether nobody else writes; while it is not set, `take` waits.
        self.free = threading.Event()
        self.free.set()
        self.taken = 0
        self.taken_again = 0

    def try_take(self) -> bool:
        if not self.free.is_set():
            return False
        self._take()
        return True

    def take(self) -> None:
        assert self.free.wait(30)
        self._take()

    def _take(self) -> None:
        self.taken += 1
        self.taken_again += not self._held.acquire(blocking=False)

    def give_back(self) -> None:
        self._held.release()

    @property
    def held(self) -> bool:
        return self._held.locked()


@pytest.fixture
def turns() -> OneTurn:
    return OneTurn()


@pytest.fixture
async def writer(tmp_path: Path, turns: OneTurn) -> AsyncIterator[GroupCommitWriter]:
    writer = GroupCommitWriter(
        lambda: open_writer(tmp_path / "w.db"), lambda: micros(ManualClock().now()), turns=turns
    )
    writer.start()
    await writer.run(lambda tx: tx.run("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    await writer.run(
        lambda tx: tx.run(
            "CREATE TABLE late (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)"  # seen by COMMIT
        )
    )
    yield writer
    turns.free.set()
    await writer.stop()
    assert not turns.held


def insert(n: int, table: str = "t", error: Exception | None = None) -> Callable[[Transaction], None]:
    def work(tx: Transaction) -> None:
        if isinstance(error, LeaseLost):
            raise error
        tx.run(f"INSERT INTO {table} (n) VALUES (?)", (n,))
        if error is not None:
            raise error

    return work


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    "work",
    [
        insert(1),
        insert(1, error=ValueError()),
        insert(1, error=LeaseLost("m")),
        insert(404, "late"),
        insert(2),
    ],
    ids=["committed", "failed", "refused", "commit refused", "violated"],
)
async def test_the_turn_is_given_back_whatever_becomes_of_the_transaction(
    writer: GroupCommitWriter, turns: OneTurn, quick: bool, work: Callable[[Transaction], None]
) -> None:
    await writer.run(insert(2))
    before = turns.taken
    async with asyncio.timeout(30):
        together = await asyncio.gather(
            writer.run(work, quick=quick), writer.run(insert(3), quick=True), return_exceptions=True
        )
        await writer.run(insert(4), quick=quick)
    assert together[1] is None
    assert turns.taken > before + 1
    assert not turns.taken_again
    assert not turns.held


async def test_who_is_committed_is_told_so_while_the_next_group_waits_for_its_turn(
    writer: GroupCommitWriter, turns: OneTurn
) -> None:
    following: list[asyncio.Future[None]] = []
    loop = asyncio.get_running_loop()

    def first(tx: Transaction) -> None:
        turns.free.clear()  # another process will come before the next group of ours
        asked = threading.Event()

        def ask() -> None:
            following.append(asyncio.ensure_future(writer.run(insert(2))))
            loop.call_soon(asked.set)

        loop.call_soon_threadsafe(ask)
        assert asked.wait(30)

    async with asyncio.timeout(30):
        await writer.run(first)
        assert not following[0].done()
        turns.free.set()
        await following[0]


async def test_who_closes_while_another_writes_keeps_its_loop_running(
    writer: GroupCommitWriter, turns: OneTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_back = turns.give_back

    def to_another() -> None:
        turns.free.clear()
        give_back()

    monkeypatch.setattr(turns, "give_back", to_another)
    stopping = asyncio.create_task(writer.stop())
    async with asyncio.timeout(30):
        while writer._thread.is_alive():
            await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not stopping.done()
        monkeypatch.undo()
        turns.free.set()
        await stopping


@pytest.mark.parametrize("turn_comes", ["before the loop is closed", "after it"])
async def test_a_loop_that_is_closed_while_its_turn_is_on_the_way_keeps_it_from_nobody(
    writer: GroupCommitWriter, turns: OneTurn, turn_comes: str
) -> None:
    """The thread has taken the turn for a loop that does not run any more, or is about to."""
    turns.free.clear()

    def ask_and_leave() -> None:
        loop = asyncio.new_event_loop()
        asked = writer.run(insert(1), quick=True)

        def ask() -> None:
            asked.send(None)
            asked.close()
            leave(_ROUNDS)

        def leave(rounds: int) -> None:
            """Once the writer's own call, which stands before it, has been made."""
            if rounds == 0:
                loop.stop()
            else:
                loop.call_soon(leave, rounds - 1)

        loop.call_soon(ask)
        loop.run_forever()
        if turn_comes == "before the loop is closed":
            turns.free.set()
            while not turns.held:  # taken for this loop, which runs no more
                pass
        loop.close()
        turns.free.set()

    before = turns.taken
    await asyncio.to_thread(ask_and_leave)
    async with asyncio.timeout(30):
        if turn_comes == "after it":
            while turns.taken == before or turns.held:  # nobody here wants it: it is the others'
                await asyncio.sleep(0)
        await asyncio.gather(*(writer.run(insert(n), quick=True) for n in range(2, 9)))
    async with asyncio.timeout(30):
        kept = await writer.run(lambda tx: [row["n"] for row in tx.all("SELECT n FROM t ORDER BY n")])
    assert kept == [*range(1, 9)]


# --- who comes and goes -----------------------------------------------------------------------------------


async def test_what_living_processes_hold_is_left_alone_and_what_only_dead_ones_held_is_cleared_up(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with members(tmp_path, clock, 2) as (first, second):
        await accepted_batch(first, clock, 2)
        before, after = await claim(first, clock)
        await intend(first, after, clock)
        half = opening(clock, "half")
        await first.begin_batch(half)
        added = [line(half, 1, clock)]
        await first.add_lines(half.batch_id, half.intake_token, added, rejected, intake_until=now(clock, s=9))
        await first.stand("leader", "first", now=now(clock), until=now(clock, s=10))
        await first.close()
        # It may have died. Somebody lives, so nobody who comes may think that all are dead.
        async with members(tmp_path, clock, 1) as (third,):
            assert await _states(third, before.id, after.id) == [State.CARRIED, State.CARRIED]
            assert await third.batch(half.batch_id) is not None
            assert await third.stand("leader", "third", now=now(clock), until=now(clock, s=10)) == "first"
        assert await _states(second, before.id, after.id) == [State.CARRIED, State.CARRIED]
    async with members(tmp_path, clock, 2) as (fourth, _):
        assert await _states(fourth, before.id, after.id) == [State.READY, State.UNCERTAIN]
        assert await fourth.batch(half.batch_id) is None
        assert await fourth.stand("leader", "fourth", now=now(clock), until=now(clock, s=10)) == "fourth"


async def _states(ledger: SqliteLedger, *ids: str) -> list[State]:
    rows = [await ledger.message(id) for id in ids]  # type: ignore[arg-type]
    return [row.state for row in rows if row is not None]


async def test_nobody_begins_before_what_dead_processes_left_is_cleared_up(tmp_path: Path) -> None:
    first, second = Membership(tmp_path / "ledger.db"), Membership(tmp_path / "ledger.db")
    assert (first.first, second.first) == (True, False)
    settling = asyncio.create_task(asyncio.to_thread(second.settle_in))
    await until_somebody_waits(tmp_path / "ledger.living.lock", settling.done)
    assert not settling.done()
    first.settle_in()
    await settling
    third = Membership(tmp_path / "ledger.db")
    assert not third.first
    for member in (first, second, third):
        member.close()
    again = Membership(tmp_path / "ledger.db")
    assert again.first
    again.close()


def test_a_chain_is_one_living_process_s_and_the_next_one_s_after_it(tmp_path: Path) -> None:
    one, two, three = (Membership(tmp_path / "ledger.db") for _ in range(3))
    assert (one.chain_of_its_own(), two.chain_of_its_own()) == ("w1", "w2")
    one.close()
    assert three.chain_of_its_own() == "w1"
    for member in (two, three):
        member.close()


async def test_a_file_may_be_one_process_s_and_a_group_s_by_turns(tmp_path: Path, clock: ManualClock) -> None:
    async def alone() -> None:
        ledger = SqliteLedger(tmp_path / "ledger.db", clock)
        await ledger.open()
        await ledger.note(Entry(now(clock), "alone", "test"))
        await ledger.close()

    await alone()
    async with members(tmp_path, clock, 2) as ledgers:
        for ledger in ledgers:
            await ledger.note(Entry(now(clock), "together", "test"))
    await alone()
    async with members(tmp_path, clock, 1) as (ledger,):
        heads = await ledger.heads()
        rows = await ledger.journal(after=0, limit=10)
    assert {name: head.number for name, head in heads.items()} == {"main": 2, "w1": 1, "w2": 1}
    for chain, head in heads.items():
        theirs = [row for row in rows if row.chain == chain]
        assert [one.hash for one in link(chain, Head(), [row.entry for row in theirs])][-1] == head.hash


def test_there_are_no_more_processes_than_chains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_CHAINS", 1)
    one, two = Membership(tmp_path / "ledger.db"), Membership(tmp_path / "ledger.db")
    one.chain_of_its_own()
    with pytest.raises(Misconfigured, match="more than 1 processes"):
        two.chain_of_its_own()
    for member in (one, two):
        member.close()


async def test_nobody_else_is_admitted_while_any_process_of_a_group_lives(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Also when only one is left, whose supervisor is dead: it inherited the lock."""
    supervisor = ProcessLock(tmp_path / "ledger.lock")
    supervisor.take()
    assert supervisor.descriptor is not None
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=[supervisor.descriptor],
    ) as orphan:
        supervisor.release()
        with pytest.raises(Misconfigured, match="another gateway process"):
            await SqliteLedger(tmp_path / "ledger.db", clock).open()
    assert orphan.returncode == 0
    alone = SqliteLedger(tmp_path / "ledger.db", clock)
    await alone.open()
    await alone.close()


@pytest.mark.parametrize(
    ("version", "sound"),
    [("3.40.1", False), ("3.51.2", False), ("3.51.3", True), ("3.53.4", True), ("4.0.0", True)],
)
def test_a_sqlite_that_may_corrupt_a_shared_file_may_not_share_one(
    version: str, sound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SQLITE_VERSION", version)
    assert has_wal_fault() is not sound


def test_several_processes_with_such_a_sqlite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None, {})
    _check_embedded(settings, 2, Role.ALL)
    monkeypatch.setattr(connection, "SQLITE_VERSION", "3.51.2")
    _check_embedded(settings, 1, Role.ALL)
    with pytest.raises(Misconfigured, match="too old for several processes"):
        _check_embedded(settings, 2, Role.ALL)


async def test_a_ledger_that_is_closed_says_so(tmp_path: Path, clock: ManualClock) -> None:
    async with members(tmp_path, clock, 2) as (here, there):
        await here.close()
        with pytest.raises(Unavailable, match="ledger_closed"):
            await here.note(Entry(now(clock), "late", "test"))
        await there.note(Entry(now(clock), "in time", "test"))
