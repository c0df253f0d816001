"""Whose turn it is, from admission on: licensees share evenly, and what is urgent goes first."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

from adapters.service_centers.sample import sample_batch
from gateway.clock import micros
from gateway.errors import Unavailable
from gateway.ledger.port import Claimed
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import MessageId, PartyId
from gateway.pipeline.admit import admit
from gateway.pipeline.wishes import cancel_application
from gateway.states import State
from tests.pipeline.world import World, submission


async def _submit(world: World, center: str, count: int, key: str) -> None:
    header, lines = sample_batch(count, hash_of(key), world.clock.today(), clean=True, center=center)
    await admit(submission([header, *lines], key=key, party=PartyId(center)), world.engine)


def hash_of(key: str) -> int:
    """A seed that is the same in every run."""
    return sum(key.encode())


async def _claim(world: World, limit: int) -> list[Claimed]:
    engine = world.engine
    await engine.ledger.sweep(now=engine.now(), release=10_000)
    lease = engine.now() + 60_000_000
    return list(await engine.ledger.claim("w", limit, now=engine.now(), lease_until=lease))  # type: ignore[arg-type]


async def test_a_licensee_gets_one_share_for_all_its_batches(world: World) -> None:
    for n in range(5):
        await _submit(world, "sc-01", 60, f"many-{n}")
    await _submit(world, "sc-02", 10, "one")
    taken = Counter(message.facts.licensee for message in await _claim(world, 20))
    assert taken == {"LIC-1001": 10, "LIC-1002": 10}


async def test_whoever_travels_first_is_carried_first(world: World) -> None:
    lines = world.applications(6)
    first = world.clock.today() + timedelta(days=10)
    days = [first + timedelta(days=n) for n in (5, 3, 9, 1, 7, 2)]
    dated = [_travelling(line, day) for line, day in zip(lines, days, strict=True)]
    receipt = await world.submit(dated)
    assert receipt.counts == {"total": 6, "accepted": 6}
    assert [message.line for message in await _claim(world, 3)] == [4, 6, 2]


def _travelling(line: dict[str, Any], arrives: date) -> dict[str, Any]:
    travel = {name: value for name, value in line["travel"].items() if not name.endswith("_hijri")}
    stay = {"arrival_date": arrives.isoformat(), "departure_date": (arrives + timedelta(days=8)).isoformat()}
    return {**line, "travel": {**travel, **stay}}


async def test_a_clearance_that_ends_soon_hurries_its_application(world: World) -> None:
    """It was got, the other check was not: to be asked for both again would be of no use to anybody."""
    world.passports.scripts["VerifyPassport"] = [Unavailable("connection_refused")]
    receipt = await world.submit(1)
    (before,) = await world.rows(receipt.batch_id)
    await world.carry_due()
    row = await world.only(receipt)
    assert row.state is State.READY
    ends = micros(world.clock.now() + timedelta(seconds=3600))
    assert await _urgency(world, before.id) == ends + 1
    assert row.deadline_at is not None
    assert row.deadline_at > ends


async def _urgency(world: World, message: MessageId) -> Any:
    ledger = world.engine.ledger
    assert isinstance(ledger, SqliteLedger)
    row = await ledger._write(lambda tx: tx.one("SELECT urgency FROM message WHERE id = ?", (message,)))
    return row["urgency"]


async def test_a_cancellation_is_in_its_licensees_lane(world: World) -> None:
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    await cancel_application(row.party, row.id, world.engine)
    (message,) = await _claim(world, 5)
    assert message.kind == "visa.cancellation"
    ledger = world.engine.ledger
    assert isinstance(ledger, SqliteLedger)
    lane = await ledger._write(lambda tx: tx.one("SELECT lane FROM message WHERE id = ?", (message.id,)))
    assert lane is not None
    assert lane["lane"] == f"licensee/{row.facts.licensee}"
