"""Rotation: all is wrapped anew, nothing is unreadable meanwhile, old keys go once nothing uses them."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from pathlib import Path

import pytest

from gateway.errors import Conflict
from gateway.ledger.keeping import Cursor
from gateway.ledger.keys import KeyVersion
from gateway.ledger.vault import payload_place
from gateway.ledger.wrapping import bucket_of
from gateway.message import MessageId
from gateway.pipeline import operate, partners, report, rotate
from gateway.pipeline.photos import keep_photo
from gateway.pipeline.walk import keys_in_use
from gateway.states import Outcome
from gateway.values import replace
from tests.flows.office import send
from tests.pipeline.world import CENTER, World

REASON = "yearly"


async def everything_sealed(world: World) -> list[str]:
    """A batch that was carried, an event, a photo, a reason, a proposal. Returns what the reasons say."""
    await world.submit(4)
    await world.carry_until_rest()
    await send(world, CENTER, "complaint.submission")
    await keep_photo(CENTER, "ab" * 32, base64.b64encode(b"jpeg"), world.engine)
    waiting = await world.submit(world.applications(1, seed=8), key="key-2")
    row = await world.only(waiting)
    await operate.retry(row.id, "operator-1", "phoned the mission", world.engine)
    await partners.pause("banks", "operator-1", "they move house", None, world.engine)
    return ["phoned the mission", "they move house"]


async def reasons(world: World) -> list[str]:
    entries = await world.engine.ledger.journal(after=0, limit=10_000)
    return [world.engine.vault.read_note(one.entry.note) for one in entries if one.entry.note]


async def paused_for(world: World) -> list[str | None]:
    found = await partners.list_partners(world.engine)
    return [(each["paused"] or {}).get("reason") for each in found["partners"]]


async def rotated(world: World) -> None:
    await rotate.begin_rotation("admin-1", REASON, world.engine)
    assert await rotate.go_on(world.engine)


async def test_everything_is_under_the_new_versions_and_still_opens(world: World) -> None:
    said = await everything_sealed(world)
    engine = world.engine
    before = await keys_in_use(engine.ledger)
    await rotated(world)

    after = await keys_in_use(engine.ledger)
    assert {key_id.rpartition(".")[2] for key_id in after} == {"2"}
    assert {store for rows in after.values() for store in rows} == {
        "message", "batch", "outbox", "photo", "audit", "destination",
    }  # fmt: skip
    # The reason for the rotation itself is sealed too, just before there were new keys.
    assert sum(sum(rows.values()) for rows in after.values()) == 1 + sum(
        sum(rows.values()) for rows in before.values()
    )
    assert await reasons(world) == [*said, REASON]
    pauses = [pause for pause in await paused_for(world) if pause]
    assert pauses == ["they move house"]
    receipt = await world.submit(4)
    assert receipt.replayed
    assert receipt.batch_id is not None
    shown = [line async for line in report.results(CENTER, receipt.batch_id, engine)]
    assert all(line["visa"]["number"] and line["reference"] for line in shown)


async def test_old_versions_are_retired_once_nothing_uses_them_and_destroyed_much_later(
    world: World,
) -> None:
    await everything_sealed(world)
    engine = world.engine
    await rotated(world)
    versions = engine.vault.keys.versions()
    assert {version.retired for version in versions if version.number == 1} == {True}
    assert {version.retired for version in versions if version.number == 2} == {False}

    assert await rotate.destroy_retired(engine) == 0
    world.clock.pass_by(days=engine.settings.gateway.retention.keep_retired_days)
    assert await rotate.destroy_retired(engine) == len(versions) // 2
    assert {version.number for version in engine.vault.keys.versions()} == {2}
    assert await engine.ledger.retired_keys() == {}
    actions = [one.entry.action for one in await engine.ledger.journal(after=0, limit=10_000)]
    assert actions.count("destroy_key") == len(versions) // 2


async def test_a_retired_key_that_something_still_names_is_not_destroyed(world: World) -> None:
    await everything_sealed(world)
    engine = world.engine
    (row,) = (await engine.ledger.wrapped(Cursor("message"), 1))[:1]
    await rotated(world)
    # As one that was wrapped before the rotation and recorded after it.
    late = await world.submit(1, key="late")
    message = await world.only(late)
    old = KeyVersion(bucket_of(row.stored[1 : 1 + row.stored[0]].decode()), 1)
    assert await rewrapped_under(world, message.id, old)

    world.clock.pass_by(days=engine.settings.gateway.retention.keep_retired_days)
    await rotate.destroy_retired(engine)
    assert old.id in {version.id for version in engine.vault.keys.versions()}
    assert report.is_shredded(await world.only(late), engine) is False


async def rewrapped_under(world: World, message_id: MessageId, old: KeyVersion) -> bool:
    """Put a message's data key under an old version, as a process that was slow would."""
    engine = world.engine
    row = await engine.ledger.message(message_id)
    assert row is not None
    keys = engine.vault.keys
    key = keys.unwrap(f"{old.bucket}.2", row.data_key[1 + row.data_key[0] :], f"{row.id}|data_key")
    cipher = keys._cipher(old.id)  # type: ignore[attr-defined]
    nonce = b"\x07" * 12
    wrapped = nonce + cipher.encrypt(nonce, key, f"{row.id}|data_key|{old.id}".encode())
    stored = bytes((len(old.id),)) + old.id.encode() + wrapped
    change = "UPDATE message SET data_key = ? WHERE id = ?"
    return bool(await engine.ledger._write(lambda tx: tx.run(change, (stored, message_id))))  # type: ignore[attr-defined]


async def test_there_is_one_rotation_at_a_time(world: World) -> None:
    await everything_sealed(world)
    await rotate.begin_rotation("admin-1", REASON, world.engine)
    with pytest.raises(Conflict, match="rotation_running"):
        await rotate.begin_rotation("admin-1", REASON, world.engine)
    assert await rotate.go_on(world.engine)
    assert not await rotate.go_on(world.engine)


async def test_a_message_that_was_claimed_before_is_carried_to_its_end(world: World) -> None:
    receipt = await world.submit(3)
    engine = world.engine
    world.nic.gate = asyncio.Event()
    carrying = asyncio.create_task(world.carry_due())
    while not world.nic.sent:
        await asyncio.sleep(0)
    await rotated(world)
    world.nic.gate.set()
    await carrying
    await world.carry_until_rest()
    assert {row.outcome for row in await world.rows(receipt.batch_id)} == {Outcome.ISSUED}
    assert set(await keys_in_use(engine.ledger)) <= {
        version.id for version in engine.vault.keys.versions() if not version.retired
    }


async def test_a_rotation_goes_on_where_another_process_died(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await everything_sealed(world)
    engine = world.engine
    monkeypatch.setattr("gateway.pipeline.walk._ROWS", 1)
    await rotate.begin_rotation("admin-1", REASON, engine)
    total = await engine.ledger.sealed_rows()
    for _ in range(3 * total + 10):
        began = await engine.ledger.rotation()
        assert began is not None
        # One transaction each, then "death": nothing is kept in memory.
        rotate._make_versions(engine.vault.keys, began.targets)
        again = await rotate._some(began, engine)
        if again is not None and again.cursor.store is None:
            break
        now = await engine.ledger.rotation()
        assert now is not None and now.cursor != began.cursor
    assert await rotate.go_on(engine)
    assert {key_id.rpartition(".")[2] for key_id in await keys_in_use(engine.ledger)} == {"2"}
    ended = await engine.ledger.rotation()
    assert ended is not None and (ended.done, ended.rounds) == (total, 1)


async def test_of_two_that_go_on_at_once_one_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await everything_sealed(world)
    monkeypatch.setattr("gateway.pipeline.walk._ROWS", 1)
    await rotate.begin_rotation("admin-1", REASON, world.engine)
    await asyncio.gather(rotate.go_on(world.engine), rotate.go_on(world.engine))
    await rotate.go_on(world.engine)
    ended = await world.engine.ledger.rotation()
    assert ended is not None and ended.finished_at is not None
    # Both may have made a version: that wastes one, and no more.
    used = {key_id.rpartition(".")[2] for key_id in await keys_in_use(world.engine.ledger)}
    assert "1" not in used


async def test_a_damaged_data_key_stays_as_it_is_and_its_key_too(world: World, tmp_path: Path) -> None:
    receipt = await world.submit(3)
    rows = await world.rows(receipt.batch_id)
    damaged = bytearray(rows[1].data_key)
    damaged[-1] ^= 1
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE message SET data_key = ? WHERE id = ?", (bytes(damaged), rows[1].id))
    connection.close()
    await rotated(world)

    engine = world.engine
    ended = await engine.ledger.rotation()
    assert ended is not None and ended.finished_at is not None and ended.unreadable == 1
    first = next(version for version in engine.vault.keys.versions() if version.bucket.startswith("visa-"))
    assert (first.number, first.retired) == (1, False)
    after = await world.rows(receipt.batch_id)
    assert after[1].data_key == bytes(damaged)
    for row in (after[0], after[2]):
        key = engine.vault.data_key(row.id, row.data_key)
        assert engine.vault.open(key, row.sealed_payload, place=payload_place(row))


async def test_what_changed_since_it_was_read_is_not_overwritten(world: World) -> None:
    receipt = await world.submit(1)
    engine = world.engine
    await rotate.begin_rotation("admin-1", REASON, engine)
    rotation = await engine.ledger.rotation()
    assert rotation is not None
    (row,) = await engine.ledger.wrapped(Cursor("message"), 10)
    stale = replace(row, stored=b"as it was before")
    await engine.ledger.rewrap(rotation, [(stale, b"anew")], rotation.cursor.past(row.position))
    assert (await world.only(receipt)).data_key == row.stored


async def test_a_heavy_row_makes_for_a_short_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.submit(4)
    monkeypatch.setattr("gateway.pipeline.walk._BYTES", 1)
    from gateway.pipeline.walk import next_rows

    rows, to = await next_rows(Cursor("message"), world.engine.ledger)
    assert len(rows) == 1 and to.after == rows[0].position


async def test_keys_are_listed_with_what_uses_them(world: World) -> None:
    await everything_sealed(world)
    await rotated(world)
    listed = await rotate.list_keys(world.engine, count=True)
    states = {key["id"]: key["state"] for key in listed["keys"]}
    assert set(states.values()) == {"retired", "wraps"}
    for key in listed["keys"]:
        assert bool(key["in_use"]) == (key["state"] == "wraps") or not key["in_use"]
        assert (key["retired_at"] is None) == (key["state"] == "wraps")
    assert listed["rotation"]["state"] == "finished"
    assert listed["rotation"]["done"] == listed["rotation"]["total"]
