"""What a server may answer at the worst moment: nothing is told by guess, and nobody's batch is removed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from gateway.ledger.journal import Entry
from gateway.ledger.port import AlreadyAccepted, BeingReceived
from gateway.ledger.postgresql import connection, writer
from gateway.ledger.postgresql.connection import Connection
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sql.transaction import Transaction
from gateway.message import Disclosure
from tests.doubles import ManualClock
from tests.ledger.records import (
    accept,
    accepted_batch,
    claim,
    intent_move,
    line,
    now,
    opening,
    rejected,
)
from tests.ledger.test_postgresql import processes, waits_for_a_lock
from tests.postgresql import Server

Execute = Callable[..., Any]
_RESOLVES = "RETURNING key"


@pytest.fixture
def executing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Puts `instead(execute, connection, sql, values)` in the place of a connection's `execute`."""

    def use(instead: Callable[..., Any]) -> None:
        execute = Connection.execute

        def executed(self: Connection, sql: str, values: Any = ()) -> Any:
            return instead(execute, self, sql, values)

        monkeypatch.setattr(Connection, "execute", executed)

    return use


Executing = Callable[[Callable[..., Any]], None]


# --- a batch that is being received -------------------------------------------------------------------------


class _Held:
    """Keeps one process's next COMMIT waiting."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self._writer = ledger._postgres
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self, execute: Execute, on: Connection, sql: str, values: Any) -> Any:
        if sql == "COMMIT" and on is self._writer._connection and not self.reached.is_set():
            self.reached.set()
            self.go.wait(20)
        return execute(on, sql, values)


async def _retried_at_its_commit(
    ledgers: Sequence[PostgresLedger], server: Server, clock: ManualClock, executing: Executing,
    work: Callable[[], Coroutine[Any, Any, object]],
) -> object:  # fmt: skip
    """What the sender's retry is told by another process while the first one commits its `work`."""
    owner, other = ledgers
    held = _Held(owner)
    executing(held)
    working = asyncio.create_task(work())
    await asyncio.to_thread(held.reached.wait, 20)
    retry = asyncio.create_task(other.begin_batch(opening(clock, "key")))
    # Until the retry waits for the process that is held, or has gone past it.
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as operator:
        waits = asyncio.create_task(waits_for_a_lock(operator))
        await asyncio.wait({waits, retry}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    held.go.set()
    await working
    return await retry


async def test_a_batch_that_is_just_being_accepted_is_not_removed_by_its_senders_retry(
    postgresql_server: Server, clock: ManualClock, executing: Executing
) -> None:
    async with processes(postgresql_server, clock, 2) as ledgers:
        owner, batch = ledgers[0], opening(clock, "key")
        await owner.begin_batch(batch)
        lines = [line(batch, number, clock, person_key=b"%d" % number) for number in (1, 2, 3)]
        until = now(clock, s=60)
        await owner.add_lines(batch.batch_id, batch.intake_token, lines, rejected, intake_until=until)
        clock.pass_by(seconds=61)  # the sender stood still for longer than the lease
        told = await _retried_at_its_commit(
            ledgers, postgresql_server, clock, executing, lambda: accept(owner, batch, clock, 3)
        )
        assert isinstance(told, AlreadyAccepted)
        assert await owner.batch(batch.batch_id) is not None
        assert all([await owner.message(one.id) for one in lines])


async def test_lines_that_are_just_being_added_do_not_outlive_their_batch(
    postgresql_server: Server, clock: ManualClock, executing: Executing
) -> None:
    async with processes(postgresql_server, clock, 2) as ledgers:
        owner, batch = ledgers[0], opening(clock, "key")
        await owner.begin_batch(batch)
        clock.pass_by(seconds=61)
        lines, until = [line(batch, 1, clock, person_key=b"1")], now(clock, s=60)

        def adding() -> Coroutine[Any, Any, object]:
            return owner.add_lines(batch.batch_id, batch.intake_token, lines, rejected, intake_until=until)

        told = await _retried_at_its_commit(ledgers, postgresql_server, clock, executing, adding)
        assert isinstance(told, BeingReceived)
        assert await owner.batch(batch.batch_id) is not None


# --- a COMMIT whose answer is lost --------------------------------------------------------------------------


class _Losing:
    """The next COMMIT is carried out, and its answer lost; who is asked first can't write yet."""

    def __init__(self, *, standby: bool = False) -> None:
        self.armed = True
        self._standby = standby

    def __call__(self, execute: Execute, on: Connection, sql: str, values: Any) -> Any:
        if sql == "COMMIT" and self.armed:
            self.armed = False
            execute(on, sql)
            on.close()
            raise psycopg.OperationalError("the connection broke")
        if sql.endswith(_RESOLVES) and self._standby:
            self._standby = False
            with _read_only(execute, on):
                return execute(on, sql, values)
        return execute(on, sql, values)


@contextmanager
def _read_only(execute: Execute, on: Connection) -> Iterator[None]:
    """As a standby is before it takes over."""
    execute(on, "SET default_transaction_read_only = on")
    try:
        yield
    finally:
        execute(on, "SET default_transaction_read_only = off")


async def _noted(ledger: PostgresLedger) -> list[str]:
    return [row.entry.action for row in await ledger.journal(after=0, limit=100)]


async def test_a_server_that_can_not_write_yet_has_not_said_what_became_of_a_commit(
    postgresql_server: Server, clock: ManualClock, executing: Executing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_RECONNECT_S", 0.01)
    async with processes(postgresql_server, clock, 1) as (ledger,):
        executing(_Losing(standby=True))
        await asyncio.gather(*(ledger.note(Entry(now(clock), name, "test")) for name in ("a", "b")))
        assert sorted(await _noted(ledger)) == ["a", "b"]


async def test_a_lost_commit_is_found_where_the_server_did_not_know_the_writer(
    postgresql_server: Server, clock: ManualClock, executing: Executing
) -> None:
    """Such as one that took over without the writer's own row."""
    async with processes(postgresql_server, clock, 1) as (ledger,):
        with psycopg.connect(postgresql_server.url, autocommit=True) as operator:
            operator.execute("DELETE FROM last_commit")
        executing(_Losing())
        await ledger.note(Entry(now(clock), "a", "test"))
        assert await _noted(ledger) == ["a"]


# --- transactions that the server ends ----------------------------------------------------------------------


async def test_a_transaction_that_was_frozen_before_its_commit_runs_again(
    postgresql_server: Server, clock: ManualClock, executing: Executing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_IDLE_IN_TRANSACTION_MS", 100)
    monkeypatch.setattr(writer, "_RECONNECT_S", 0.01)
    async with processes(postgresql_server, clock, 1) as (ledger,):
        await accepted_batch(ledger, clock, 1)
        (message,) = await claim(ledger, clock)
        frozen = iter([True])

        def freezing(execute: Execute, on: Connection, sql: str, values: Any) -> Any:
            if sql == "COMMIT" and next(frozen, False):
                _until_ended(postgresql_server)
            return execute(on, sql, values)

        executing(freezing)
        await ledger.apply(intent_move(message, clock))


def _until_ended(server: Server) -> None:
    """Until the server has ended every transaction that nothing comes from."""
    ends = time.monotonic() + 20
    with psycopg.connect(server.url, autocommit=True) as operator:
        asked = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
        while operator.execute(asked).fetchone():
            assert time.monotonic() < ends, "the server ended nothing"
            time.sleep(0.01)


async def test_what_was_undone_is_forgotten_though_the_server_had_ended_it_already(
    postgresql_server: Server, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_IDLE_IN_TRANSACTION_MS", 100)
    given = Disclosure("partner", "operation", ("a",), "why", "1")
    async with processes(postgresql_server, clock, 1) as (ledger,):

        def failing(tx: Transaction) -> None:
            tx.journal.scope(tx, given, tx.now)
            _until_ended(postgresql_server)
            raise RuntimeError("a fault of the program")

        with pytest.raises(RuntimeError):
            await ledger._write(failing)
        await ledger.note(Entry(now(clock), "told", "test"), disclosed=[given])
        named = [scope for row in await ledger.journal(after=0, limit=10) for scope in row.scopes]
        assert named
        assert set(named) <= set(await ledger.scopes(named))


_LINE = (
    "INSERT INTO message (id, kind, party, licensee, agent, mission, season, batch_reference, reference,"
    " lane, state, public_state, received_at, updated_at, live_person_key, data_key, sealed_payload,"
    " versions)"
    " VALUES (%s, 'k', 'p', '', '', '', 1, '', '', '', 'accepted', 'in_progress', 0, 0, %s, '', '', '1')"
)


async def test_a_deadlock_and_then_a_person_that_another_process_has_is_a_duplicate_and_no_fault(
    postgresql_server: Server, clock: ManualClock
) -> None:
    async with processes(postgresql_server, clock, 1) as (ledger,):
        batch = opening(clock, "key")
        await ledger.begin_batch(batch)
        lines = [line(batch, number, clock, person_key=key) for number, key in ((1, b"b"), (2, b"a"))]
        async with (
            await psycopg.AsyncConnection.connect(postgresql_server.url) as other,
            await psycopg.AsyncConnection.connect(postgresql_server.url, autocommit=True) as operator,
        ):
            await other.execute("SET deadlock_timeout = '30s'")
            await other.execute(_LINE, ("1", b"a"))
            adding = asyncio.create_task(
                ledger.add_lines(
                    batch.batch_id, batch.intake_token, lines, rejected, intake_until=now(clock, s=60)
                )
            )
            await waits_for_a_lock(operator)
            await other.execute(_LINE, ("2", b"b"))  # the gateway's is undone: each waits for the other
            await waits_for_a_lock(operator)
            await other.commit()
        assert [one.outcome for one in await adding] == ["rejected", "rejected"]


# --- what the writer's connection or thread believes --------------------------------------------------------


async def test_statements_that_the_server_has_forgotten_are_prepared_again(
    postgresql_server: Server, clock: ManualClock
) -> None:
    """`BEGIN` among them, which leaves no transaction to roll back."""
    async with processes(postgresql_server, clock, 1) as (ledger,):
        for _ in range(8):
            await ledger.note(Entry(now(clock), "before", "test"))
        opened = ledger._postgres._connection
        assert opened is not None
        opened._inner.pgconn.exec_(b"DEALLOCATE ALL")  # behind the library's back
        await ledger.note(Entry(now(clock), "after", "test"))
        assert (await _noted(ledger)).count("after") == 1


async def test_a_loop_that_is_gone_keeps_nobody_elses_answer(
    postgresql_server: Server, clock: ManualClock
) -> None:
    async with processes(postgresql_server, clock, 1) as (ledger,):
        gone = asyncio.new_event_loop()
        future = gone.create_future()
        gone.close()
        ledger._postgres._queue.put(writer._Unit(lambda _: None, True, gone, future))
        await asyncio.wait_for(ledger.note(Entry(now(clock), "after", "test")), 20)
