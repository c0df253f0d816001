"""Licensees share evenly, the most urgent of each goes first, and a claim costs what it takes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger.port import Claimed, Ledger, NewMessage, Note
from gateway.ledger.postgresql.connection import connect
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.postgresql.writer import PostgresTransaction
from gateway.ledger.sql import carrying
from gateway.ledger.sql.journal import JournalMemory
from gateway.ledger.sql.ledger import SqlLedger
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.sqlite.connection import migrate, open_writer
from gateway.message import MessageId, Micros, PartyId, new_id
from gateway.policies.urgency import lane_of, urgency
from gateway.states import State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import accept, claim, line, move, now, opening
from tests.postgresql import Server

_DAY_S = 86_400.0


def ready(clock: ManualClock, licensee: str, *, days: float | None = None, **changes: Any) -> Any:
    """A message that may be claimed at once, without a batch. `days`: until its deadline."""
    made = line(opening(clock), 1, clock)
    return replace(
        made,
        facts=replace(made.facts, licensee=licensee),
        lane=lane_of(licensee, made.kind, made.party),
        state=State.READY,
        next_at=now(clock),
        deadline_at=None if days is None else now(clock, s=days * _DAY_S),
        batch_id=None,
        line=None,
        **changes,
    )


async def put(ledger: Ledger, *messages: Any) -> list[MessageId]:
    for message in messages:
        await ledger.add_message(replace(message, idempotency_key=message.id), actor="test")
    return [message.id for message in messages]


def shares(taken: Sequence[Claimed]) -> Counter[str]:
    return Counter(message.facts.licensee for message in taken)


# --- fair shares ------------------------------------------------------------------------------------------


def test_a_lane_is_a_licensees_whatever_is_sent_and_by_whom() -> None:
    assert lane_of("LIC-1", "visa.application", "sc-01") == lane_of("LIC-1", "visa.cancellation", "sc-02")
    assert lane_of("LIC-1", "visa.application", "sc-01") != lane_of("LIC-2", "visa.application", "sc-01")
    assert lane_of("", "a", "p") != lane_of("", "b", "p")


async def test_a_licensee_with_many_batches_gets_no_more_than_one_with_one(
    ledger: Ledger, clock: ManualClock
) -> None:
    many = [ready(clock, "LIC-1", party=PartyId(f"sc-0{n % 3 + 1}")) for n in range(100)]
    await put(ledger, *many, *(ready(clock, "LIC-2") for _ in range(100)))
    assert shares(await claim(ledger, clock, limit=20)) == {"LIC-1": 10, "LIC-2": 10}


async def test_what_cannot_be_divided_goes_to_each_in_turn(ledger: Ledger, clock: ManualClock) -> None:
    await put(ledger, *(ready(clock, f"LIC-{n}") for n in (1, 2) for _ in range(30)))
    seen: Counter[str] = Counter()
    for _ in range(10):
        seen += shares(await claim(ledger, clock, limit=3))
    assert seen == {"LIC-1": 15, "LIC-2": 15}


async def test_several_processes_with_a_round_of_their_own_share_evenly_too(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(ledger, *(ready(clock, f"LIC-{n}") for n in range(3) for _ in range(40)))
    cursors = [carrying.LaneCursor() for _ in range(4)]
    seen: Counter[str] = Counter()
    for turn in range(16):
        monkeypatch.setattr(ledger, "_cursor", cursors[turn % 4])
        seen += shares(await claim(ledger, clock, limit=4))
    assert max(seen.values()) - min(seen.values()) <= len(cursors)


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_single_line_waits_for_one_round_of_the_others_and_no_longer(
    ledger: Ledger, clock: ManualClock, limit: int
) -> None:
    lanes = 7
    await put(ledger, *(ready(clock, f"LIC-{n}", days=1) for n in range(lanes) for _ in range(20)))
    await claim(ledger, clock, limit=limit)
    (single,) = await put(ledger, ready(clock, "LIC-0-late", days=300))
    for _ in range(-(-(lanes + 1) // limit) + 1):
        if single in {message.id for message in await claim(ledger, clock, limit=limit)}:
            return
    pytest.fail("it still waits")


async def _random_round(ledger: Ledger, clock: ManualClock, seed: int) -> None:
    """Random lanes, claims and moves; each claim gives every waiting lane its share, in turn."""
    chance = random.Random(seed)
    licensees = [f"L{seed}-{n}" for n in range(chance.randint(1, 6))]
    waiting: Counter[str] = Counter()
    passed_over: Counter[str] = Counter()
    for _ in range(8):
        added = [ready(clock, one, days=chance.uniform(-5, 50)) for one in licensees if chance.random() < 0.7]
        added = [replace(one, id=MessageId(new_id())) for one in added for _ in range(chance.randint(1, 9))]
        await put(ledger, *added)
        waiting.update(one.facts.licensee for one in added)
        limit = chance.randint(1, 8)
        due = [one for one in licensees if waiting[one] > 0]
        taken = await claim(ledger, clock, limit=limit)
        got = shares(taken)
        for one in due:
            assert got[one] >= min(waiting[one], limit // len(due))
            passed_over[one] = 0 if got[one] else passed_over[one] + 1
            assert passed_over[one] * limit < len(licensees) + 2 * limit
        waiting -= got
        for message in taken:
            if chance.random() < 0.3:  # tried again later
                again = now(clock, s=chance.choice([0, 30]))
                await ledger.apply(move(message, State.READY, clock, next_at=again))
                waiting[message.facts.licensee] += again <= now(clock)
                if again > now(clock):
                    await ledger.cancel(message.id, actor="test", now=now(clock))
            else:
                await ledger.apply(move(message, State.CANCELLED, clock))
        clock.pass_by(seconds=1)
    while rest := await claim(ledger, clock, limit=500):
        for message in rest:
            await ledger.apply(move(message, State.CANCELLED, clock))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
async def test_nobody_waits_for_more_than_its_share(ledger: Ledger, clock: ManualClock, seed: int) -> None:
    await _random_round(ledger, clock, seed)


async def test_thousands_of_retries_of_one_keep_no_retry_of_another_waiting(
    ledger: Ledger, clock: ManualClock
) -> None:
    await put(ledger, *(ready(clock, "LIC-1", days=1) for _ in range(700)))
    (single,) = await put(ledger, ready(clock, "LIC-2", days=9))
    for message in await claim(ledger, clock, limit=1000):
        later = now(clock, s=20 if message.id == single else 10)
        await ledger.apply(move(message, State.READY, clock, next_at=later))
    clock.pass_by(seconds=30)
    assert single in {message.id for message in await claim(ledger, clock, limit=4)}


# --- the most urgent first --------------------------------------------------------------------------------


def test_urgency_is_the_earlier_of_deadline_and_end_of_what_was_got_for_it() -> None:
    received, deadline, ends = Micros(0), Micros(10**12), Micros(10**11)
    assert urgency(received, deadline, None) == deadline
    assert urgency(received, deadline, None, ends) == ends
    assert urgency(received, ends, None, deadline) == ends
    assert urgency(received, deadline, 1) < urgency(received, deadline, 2)
    # Without a deadline: before what is due in a week, after what is due in an hour.
    assert urgency(received, Micros(3_600 * 10**6), None) < urgency(received, None, None)
    assert urgency(received, None, None) < urgency(received, Micros(7 * 86_400 * 10**6), None)


async def test_within_a_lane_the_earliest_deadline_goes_first(ledger: Ledger, clock: ManualClock) -> None:
    days = [30, 2, 9, 300, 1, 5]
    ids = await put(ledger, *(ready(clock, "LIC-1", days=day) for day in days))
    order = [ids[n] for n in sorted(range(len(days)), key=days.__getitem__)]
    first = await claim(ledger, clock, limit=2)
    assert [message.id for message in first] == order[:2]
    assert [message.id for message in await claim(ledger, clock)] == order[2:]


async def test_lines_of_a_batch_go_by_their_travel_day(ledger: Ledger, clock: ManualClock) -> None:
    opened = opening(clock, "dated")
    await ledger.begin_batch(opened)
    lines = [line(opened, n + 1, clock, deadline_at=now(clock, s=(20 - n) * _DAY_S)) for n in range(10)]
    await ledger.add_lines(opened.batch_id, opened.intake_token, lines, _same, intake_until=now(clock, s=60))
    await accept(ledger, opened, clock, len(lines))
    assert [message.line for message in await claim(ledger, clock, limit=3)] == [10, 9, 8]


async def test_a_retry_whose_time_has_come_stands_where_its_urgency_puts_it(
    ledger: Ledger, clock: ManualClock
) -> None:
    (urgent,) = await put(ledger, ready(clock, "LIC-1", days=1))
    await put(ledger, *(ready(clock, "LIC-1", days=30) for _ in range(5)))
    (first,) = await claim(ledger, clock, limit=1)
    assert first.id == urgent
    await ledger.apply(move(first, State.READY, clock, next_at=now(clock, s=10)))
    (other,) = await claim(ledger, clock, limit=1)
    assert other.id != urgent
    clock.pass_by(seconds=11)
    (again,) = await claim(ledger, clock, limit=1)
    assert again.id == urgent


async def test_what_is_put_off_is_not_claimed_before_its_time(ledger: Ledger, clock: ManualClock) -> None:
    await put(ledger, ready(clock, "LIC-1", days=1))
    (message,) = await claim(ledger, clock)
    await ledger.apply(move(message, State.READY, clock, next_at=now(clock, s=10)))
    clock.pass_by(seconds=9)
    assert await claim(ledger, clock) == []
    clock.pass_by(seconds=2)
    assert [again.id for again in await claim(ledger, clock)] == [message.id]


async def test_what_a_person_hurries_is_claimed_at_once(ledger: Ledger, clock: ManualClock) -> None:
    await put(ledger, ready(clock, "LIC-1"))
    (message,) = await claim(ledger, clock)
    await ledger.apply(move(message, State.READY, clock, next_at=now(clock, s=3600)))
    await ledger.hurry(message.id, actor="operator-1", reason=Note(b"sealed", "0" * 64), now=now(clock))
    assert [again.id for again in await claim(ledger, clock)] == [message.id]


@pytest.mark.parametrize("to", [State.HELD, State.AWAITING])
async def test_what_waited_comes_back_to_its_place(ledger: Ledger, clock: ManualClock, to: State) -> None:
    (urgent,) = await put(ledger, ready(clock, "LIC-1", days=2))
    await put(ledger, *(ready(clock, "LIC-1", days=1 + n) for n in (8, 9)))
    (first,) = await claim(ledger, clock, limit=1)
    await ledger.apply(move(first, to, clock, next_at=now(clock, s=5)))
    clock.pass_by(seconds=6)
    await ledger.sweep(now=now(clock), release=10)
    assert [message.id for message in await claim(ledger, clock, limit=1)] == [urgent]


async def test_a_clearance_about_to_end_hurries_its_message(ledger: Ledger, clock: ManualClock) -> None:
    (late, _) = await put(ledger, ready(clock, "LIC-1", days=50), ready(clock, "LIC-1", days=3))
    taken = {message.id: message for message in await claim(ledger, clock)}
    for message in taken.values():
        ends = now(clock, s=600) if message.id == late else None
        await ledger.apply(move(message, State.READY, clock, next_at=now(clock), urgency=ends))
    assert [message.id for message in await claim(ledger, clock, limit=1)] == [late]


# --- beside the version before this one -------------------------------------------------------------------


async def test_what_the_version_before_recorded_or_put_off_is_claimed_when_it_is_due(
    ledger: Ledger, clock: ManualClock
) -> None:
    """It names none of the new columns."""
    ids = await put(ledger, *(ready(clock, "LIC-1", days=n + 1) for n in range(3)))
    await _run(ledger, "UPDATE message SET urgency = 0 WHERE id = ?", (ids[2],))
    await _run(ledger, "UPDATE message SET next_at = ? WHERE id = ?", (now(clock, s=10), ids[0]))
    assert [message.id for message in await claim(ledger, clock, limit=1)] == [ids[2]]
    assert {message.id for message in await claim(ledger, clock)} == {ids[1]}
    clock.pass_by(seconds=11)
    assert [message.id for message in await claim(ledger, clock)] == [ids[0]]


# --- what a claim costs -----------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Any:
    """A writing connection to an empty ledger."""
    connection = open_writer(tmp_path / "ledger.db")
    migrate(connection)
    yield connection
    connection.close()


def _filled(connection: Any, lanes: int, due: int, put_off: int) -> None:
    """Messages of each lane: `due` now, and `put_off` far into the future."""
    rows = [
        (f"{lane}-{n}", f"licensee/{lane:04}", 0 if n < due else 10**15, n, int(n >= due))
        for lane in range(lanes)
        for n in range(due + put_off)
    ]
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO message (id, kind, party, licensee, agent, mission, season, batch_reference, reference,"
        " lane, state, public_state, next_at, received_at, updated_at, data_key, sealed_payload, versions,"
        " urgency, put_off) VALUES (?, 'k', 'p', '', '', '', 0, '', '', ?, 'ready', 'accepted', ?, 0, 0,"
        " x'00', x'00', '', ?, ?)",
        rows,
    )
    connection.execute("COMMIT")


def _steps(connection: Any, limit: int) -> int:
    """Steps of the database's virtual machine (in tens) for one claim."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(count, 10)
    connection.execute("BEGIN IMMEDIATE")
    tx = Transaction(connection, Micros(1))
    taken = carrying.claim(tx, carrying.LaneCursor(), "w", limit, Micros(1), Micros(2))
    connection.execute("ROLLBACK")
    connection.set_progress_handler(None, 10)
    assert len(taken) == limit
    return counted


@pytest.mark.parametrize(
    ("lanes", "due", "put_off"),
    [(1, 20_000, 0), (1, 64, 50_000), (500, 2, 0), (500, 1, 40)],
    ids=["a long lane", "a lane of retries not due", "many lanes", "many lanes of retries"],
)
def test_a_claim_costs_what_it_takes_however_much_waits(
    database: Any, lanes: int, due: int, put_off: int
) -> None:
    _filled(database, 1, 64, 0)
    least = _steps(database, 64)
    database.execute("DELETE FROM message")
    _filled(database, lanes, due, put_off)
    assert _steps(database, 64) < 4 * least


class _Plans:
    """Notes how each statement would be run."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.details: list[str] = []

    def execute(self, sql: str, values: Any = ()) -> Any:
        plan = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
        self.details += [row["detail"] for row in plan]
        return self._connection.execute(sql, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_claim_searches_by_index_and_sorts_nothing(database: Any) -> None:
    _filled(database, 3, 5, 5)
    plans = _Plans(database)
    database.execute("BEGIN IMMEDIATE")
    cursor = carrying.LaneCursor()
    cursor.last = "licensee/0001"
    carrying.claim(Transaction(plans, Micros(1)), cursor, "w", 10, Micros(1), Micros(2))
    database.execute("ROLLBACK")
    assert any("message_urgent" in detail for detail in plans.details)
    assert any("message_put_off" in detail for detail in plans.details)
    assert not [detail for detail in plans.details if detail.startswith("SCAN message")]
    assert not [detail for detail in plans.details if "TEMP B-TREE" in detail]


async def test_postgresql_goes_by_the_same_indices(postgresql_server: Server, clock: ManualClock) -> None:
    url = postgresql_server.emptied()
    ledger = PostgresLedger(url, clock, by_database_time=False)
    await ledger.open()
    await ledger.close()
    connection = connect(url)
    connection.execute(
        "INSERT INTO message (id, kind, party, licensee, agent, mission, season, batch_reference, reference,"
        " lane, state, public_state, next_at, received_at, updated_at, data_key, sealed_payload, versions,"
        " urgency, put_off) SELECT 'm' || n, 'k', 'p', '', '', '', 0, '', '', 'licensee/' || n % 50, 'ready',"
        " 'accepted', 0, 0, 0, '', '', '', n, n % 2 FROM generate_series(1, 20000) AS n"
    )
    connection.execute("ANALYZE message")
    plans = _PostgresPlans(connection)
    connection.execute("BEGIN")
    tx = PostgresTransaction(plans, Micros(1), JournalMemory(), owns_records=False)
    carrying.claim(tx, carrying.LaneCursor(), "w", 10, Micros(1), Micros(2))
    connection.execute("ROLLBACK")
    connection.close()
    assert any("message_urgent" in detail for detail in plans.details)
    assert any("message_put_off" in detail for detail in plans.details)
    assert not [detail for detail in plans.details if "Seq Scan on message" in detail]


class _PostgresPlans(_Plans):
    def execute(self, sql: str, values: Any = ()) -> Any:
        plan = self._connection.execute(f"EXPLAIN {sql}", values).fetchall()
        self.details += [row["QUERY PLAN"] for row in plan]
        return self._connection.execute(sql, values)


def _same(message: NewMessage) -> NewMessage:
    return message


async def _run(ledger: Ledger, sql: str, values: tuple[Any, ...]) -> None:
    assert isinstance(ledger, SqlLedger)
    await ledger._write(lambda tx: tx.run(sql, values))
