"""Two transactions on a server at the same moment: what one of them must wait for, and in which order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import date

import psycopg
import pytest

from gateway.errors import Conflict
from gateway.ledger.books import Books, Quota
from gateway.ledger.journal import Entry
from gateway.ledger.keeping import Hold
from gateway.ledger.port import GateClosed, Move
from gateway.ledger.postgresql.connection import Connection, connect
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.postgresql.many import together
from gateway.ledger.postgresql.migrating import migrate
from gateway.ledger.sql import partners
from gateway.ledger.sql.books import SqlBooks, give_back, go_on
from gateway.ledger.sql.memory import BookMemory
from gateway.ledger.sql.moving import _RELEASE_PERSON
from gateway.ledger.sql.sweeping import sweep
from gateway.ledger.sql.transaction import Transaction
from gateway.message import Micros
from gateway.settings.protection import CallRate
from gateway.states import Outcome, State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import ISSUANCE, accepted_batch, claim, intent_move, move, now
from tests.ledger.test_postgresql import processes
from tests.postgresql import Server

_LONG_S = 20.0


class Stop:
    """Where a transaction stops until it is told to go on."""

    def __init__(self) -> None:
        self._reached, self._go_on = threading.Event(), threading.Event()

    def here(self) -> None:
        if not self._reached.is_set():  # a transaction that is run again has stopped once
            self._reached.set()
            self._go_on.wait(_LONG_S)

    async def is_reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, _LONG_S)

    def over(self) -> None:
        self._go_on.set()


def at_commit(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first transaction to be committed from now on stops before."""
    execute, first = Connection.execute, iter([True])

    def stopping(self: Connection, sql: str, values: object = ()) -> object:
        if sql == "COMMIT" and next(first, False):
            stop.here()
        return execute(self, sql, values)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "execute", stopping)


@asynccontextmanager
async def stopped(stop: Stop, first: asyncio.Future[object]) -> AsyncIterator[None]:
    """What is done in here is done while the first one has stopped; it goes on at the end."""
    await stop.is_reached()
    try:
        yield
    finally:
        stop.over()
        await asyncio.wait([first])


async def waits_or_ends(server: Server, task: asyncio.Future[object]) -> None:
    """Return when a transaction waits for another's lock, or `task` waited for none."""
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as operator:
        while not task.done():
            found = await operator.execute(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND application_name = 'umrah-gateway'"
            )
            if await found.fetchone():
                return
            await asyncio.sleep(0.01)


# --- places that become free ------------------------------------------------------------------------------

PLACE = Quota("capacity", "MSN-1/2026-11-23")


def gated(message_move: Move) -> Move:
    def look(books: Books) -> GateClosed | None:
        full = books.reserve(message_move.message.id, [PLACE])
        return None if full is None else GateClosed("full", waits_for=full.name)

    return replace(message_move, gate=look)


@pytest.mark.parametrize("freed_by", ["an end", "a ceiling"])
async def test_a_place_that_becomes_free_while_another_process_puts_a_message_on_hold_is_not_lost(
    postgresql_server: Server, clock: ManualClock, freed_by: str
) -> None:
    async with processes(postgresql_server, clock, 2) as (here, there):
        await here.work(lambda books: books.set_ceiling(PLACE, 1))
        await accepted_batch(here, clock, 2)
        taking, waiting = await claim(here, clock, 2)
        await there.apply(gated(intent_move(taking, clock)))
        closed = await here.apply(gated(intent_move(waiting, clock)))
        assert isinstance(closed, GateClosed)

        stop = Stop()
        hold = move(
            waiting, State.HELD, clock, code="full", waits_for=closed.waits_for,
            next_at=now(clock, s=3600), then=lambda _: stop.here(),
        )  # fmt: skip
        holding: asyncio.Future[object] = asyncio.ensure_future(here.apply(hold))
        async with stopped(stop, holding):
            freeing = asyncio.ensure_future(
                there.apply(_ended(taking, clock))
                if freed_by == "an end"
                else there._write(lambda tx: books_of(tx).set_ceiling(PLACE, 2))
            )
            await waits_or_ends(postgresql_server, freeing)
        await freeing
        clock.pass_by(seconds=1)
        await here.sweep(now=now(clock), release=10)
        woken = await here.message(waiting.id)
        assert woken is not None
        assert woken.state is State.READY


def _ended(message: object, clock: ManualClock) -> Move:
    sent = replace(message, open_step=ISSUANCE, send_by=now(clock, s=5))  # type: ignore[type-var]
    return move(sent, State.COMPLETED, clock, outcome=Outcome.REFUSED, code="refused", intent_ends="free")  # type: ignore[arg-type]


def books_of(tx: Transaction) -> SqlBooks:
    return SqlBooks(tx, BookMemory(), date(2026, 11, 23))


# --- rows that two transactions want in different orders ---------------------------------------------------

Step = Callable[[Transaction, str], object]
RATE = CallRate(calls_per_s=1000, burst=1000)


def _room(name: str) -> Step:
    return lambda tx, _: tx.places.has_room(tx, Quota("capacity", name))


def _counted(name: str) -> Step:
    def counted(tx: Transaction, message_id: str) -> None:
        tx.places.take(f"another of the {message_id}", [Quota("capacity", name)])
        tx.places.flush(tx)

    return counted


def _freed(_: str) -> Step:
    """Each transaction has a message of its own that holds a place there."""
    return give_back


def _ceiling(name: str) -> Step:
    return lambda tx, _: books_of(tx).set_ceiling(Quota("capacity", name), 7)


def _tokens(name: str) -> Step:
    return lambda tx, _: partners.take_tokens(tx, name, RATE, 1)


def _success(name: str) -> Step:
    return lambda tx, _: partners.note_successes(tx, {name: Micros(1)})


def _registered(name: str) -> Step:
    return lambda tx, _: partners.register(tx, [f"new-{name}"])


@pytest.mark.parametrize("other", [_room, _counted, _freed, _ceiling, _tokens, _success, _registered])
@pytest.mark.parametrize("one", [_room, _tokens])
async def test_no_two_transactions_wait_for_each_other_over_places_and_partners(
    postgresql_server: Server, clock: ManualClock, one: Callable[[str], Step], other: Callable[[str], Step]
) -> None:
    """Whatever order the units of a group want them in: none of the two is undone and run again."""
    runs: list[str] = []
    async with processes(postgresql_server, clock, 2) as ledgers:
        await _fill(ledgers[0], clock)
        stop = Stop()

        def work(name: str, steps: list[Step]) -> Callable[[Transaction], None]:
            def run(tx: Transaction) -> None:
                runs.append(name)
                steps[0](tx, name)
                if name == "first":
                    stop.here()
                steps[1](tx, name)

            return run

        steps = [one("a"), other("b")]
        first: asyncio.Future[object] = asyncio.ensure_future(ledgers[0]._write(work("first", steps)))
        async with stopped(stop, first):
            second: asyncio.Future[object] = asyncio.ensure_future(
                ledgers[1]._write(work("second", steps[::-1]))
            )
            await waits_or_ends(postgresql_server, second)
        await asyncio.gather(first, second)
    assert runs == ["first", "second"]


async def test_who_wakes_those_that_wait_for_a_place_waits_for_no_sweep_that_wakes_them_too(
    postgresql_server: Server, clock: ManualClock
) -> None:
    runs: list[str] = []
    async with processes(postgresql_server, clock, 2) as ledgers:
        await ledgers[0].work(lambda books: books.set_ceiling(PLACE, 1))
        await accepted_batch(ledgers[0], clock, 1)
        (message,) = await claim(ledgers[0], clock)
        await ledgers[0].apply(
            move(message, State.HELD, clock, waits_for=PLACE.name, code="full", next_at=now(clock, s=-1))
        )
        stop = Stop()

        def sweeping(tx: Transaction) -> None:
            runs.append("sweeping")
            assert sweep(tx, now(clock), 1).woken == 1
            stop.here()
            tx.places.has_room(tx, PLACE)

        def waking(tx: Transaction) -> None:
            runs.append("waking")
            go_on(tx, PLACE)

        first: asyncio.Future[object] = asyncio.ensure_future(ledgers[0]._write(sweeping))
        async with stopped(stop, first):
            second: asyncio.Future[object] = asyncio.ensure_future(ledgers[1]._write(waking))
            await waits_or_ends(postgresql_server, second)
        await asyncio.gather(first, second)
    assert runs == ["sweeping", "waking"]


async def _fill(ledger: PostgresLedger, clock: ManualClock) -> None:
    """The quotas and partners `a` and `b`, with a place in `b` for each transaction's message."""

    def quotas(books: Books) -> None:
        for name in ("a", "b"):
            books.set_ceiling(Quota("capacity", name), 5)
        for message_id in ("first", "second"):
            books.count_in(message_id, [Quota("capacity", "b")])  # type: ignore[arg-type]

    await ledger.work(quotas)
    await ledger.register_partners(["a", "b"])


# --- what is decided by rows that are not there -----------------------------------------------------------


@pytest.mark.parametrize("held_first", [True, False])
async def test_nothing_is_shredded_that_another_process_puts_on_hold(
    postgresql_server: Server, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, held_first: bool
) -> None:
    async with processes(postgresql_server, clock, 2) as (here, there):
        hold = Hold(scope="bucket", placed_by="op", placed_at=now(clock), bucket="1448")
        calls = [
            lambda ledger: ledger.place_hold(hold, Entry(now(clock), "hold", "op")),
            lambda ledger: ledger.begin_shredding("1448", date(2026, 1, 1), Entry(now(clock), "shred", "op")),
        ]
        early, late = calls if held_first else calls[::-1]
        await _one_of_two(postgresql_server, monkeypatch, lambda: early(here), lambda: late(there))
        held, begun = await here.held_buckets(), await here.shreddings()
        assert (list(held), [one.bucket for one in begun]) == (
            (["1448"], []) if held_first else ([], ["1448"])
        )


async def test_one_of_two_processes_begins_a_rotation(
    postgresql_server: Server, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(postgresql_server, clock, 2) as (here, there):
        entry = Entry(now(clock), "rotate", "op")
        await _one_of_two(
            postgresql_server, monkeypatch,
            lambda: here.begin_rotation({"main": 2}, entry), lambda: there.begin_rotation({"main": 3}, entry),
        )  # fmt: skip
        running = await here.rotation()
        assert running is not None
        assert running.targets == {"main": 2}


async def _one_of_two(
    server: Server, monkeypatch: pytest.MonkeyPatch, early: Callable[[], object], late: Callable[[], object]
) -> None:
    """The later one comes before the earlier one is committed, and is refused by what that one did."""
    stop = Stop()
    at_commit(stop, monkeypatch)
    first: asyncio.Future[object] = asyncio.ensure_future(early())  # type: ignore[arg-type]
    async with stopped(stop, first):
        second: asyncio.Future[object] = asyncio.ensure_future(late())  # type: ignore[arg-type]
        await waits_or_ends(server, second)
    await first
    with pytest.raises(Conflict):
        await second


# --- rows that are found by key ---------------------------------------------------------------------------

_MESSAGES = (
    "INSERT INTO message (id, kind, party, licensee, agent, mission, season, batch_reference, reference,"
    " lane, state, public_state, received_at, updated_at, live_person_key, data_key, sealed_payload,"
    " versions)"
    " SELECT 'm' || n, 'visa.application', 'x', 'l', 'a', 'm', 1, '', '', '', 'ready', 'in_progress', 0, 0,"
    " CASE WHEN n <= 5 THEN ('p' || n)::bytea END, '', '', '1' FROM generate_series(1, 5000) n"
)


def test_a_person_is_released_by_the_key_of_the_message_however_few_persons_there_were(
    postgresql_server: Server,
) -> None:
    """The plan is kept when there are many: it must not be one that reads every live application."""
    with closing(connect(postgresql_server.emptied())) as writer:
        migrate(writer)
        writer.execute(_MESSAGES)
        writer.execute("ANALYZE message")
        many = together(_RELEASE_PERSON, writer._types_of)
        assert many is not None
        arrays = many.arrays([("m1",), ("m2",), ("m9",)])
        plan = writer.execute(f"EXPLAIN {many.sql}", arrays or ()).fetchall()
        assert "message_pkey" in "\n".join(row["QUERY PLAN"] for row in plan)
        assert writer.execute(many.sql, arrays or ()).rowcount == 3
        left = writer.execute("SELECT id FROM message WHERE live_person_key IS NOT NULL ORDER BY id")
        assert [row["id"] for row in left.fetchall()] == ["m3", "m4", "m5"]
