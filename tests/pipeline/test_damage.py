"""A damaged message is set aside, and nothing else is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.pipeline import report
from gateway.pipeline.worker import Worker
from gateway.states import Outcome, State
from tests.pipeline.world import CENTER, World


async def test_a_flipped_byte_sets_one_message_aside_and_the_others_go_on(
    world: World, tmp_path: Path
) -> None:
    receipt = await world.submit(5)
    rows = await world.rows(receipt.batch_id)
    damage = bytearray(rows[2].sealed_payload)
    damage[20] ^= 1
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE message SET sealed_payload = ? WHERE id = ?", (bytes(damage), rows[2].id))
    connection.close()

    engine = world.engine
    worker = Worker(engine)
    for message in await engine.ledger.claim(
        "w",
        10,
        now=engine.now(),
        lease_until=engine.now() + 60_000_000,  # type: ignore[arg-type]
    ):
        await worker._carry_one(message, engine)

    after = {row.line: row for row in await world.rows(receipt.batch_id)}
    assert (after[3].state, after[3].code) == (State.UNDER_REVIEW, "unsealable")
    assert {row.outcome for line, row in after.items() if line != 3} == {Outcome.ISSUED}
    assert receipt.batch_id is not None
    shown = [line["state"] async for line in report.results(CENTER, receipt.batch_id, engine)]
    assert shown == ["issued", "issued", "under_review", "issued", "issued"]
