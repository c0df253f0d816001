"""Statements of retention: what keys are kept for, legal holds, and what a shredding leaves."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from gateway.errors import Conflict, Refused
from gateway.ledger.journal import Entry
from gateway.ledger.keeping import STORES, Cursor, Hold, KeptMessages, Shredding, Wrapped
from gateway.ledger.sql.auditing import note
from gateway.ledger.sql.keys_in_use import where_it_is
from gateway.ledger.sql.transaction import Connection, Row, Transaction
from gateway.ledger.wrapping import bucket_of, key_named, key_of, stub
from gateway.message import MessageId, Micros
from gateway.states import FINAL, State
from gateway.values import replace

#: Every row that fits.
_Query = Callable[[str, Sequence[Any]], list[Row]]
#: Of a visa's number, once it is gone: as long as a real one, and of nothing.
_INDEX_BYTES: Final = 16
#: SQLite takes some thousands of values in one statement.
_AT_ONCE: Final = 500
#: The bucket that a hold on everything stops.
EVERY: Final = "*"


# --- what is kept -----------------------------------------------------------------------------------------


def kept_messages(reader: Connection, after: str, limit: int) -> KeptMessages:
    found = reader.execute(
        "SELECT m.id, m.data_key, m.state, m.season, b.id IS NOT NULL AND b.confirmed_at IS NULL AS waits"
        " FROM message m LEFT JOIN batch b ON b.id = m.batch_id WHERE m.id > ? ORDER BY m.id LIMIT ?",
        (after, limit),
    ).fetchall()
    # Looked at closely once for all that are alike: a day may go through millions.
    alike: Counter[tuple[bytes, str, bool]] = Counter()
    for row in found:
        stored = bytes(row["data_key"])
        named = stub(stored)
        if stored != named:
            alike[named, row["state"], bool(row["waits"])] += 1
    counts: dict[str, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for (named, state, waits), count in alike.items():
        n, live, unconfirmed = counts[key_named(named)]
        is_live = State(state) not in FINAL
        counts[key_named(named)] = (n + count, live + count * is_live, unconfirmed + count * waits)
    return KeptMessages(dict(counts), found[-1]["id"] if len(found) == limit else None)


def busy_keys(reader: Connection) -> frozenset[str]:
    """Batches that are not completed, and visas with which somebody is in the country."""
    found = [
        *reader.execute("SELECT data_key FROM batch WHERE state <> 'completed'").fetchall(),
        *reader.execute(
            "SELECT m.data_key FROM visa v JOIN message m ON m.id = v.message_id"
            " WHERE v.presence IN ('inside', 'overstayed')"
        ).fetchall(),
    ]
    return frozenset(key_named(bytes(row["data_key"])) for row in found)


def seasons(reader: Connection) -> Sequence[int]:
    found = reader.execute("SELECT DISTINCT season FROM batch WHERE season IS NOT NULL ORDER BY season")
    return [row["season"] for row in found.fetchall()]


def indexed(reader: Connection, season: int) -> bool:
    found = reader.execute(
        "SELECT 1 AS found FROM message WHERE season = ?"
        " AND (passport_index IS NOT NULL OR live_person_key IS NOT NULL) LIMIT 1",
        (season,),
    ).fetchone()
    return found is not None


# --- legal holds --------------------------------------------------------------------------------------------


def holds(reader: Connection) -> Sequence[Hold]:
    return _holds(lambda sql, values: reader.execute(sql, values).fetchall())


def _holds(query: _Query) -> list[Hold]:
    persons: dict[int, list[bytes]] = defaultdict(list)
    for row in query("SELECT hold_id, passport_index FROM held_person ORDER BY hold_id", ()):
        persons[row["hold_id"]].append(bytes(row["passport_index"]))
    found = query("SELECT * FROM hold WHERE released_at IS NULL ORDER BY id", ())
    return [_hold(row, tuple(persons[row["id"]])) for row in found]


def _hold(row: Row, passports: tuple[bytes, ...]) -> Hold:
    return Hold(
        scope=row["scope"],
        placed_by=row["placed_by"],
        placed_at=Micros(row["placed_at"]),
        id=row["id"],
        bucket=row["bucket"],
        message_id=MessageId(row["message_id"]) if row["message_id"] else None,
        passports=passports,
    )


def place_hold(tx: Transaction, hold: Hold, entry: Entry) -> Hold:
    begun = {row["bucket"] for row in tx.all("SELECT bucket FROM shredding")}
    named = _stopped(tx.all, hold) - {EVERY}
    if named and named <= begun:
        raise Conflict("retention_ended")
    row = tx.one(
        "INSERT INTO hold (scope, bucket, message_id, placed_by, placed_at) VALUES (?, ?, ?, ?, ?)"
        " RETURNING id",
        (hold.scope, hold.bucket, hold.message_id, hold.placed_by, hold.placed_at),
    )
    placed = replace(hold, id=int(row["id"]) if row else 0)
    tx.run_many(
        "INSERT INTO held_person (hold_id, passport_index) VALUES (?, ?)",
        [(placed.id, index) for index in hold.passports],
    )
    note(tx, replace(entry, detail={**(entry.detail or {}), "hold": placed.id}), ())
    return placed


def release_hold(tx: Transaction, hold_id: int, entry: Entry) -> None:
    released = tx.run(
        "UPDATE hold SET released_by = ?, released_at = ? WHERE id = ? AND released_at IS NULL",
        (entry.actor, entry.at, hold_id),
    )
    if not released:
        raise Refused("not_found", status=404)
    tx.run("DELETE FROM held_person WHERE hold_id = ?", (hold_id,))
    note(tx, entry, ())


def held_buckets(reader: Connection) -> Mapping[str, tuple[int, ...]]:
    return _held_buckets(lambda sql, values: reader.execute(sql, values).fetchall())


def _held_buckets(query: _Query) -> dict[str, tuple[int, ...]]:
    held: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for hold in _holds(query):
        for bucket in _stopped(query, hold):
            held[bucket] += (hold.id,)
    return dict(held)


def _stopped(query: _Query, hold: Hold) -> set[str]:
    if hold.scope == "all":
        return {EVERY}
    if hold.bucket is not None:
        return {hold.bucket}
    return _buckets(_keys_about(query, _messages(query, hold)))


def _messages(query: _Query, hold: Hold) -> set[str]:
    """All messages that are about what is held: of a person also those that only name the visa."""
    if hold.message_id is not None:
        ids = {str(hold.message_id)}
    else:
        found = _in(query, "SELECT id FROM message WHERE passport_index IN", hold.passports)
        ids = {row["id"] for row in found}
    ids |= {row["id"] for row in _in(query, "SELECT id FROM message WHERE parent_id IN", ids)}
    visas = _in(query, "SELECT number_index FROM visa WHERE message_id IN", ids)
    numbers = [bytes(row["number_index"]) for row in visas]
    naming = _in(query, "SELECT message_id FROM named_visa WHERE number_index IN", numbers)
    return ids | {row["message_id"] for row in naming}


def _keys_about(query: _Query, ids: Iterable[str]) -> list[Wrapped]:
    """What is sealed about these messages: they themselves, their batches, events, and operators' reasons."""
    wanted = list(ids)
    of_events = "SELECT data_key AS stored FROM outbox WHERE sealed IS NOT NULL AND message_id IN"
    of_batches = "SELECT b.data_key AS stored FROM batch b JOIN message m ON m.batch_id = b.id WHERE m.id IN"
    return [
        *_stored(query, "message", "SELECT data_key AS stored FROM message WHERE id IN", wanted),
        *_stored(query, "batch", of_batches, wanted),
        *_stored(query, "outbox", of_events, wanted),
        *_stored(query, "audit", "SELECT note AS stored FROM audit WHERE note IS NOT NULL AND message_id IN",
                 wanted),
    ]  # fmt: skip


def _stored(query: _Query, store: str, sql: str, values: Sequence[Any]) -> list[Wrapped]:
    return [Wrapped(store, (), "", bytes(row["stored"])) for row in _in(query, sql, values)]


def _buckets(rows: Iterable[Wrapped]) -> set[str]:
    return {bucket_of(key_of(row)) for row in rows} - {""}


def _in(query: _Query, sql: str, values: Iterable[Any]) -> list[Row]:
    wanted = list(values)
    found: list[Row] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        found += query(f"{sql} ({', '.join('?' * len(part))})", part)
    return found


# --- shredding ----------------------------------------------------------------------------------------------


def shreddings(reader: Connection) -> Sequence[Shredding]:
    found = reader.execute("SELECT * FROM shredding ORDER BY started_at, bucket").fetchall()
    return [_shredding(row) for row in found]


def begin_shredding(tx: Transaction, bucket: str, due_on: date, entry: Entry) -> bool:
    # Looked at in this transaction: a hold that was placed a moment ago counts.
    held = _held_buckets(tx.all)
    if bucket in held or EVERY in held:
        raise Conflict("retention_held")
    begun = tx.run(
        "INSERT INTO shredding (bucket, due_on, store, after_row, counts, seasons, started_by, started_at)"
        " VALUES (?, ?, ?, '[]', '{}', '[]', ?, ?) ON CONFLICT DO NOTHING",
        (bucket, due_on.isoformat(), STORES[0], entry.actor, entry.at),
    )
    if begun:
        note(tx, entry, ())
    return bool(begun)


def keys_destroyed(tx: Transaction, bucket: str, entry: Entry) -> None:
    if tx.run(
        "UPDATE shredding SET keys_destroyed_at = ? WHERE bucket = ? AND keys_destroyed_at IS NULL",
        (entry.at, bucket),
    ):
        tx.run_many(
            "DELETE FROM retired_key WHERE id = ?", [(key_id,) for key_id in (entry.detail or {})["keys"]]
        )
        note(tx, entry, ())


def blank(tx: Transaction, shredding: Shredding, rows: Sequence[Wrapped], to: Cursor) -> Shredding | None:
    found = {row.position[0] for row in rows if row.store == "message"}
    of_seasons = _in(tx.all, "SELECT DISTINCT season FROM message WHERE id IN", found)
    counts = dict(shredding.counts)
    for row in rows:
        counts[row.store] = counts.get(row.store, 0) + 1
    seasons = sorted({*shredding.seasons, *(row["season"] for row in of_seasons)})
    moved = tx.run(
        "UPDATE shredding SET store = ?, after_row = ?, counts = ?, seasons = ?"
        " WHERE bucket = ? AND finished_at IS NULL AND coalesce(store, '') = ? AND after_row = ?",
        (to.store, json.dumps(to.after), json.dumps(counts, sort_keys=True), json.dumps(seasons),
         shredding.bucket, shredding.cursor.store or "", json.dumps(shredding.cursor.after)),
    )  # fmt: skip
    if not moved:
        return None
    for row in rows:
        _BLANKED[row.store](tx, row)
    return replace(shredding, cursor=to, counts=counts, seasons=tuple(seasons))


def end_shredding(tx: Transaction, bucket: str, entry: Entry) -> None:
    if tx.run(
        "UPDATE shredding SET finished_at = ? WHERE bucket = ? AND finished_at IS NULL", (entry.at, bucket)
    ):
        note(tx, entry, ())


def _shredding(row: Row) -> Shredding:
    return Shredding(
        bucket=row["bucket"],
        due_on=date.fromisoformat(row["due_on"]),
        cursor=Cursor(row["store"], tuple(json.loads(row["after_row"]))),
        started_by=row["started_by"],
        started_at=Micros(row["started_at"]),
        keys_destroyed_at=row["keys_destroyed_at"],
        finished_at=row["finished_at"],
        counts=json.loads(row["counts"]),
        seasons=tuple(json.loads(row["seasons"])),
    )


def _blank_message(tx: Transaction, row: Wrapped) -> None:
    """What remains: whose it was, its states and times, and under which key it was."""
    id = row.position[0]
    tx.run(
        "UPDATE message SET data_key = ?, sealed_payload = ?, sealed_progress = NULL, payload_sha = NULL,"
        " live_person_key = NULL, passport_index = NULL, idempotency_key = NULL, reference = '',"
        " batch_reference = '', group_number = NULL WHERE id = ?",
        (stub(row.stored), b"", id),
    )
    tx.run(
        "UPDATE attempt SET sealed_result = NULL WHERE message_id = ? AND sealed_result IS NOT NULL", (id,)
    )
    tx.run("DELETE FROM named_visa WHERE message_id = ?", (id,))
    tx.run("DELETE FROM movement WHERE message_id = ?", (id,))
    tx.run("DELETE FROM sender_key WHERE message_id = ?", (id,))
    tx.run("DELETE FROM resolution WHERE message_id = ?", (id,))
    # A season's numbers stay true; whose visa it was can't be asked any more.
    tx.run(
        "UPDATE visa SET number_index = ?, arrived_on = NULL, departed_on = NULL WHERE message_id = ?",
        (os.urandom(_INDEX_BYTES), id),
    )


def _blank_batch(tx: Transaction, row: Wrapped) -> None:
    id = row.position[0]
    tx.run(
        "UPDATE batch SET data_key = ?, sealed_receipt = NULL, payload_sha = NULL, idempotency_key = ?,"
        " batch_reference = NULL, group_number = NULL WHERE id = ?",
        (stub(row.stored), f"shredded/{id}", id),
    )


def _blank_event(tx: Transaction, row: Wrapped) -> None:
    tx.run("UPDATE outbox SET data_key = NULL, sealed = NULL, subject = NULL WHERE seq = ?", row.position)


def _remove_photo(tx: Transaction, row: Wrapped) -> None:
    place, values = where_it_is(row)
    tx.run(f"DELETE FROM photo WHERE {place}", values)


def _blank_note(tx: Transaction, row: Wrapped) -> None:
    """Its commitment stays in the chain."""
    tx.run("UPDATE audit SET note = NULL WHERE seq = ?", row.position)


def _blank_proposal(tx: Transaction, row: Wrapped) -> None:
    tx.run("UPDATE resolution SET note = ? WHERE message_id = ?", (b"", *row.position))


def _blank_pause(tx: Transaction, row: Wrapped) -> None:
    """It goes on without its reason."""
    tx.own_places()
    tx.run("UPDATE destination SET pause_note = NULL WHERE name = ?", row.position)


_BLANKED: Final[Mapping[str, Callable[[Transaction, Wrapped], None]]] = {
    "message": _blank_message,
    "batch": _blank_batch,
    "outbox": _blank_event,
    "photo": _remove_photo,
    "audit": _blank_note,
    "resolution": _blank_proposal,
    "destination": _blank_pause,
}
