"""A thousand single bytes are changed in what is sealed: each is found, and costs one message, no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, TypeVar

import pytest

from gateway.errors import Uncertain
from gateway.ledger.records import MessageRow
from gateway.ledger.sql.transaction import Transaction
from gateway.ledger.vault import Place, Unsealable
from gateway.message import Absent, BatchId, Deferred, MessageId
from gateway.pipeline import operate, report, views
from gateway.pipeline.intake import Receipt
from gateway.pipeline.worker import Worker
from gateway.states import Outcome, State
from tests.flows.office import COMMITTEE, LICENSING, send, told
from tests.pipeline.world import CENTER, World

#: 200 under way, 100 that wait, 3 x 200 that are settled, 4 x 25 of other sorts: a thousand together.
RANDOM = Random(20261122)
T = TypeVar("T")


_KEYS = {"message": "id", "batch": "id", "outbox": "seq", "audit": "seq", "resolution": "message_id"}
_Values = dict[str | int, bytes]


@asynccontextmanager
async def flipped(world: World, table: str, column: str, keys: Sequence[str | int]) -> AsyncIterator[None]:
    """One byte of each of these rows is another one, until the end of the block."""
    before = await flip(world, table, column, keys)
    yield
    await in_database(world, lambda tx: write(tx, table, column, before))


async def flip(world: World, table: str, column: str, keys: Sequence[str | int]) -> _Values:
    """Change one byte of each. Returns what was there."""
    return await in_database(world, lambda tx: _flip(tx, table, column, keys))


async def in_database(world: World, work: Callable[[Transaction], T]) -> T:
    """Past the ledger's own methods, as damage comes."""
    found: T = await world.engine.ledger._write(work)  # type: ignore[attr-defined]
    return found


def _flip(tx: Transaction, table: str, column: str, keys: Sequence[str | int]) -> _Values:
    sql = f"SELECT {column} AS value FROM {table} WHERE {_KEYS[table]} = ?"
    before = {key: bytes(tx.all(sql, (key,))[0]["value"]) for key in keys}
    write(tx, table, column, {key: _damaged(value) for key, value in before.items()})
    return before


def _damaged(value: bytes) -> bytes:
    changed = bytearray(value)
    changed[RANDOM.randrange(len(value))] ^= RANDOM.randint(1, 255)
    return bytes(changed)


def write(tx: Transaction, table: str, column: str, values: _Values) -> None:
    sql = f"UPDATE {table} SET {column} = ? WHERE {_KEYS[table]} = ?"
    tx.run_many(sql, [(value, key) for key, value in values.items()])


async def carry_all(world: World) -> None:
    """As the worker does it: one message's fault is not another's."""
    engine, worker = world.engine, Worker(world.engine)
    await engine.ledger.sweep(now=engine.now(), release=10_000)
    lease = engine.now() + 60_000_000
    for message in await engine.ledger.claim("w", 2_000, now=engine.now(), lease_until=lease):  # type: ignore[arg-type]
        await worker._carry_one(message, engine)


def by_damage(rows: list[MessageRow], damaged: set[str]) -> tuple[list[MessageRow], list[MessageRow]]:
    return [row for row in rows if row.id in damaged], [row for row in rows if row.id not in damaged]


async def test_300_of_messages_under_way_set_those_aside_and_the_others_go_on(world: World) -> None:
    first = await world.submit(300)
    ids = [row.id for row in await world.rows(first.batch_id)]
    RANDOM.shuffle(ids)
    await flip(world, "message", "sealed_payload", ids[:100])
    await flip(world, "message", "data_key", ids[100:200])
    await carry_all(world)
    set_aside, others = by_damage(await world.rows(first.batch_id), set(ids[:200]))
    assert {(row.state, row.code) for row in set_aside} == {(State.UNDER_REVIEW, "unsealable")}
    assert {row.outcome for row in others} == {Outcome.ISSUED}

    answers = world.nic.scripts["CheckClearance"]
    world.nic.scripts["CheckClearance"] = [Deferred("answer_pending", "REF-1")]
    second = await world.submit(world.applications(150, seed=99), key="key-2")
    await carry_all(world)
    world.nic.scripts["CheckClearance"] = answers
    waiting = await world.rows(second.batch_id)
    assert {row.state for row in waiting} == {State.AWAITING}
    await flip(world, "message", "sealed_progress", [row.id for row in waiting[:100]])
    world.clock.pass_by(hours=2)
    await carry_all(world)
    set_aside, others = by_damage(await world.rows(second.batch_id), {row.id for row in waiting[:100]})
    assert {(row.state, row.code) for row in set_aside} == {(State.UNDER_REVIEW, "unsealable")}
    assert {row.outcome for row in others} == {Outcome.ISSUED}


async def test_600_of_settled_lines_cost_those_their_contents_and_the_others_nothing(world: World) -> None:
    receipt = await world.submit(220)
    await carry_all(world)
    batch_id = BatchId(str(receipt.batch_id))
    rows = await world.rows(batch_id)
    whole = [line async for line in report.results(CENTER, batch_id, world.engine)]
    assert all(line["visa"] and line["reference"] for line in whole)
    for column in ("sealed_payload", "sealed_progress", "data_key"):
        chosen = set(RANDOM.sample([row.id for row in rows], 200))
        async with flipped(world, "message", column, sorted(chosen)):
            shown = [line async for line in report.results(CENTER, batch_id, world.engine)]
        for before, after in zip(whole, shown, strict=True):
            if before["application_id"] not in chosen:
                assert after == before
                continue
            lost = {name for name in before if after[name] != before[name]}
            assert lost == {"sealed_payload": {"reference"}, "sealed_progress": {"visa"}}.get(
                column, {"reference", "visa"}
            )
            assert all(after[name] is None for name in lost)


async def test_a_rejected_line_that_was_damaged_leaves_the_others_to_be_mended(world: World) -> None:
    applications = world.applications(3)
    for one in applications:
        one["birth_date"] = "1990-02-30"
    batch_id = BatchId(str((await world.submit(applications)).batch_id))
    rows = await world.rows(batch_id)
    async with flipped(world, "message", "sealed_payload", [rows[1].id]):
        shown = [line async for line in report.rejected(CENTER, batch_id, world.engine)]
    assert [bool(line["application"]) for line in shown] == [True, False, True]
    assert all(line["errors"] for line in shown)


async def test_25_of_receipts_are_found_and_the_batch_goes_on(world: World) -> None:
    receipt = await world.submit(1)
    for turn in range(25):
        async with flipped(world, "batch", ("sealed_receipt", "data_key")[turn % 2], [str(receipt.batch_id)]):
            again = await world.submit(1)
            assert (again.replayed, again.counts) == (True, receipt.counts)
            with pytest.raises(Unsealable):
                await _opened_receipt(world, receipt)
    assert (await world.submit(1)).replayed
    await carry_all(world)
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def _opened_receipt(world: World, receipt: Receipt) -> dict[str, Any]:
    rows = await in_database(
        world, lambda tx: tx.all("SELECT * FROM batch WHERE id = ?", (receipt.batch_id,))
    )
    vault = world.engine.vault
    key = vault.data_key(rows[0]["id"], rows[0]["data_key"])
    place = Place(rows[0]["party"], rows[0]["id"], "receipt", 1)
    return vault.open(key, rows[0]["sealed_receipt"], place=place)


async def test_25_of_events_cost_those_their_data_and_the_next_is_told(world: World) -> None:
    for number in range(3):
        await send(world, CENTER, "complaint.submission", complaint_id=f"C{number}")
    events = [event for party in (COMMITTEE, LICENSING) for event in await told(world, party)]
    receiver = COMMITTEE if await told(world, COMMITTEE) else LICENSING
    seqs = [event.seq for event in await world.engine.ledger.events(receiver, after=0, limit=100)]
    whole = await told(world, receiver)
    assert len(seqs) == len(whole) == 3 and events
    for turn in range(25):
        async with flipped(world, "outbox", ("sealed", "data_key")[turn % 2], [seqs[turn % 3]]):
            shown = await told(world, receiver)
        assert [one for one in shown if one is not None] == [
            one for n, one in enumerate(whole) if n != turn % 3
        ]


async def test_25_of_operators_reasons_cost_those_alone(world: World) -> None:
    row = await world.only(await world.submit(1))
    for why in ("first", "second"):
        await operate.retry(row.id, "operator-1", why, world.engine)
    entries = await world.engine.ledger.audit(row.id)
    first, second = [entry.seq for entry in entries if entry.note]
    for turn in range(25):
        damaged, other = ((first, "second"), (second, "first"))[turn % 2]
        async with flipped(world, "audit", "note", [damaged]):
            shown = await views.show(row.id, world.engine)
        assert [move["reason"] for move in shown["timeline"] if move.get("reason")] == [other]


async def reviewed(world: World) -> MessageId:
    """A message that a person must decide, its visa proposed by one."""
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    world.with_destination("foreign-affairs", resend_when_absent=False, deduplicates=False)
    receipt = await world.submit(1)
    await world.carry_until_rest(step_s=30)
    row = await world.only(receipt)
    assert row.state is State.UNDER_REVIEW
    await operate.propose_resolution(
        row.id, "operator-1", decision="issued", visa_number="6000000009", reason="seen", engine=world.engine
    )
    return row.id


async def test_25_of_proposals_are_found_before_anything_is_settled(world: World) -> None:
    id = await reviewed(world)
    for turn in range(25):
        column = ("sealed_visa", "note")[turn % 2]
        async with flipped(world, "resolution", column, [id]):
            shown: dict[str, Any] = (await views.show(id, world.engine))["proposed"]
            assert shown[{"sealed_visa": "visa_number_ends_in", "note": "reason"}[column]] is None
            if column == "sealed_visa":
                with pytest.raises(Unsealable):
                    await operate.confirm_resolution(id, "operator-2", world.engine)
    settled = await operate.confirm_resolution(id, "operator-2", world.engine)
    assert settled["outcome"] == "issued"
