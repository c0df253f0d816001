"""What only several processes on one database can get wrong, whichever database that is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.ledger.books import Books, Quota
from gateway.ledger.journal import Entry, Head, link
from gateway.ledger.port import GateClosed, Ledger, NewMessage
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import PartyId
from gateway.states import Outcome, State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import accepted_batch, claim, intent_move, line, move, now, opening, rejected

PLACES = Quota("plan", "LIC-1/IDN/1448-01")

Opened = PostgresLedger | SqliteLedger
Processes = Callable[[int], AbstractAsyncContextManager[list[Opened]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def processes(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Processes:
    """Ledgers as that many processes would open them."""
    if request.param == "sqlite":

        def ledger() -> Opened:
            return SqliteLedger(tmp_path / "ledger.db", clock, shared=True)
    else:
        url = request.getfixturevalue("postgresql_server").emptied()

        def ledger() -> Opened:
            return PostgresLedger(url, clock, by_database_time=False)

    @asynccontextmanager
    async def opened(count: int) -> AsyncIterator[list[Opened]]:
        ledgers = [ledger() for _ in range(count)]
        for one in ledgers:
            await one.open()
        try:
            yield ledgers
        finally:
            for one in ledgers:
                await one.close()

    return opened


async def test_no_message_is_claimed_twice(processes: Processes, clock: ManualClock) -> None:
    async with processes(3) as ledgers:
        await accepted_batch(ledgers[0], clock, 300)
        taken: list[str] = []
        while found := await asyncio.gather(*(claim(ledger, clock, 20) for ledger in ledgers)):
            ids = [message.id for messages in found for message in messages]
            if not ids:
                break
            taken += ids
        assert sorted(Counter(taken).values()) == [1] * 300


async def test_no_more_places_are_taken_than_there_are(processes: Processes, clock: ManualClock) -> None:
    async with processes(3) as ledgers:
        await ledgers[0].work(lambda books: books.set_ceiling(PLACES, 40))
        await accepted_batch(ledgers[0], clock, 120)
        claimed = [await claim(ledger, clock, 40) for ledger in ledgers]

        def gate(message_id: object) -> object:
            def look(books: Books) -> GateClosed | None:
                full = books.reserve(message_id, [PLACES])  # type: ignore[arg-type]
                return None if full is None else GateClosed("plan_exceeded", waits_for=full.name)

            return look

        answers = await asyncio.gather(
            *(
                ledger.apply(replace(intent_move(message, clock), gate=gate(message.id)))  # type: ignore[arg-type]
                for ledger, messages in zip(ledgers, claimed, strict=True)
                for message in messages
            )
        )
        assert Counter(type(answer).__name__ for answer in answers) == {"Applied": 40, "GateClosed": 80}
        (state,) = await ledgers[1].quotas()
        assert (state.taken, state.ceiling) == (40, 40)


async def test_a_batch_that_two_processes_finish_is_completed_once(
    processes: Processes, clock: ManualClock
) -> None:
    async with processes(2) as ledgers:
        for round_ in range(10):
            batch = await accepted_batch(ledgers[0], clock, 2, key=f"k{round_}")
            (first,), (second,) = await claim(ledgers[0], clock, 1), await claim(ledgers[1], clock, 1)
            await asyncio.gather(
                ledgers[0].apply(move(first, State.COMPLETED, clock, outcome=Outcome.ISSUED)),
                ledgers[1].apply(move(second, State.COMPLETED, clock, outcome=Outcome.REFUSED)),
            )
            row = await ledgers[1].batch(batch.batch_id)
            assert row is not None
            assert (row.state, dict(row.counts)) == ("completed", {"issued": 1, "refused": 1})
        events = await ledgers[0].events(PartyId("sc-01"), after=0, limit=1000)
        assert [event.kind for event in events].count("batch.completed") == 10


async def test_a_person_is_applied_for_once_by_whichever_process(
    processes: Processes, clock: ManualClock
) -> None:
    async with processes(2) as ledgers:
        batches = [opening(clock, key=f"k{n}") for n in range(2)]
        for ledger, batch in zip(ledgers, batches, strict=True):
            await ledger.begin_batch(batch)

        async def add(ledger: Ledger, batch: object) -> list[NewMessage]:
            lines = [line(batch, n + 1, clock, person_key=bytes([n])) for n in range(50)]  # type: ignore[arg-type]
            return list(
                await ledger.add_lines(
                    batch.batch_id,
                    batch.intake_token,
                    lines,
                    rejected,
                    intake_until=now(clock, s=60),  # type: ignore[attr-defined]
                )
            )

        recorded = await asyncio.gather(*(add(*pair) for pair in zip(ledgers, batches, strict=True)))
        assert Counter(one.outcome for lines in recorded for one in lines) == {None: 50, Outcome.REJECTED: 50}


async def test_a_record_that_another_process_changed_is_seen_at_once(
    processes: Processes, clock: ManualClock
) -> None:
    async with processes(2) as (here, there):
        for status in ("active", "suspended", "active"):
            await there.work(
                lambda books, status=status: books.put("licensee", "L", {"status": status}, version="1")  # type: ignore[misc]
            )
            seen = await here.work(lambda books: books.record("licensee", "L"))
            assert seen is not None
            assert seen.facts == {"status": status}


async def test_each_process_writes_a_chain_of_its_own_without_a_gap(
    processes: Processes, clock: ManualClock
) -> None:
    async with processes(3) as ledgers:
        await asyncio.gather(
            *(ledger.note(Entry(now(clock), f"n{n}", "test")) for n in range(60) for ledger in ledgers)
        )
        rows = await ledgers[0].journal(after=0, limit=1000)
        heads = await ledgers[0].heads()
    assert sorted(heads) == ["w1", "w2", "w3"]
    for chain, head in heads.items():
        theirs = sorted((row for row in rows if row.chain == chain), key=lambda row: row.number)
        linked = list(link(chain, Head(), [row.entry for row in theirs]))
        assert [(one.number, one.hash) for one in linked] == [(row.number, row.hash) for row in theirs]
        assert (linked[-1].number, linked[-1].hash) == (head.number, head.hash)


async def test_an_outbox_entry_never_appears_before_one_that_was_read(
    processes: Processes, clock: ManualClock
) -> None:
    """A reader that goes on from the last number that it saw misses nothing."""
    async with processes(3) as ledgers:
        await accepted_batch(ledgers[0], clock, 150)
        claimed = [await claim(ledger, clock, 50) for ledger in ledgers]
        seen: list[int] = []
        done = asyncio.Event()

        async def read() -> None:
            while True:
                last = done.is_set()
                found = await ledgers[0].events(PartyId("sc-01"), after=seen[-1] if seen else 0, limit=1000)
                seen.extend(event.seq for event in found)
                if last:
                    return

        reading = asyncio.create_task(read())
        await asyncio.gather(
            *(
                ledger.apply(move(message, State.COMPLETED, clock, outcome=Outcome.ISSUED))
                for ledger, messages in zip(ledgers, claimed, strict=True)
                for message in messages
            )
        )
        done.set()
        await reading
        assert len(seen) == 151
