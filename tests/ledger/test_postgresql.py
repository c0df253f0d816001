"""What only a server can get wrong under many processes: locks, cut connections, its death, its clock."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from gateway.errors import Unavailable
from gateway.ledger.journal import Entry
from gateway.ledger.partners import WAITS_FOR
from gateway.ledger.postgresql.connection import LOCK_CLASS, OUTBOX, Connection
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.message import Micros, new_id
from gateway.policies.breaker import Circuit, CircuitState
from gateway.states import Outcome, State
from tests.doubles import ManualClock
from tests.ledger.records import accepted_batch, claim, move, now
from tests.postgresql import Server


@asynccontextmanager
async def processes(
    server: Server, clock: ManualClock, count: int = 2
) -> AsyncIterator[list[PostgresLedger]]:
    """Ledgers as that many processes would open them."""
    url = server.emptied()
    opened = [PostgresLedger(url, clock, by_database_time=False) for _ in range(count)]
    for ledger in opened:
        await ledger.open()
    try:
        yield opened
    finally:
        for ledger in opened:
            await ledger.close()


async def _noted(ledgers: list[PostgresLedger], clock: ManualClock, done: asyncio.Event) -> dict[str, bool]:
    """Entries noted by all ledgers until `done`, each with whether it was acknowledged."""
    noted: dict[str, bool] = {}

    async def keep_noting(ledger: PostgresLedger) -> None:
        while not done.is_set():
            name = new_id()
            try:
                await ledger.note(Entry(now(clock), name, "test"))
            except Unavailable:
                noted[name] = False
            else:
                noted[name] = True

    await asyncio.gather(*(keep_noting(ledger) for ledger in ledgers for _ in range(4)))
    return noted


async def _check(ledgers: list[PostgresLedger], noted: dict[str, bool]) -> None:
    kept: Counter[str] = Counter()
    after = 0
    while rows := await ledgers[0].journal(after=after, limit=10_000):
        kept.update(row.entry.action for row in rows)
        after = rows[-1].seq
    acknowledged = {name for name, done in noted.items() if done}
    assert acknowledged
    assert {name: kept[name] for name in acknowledged} == dict.fromkeys(acknowledged, 1)
    assert not [name for name, done in noted.items() if not done and kept[name]]


async def test_a_connection_that_is_cut_at_any_moment_leaves_nothing_in_doubt(
    postgresql_server: Server, clock: ManualClock
) -> None:
    """Also between a COMMIT and its answer: what was acknowledged is there once, what was not is not."""
    async with processes(postgresql_server, clock, 2) as ledgers:
        done = asyncio.Event()
        noting = asyncio.create_task(_noted(ledgers, clock, done))
        url = postgresql_server.url
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as operator:
            for _ in range(40):
                await operator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'umrah-gateway' AND pid <> pg_backend_pid()"
                )
                await operator.execute("SELECT pg_sleep(0.03)")
        done.set()
        await _check(ledgers, await noting)


async def test_a_server_that_dies_and_recovers_loses_nothing_that_was_acknowledged(
    postgresql_server: Server, clock: ManualClock
) -> None:
    async with processes(postgresql_server, clock, 2) as ledgers:
        done = asyncio.Event()
        noting = asyncio.create_task(_noted(ledgers, clock, done))
        for _ in range(3):
            await asyncio.to_thread(postgresql_server.stop, signal.SIGQUIT)
            await asyncio.to_thread(postgresql_server.start)
        done.set()
        await _check(ledgers, await noting)


async def test_leases_are_measured_by_the_database_whatever_a_process_thinks_the_time_is(
    postgresql_server: Server,
) -> None:
    slow, fast = ManualClock(), ManualClock()
    fast.pass_by(seconds=7200)
    url = postgresql_server.emptied()
    ledgers = [PostgresLedger(url, slow), PostgresLedger(url, fast)]
    for ledger in ledgers:
        await ledger.open()
    try:
        await accepted_batch(ledgers[0], slow, 1)
        (held,) = await claim(ledgers[0], slow, 1, lease_s=60)
        swept = await ledgers[1].sweep(now=now(fast), release=10)
        assert swept.leases_ended == 0
        assert await claim(ledgers[1], fast) == []
        await ledgers[0].apply(move(held, State.COMPLETED, slow, outcome=Outcome.ISSUED))
    finally:
        for ledger in ledgers:
            await ledger.close()


@pytest.mark.parametrize("days", [0, 1_000], ids=["behind", "ahead"])
async def test_a_circuit_is_open_for_as_long_as_it_says_whatever_a_process_thinks_the_time_is(
    postgresql_server: Server, days: int
) -> None:
    clock = ManualClock()
    clock.pass_by(seconds=days * 86_400)
    ledger = PostgresLedger(postgresql_server.emptied(), clock)

    def trip(_: Circuit, at: Micros) -> Circuit:
        return Circuit(CircuitState.OPEN, since=at, until=Micros(at + 5_000_000))

    await ledger.open()
    try:
        await ledger.register_partners(["nic"])
        await accepted_batch(ledger, clock, 1)
        (held,) = await claim(ledger, clock, 1)
        told, _ = await ledger.change_circuit("nic", trip)
        later = Micros(now(clock) + 600_000_000)
        await ledger.apply(
            move(held, State.HELD, clock, next_at=later, waits_for=f"{WAITS_FOR}nic", code="partner_busy")
        )
        (read,) = await ledger.partners(now=now(clock))
        for state in (told, read):
            assert abs(state.circuit.until - now(clock)) < 60_000_000
        assert read.awaited
        assert await ledger.wake_put_off("nic", 10, now=now(clock)) == 1
        assert (await ledger.sweep(now=now(clock), release=10)).due
    finally:
        await ledger.close()


async def test_a_server_that_is_not_there_is_told_at_the_start(clock: ManualClock) -> None:
    ledger = PostgresLedger("postgresql+psycopg://nobody@127.0.0.1:9/none", clock)
    with pytest.raises(Exception, match="does not answer"):
        await ledger.open()


async def waits_for_a_lock(operator: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    """Return when some transaction of a gateway waits for another's lock."""
    while True:
        found = await operator.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND application_name = 'umrah-gateway'"
        )
        if await found.fetchone():
            return


async def _until_it_waits_or_ends(
    task: asyncio.Task[object], operator: psycopg.AsyncConnection[tuple[object, ...]]
) -> None:
    waiting = asyncio.create_task(waits_for_a_lock(operator))
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def test_entries_of_the_outbox_get_their_numbers_one_transaction_after_the_other(
    postgresql_server: Server, clock: ManualClock
) -> None:
    async with processes(postgresql_server, clock, 1) as (ledger,):
        await accepted_batch(ledger, clock, 1)
        (message,) = await claim(ledger, clock)
        url = postgresql_server.url
        async with (
            await psycopg.AsyncConnection.connect(url) as other,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as operator,
        ):
            await other.execute(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {OUTBOX})")
            settled: asyncio.Task[object] = asyncio.create_task(
                ledger.apply(move(message, State.COMPLETED, clock, outcome=Outcome.ISSUED))
            )
            await _until_it_waits_or_ends(settled, operator)
            assert not settled.done()
            await other.commit()
            await settled


async def test_who_settles_a_line_waits_for_who_settles_another_before_counting(
    postgresql_server: Server, clock: ManualClock
) -> None:
    async with processes(postgresql_server, clock, 1) as (ledger,):
        batch = await accepted_batch(ledger, clock, 2)
        (message, _) = await claim(ledger, clock)
        url = postgresql_server.url
        async with (
            await psycopg.AsyncConnection.connect(url) as other,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as operator,
        ):
            await other.execute("SELECT 1 FROM batch FOR UPDATE")
            await other.execute(
                "INSERT INTO batch_count (batch_id, public_state, n) VALUES (%s, 'refused', 1)",
                (batch.batch_id,),
            )
            settled: asyncio.Task[object] = asyncio.create_task(
                ledger.apply(move(message, State.COMPLETED, clock, outcome=Outcome.ISSUED))
            )
            await _until_it_waits_or_ends(settled, operator)
            await other.commit()
            await settled
        row = await ledger.batch(batch.batch_id)
        assert row is not None
        assert row.state == "completed"


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_whose_answer_is_lost_is_resolved_by_asking(
    postgresql_server: Server, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    """The COMMIT is carried out, or not; either way the connection breaks and nobody says which."""
    async with processes(postgresql_server, clock, 1) as (ledger,):
        execute, losses = Connection.execute, iter([True])

        def losing(self: Connection, sql: str, values: object = ()) -> object:
            if sql == "COMMIT" and next(losses, False):
                if arrives:
                    execute(self, sql)
                self.close()
                raise psycopg.OperationalError("the connection broke")
            return execute(self, sql, values)  # type: ignore[arg-type]

        monkeypatch.setattr(Connection, "execute", losing)
        await ledger.note(Entry(now(clock), "noted", "test"))
        rows = await ledger.journal(after=0, limit=10)
        assert [(row.number, row.entry.action) for row in rows] == [(1, "noted")]
