"""Statements of key rotation: everything sealed, row by row, and the data keys that are wrapped anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import Conflict
from gateway.ledger.journal import Entry
from gateway.ledger.keeping import STORES, Cursor, Position, Rotation, Wrapped
from gateway.ledger.sql.auditing import note
from gateway.ledger.sql.transaction import Connection, Row, Transaction
from gateway.message import Micros
from gateway.values import replace


@dataclass(frozen=True, slots=True)
class _Store:
    """A table with something sealed."""

    #: Its primary key.
    key: tuple[str, ...]
    #: Where the data key is, or the whole note.
    column: str
    #: What the data key is bound to. A digest is bound to in hexadecimal digits.
    id: str
    #: Of the row, in bytes.
    weight: str = "0"
    where: str = ""


_TABLES: Final[Mapping[str, _Store]] = {
    "message": _Store(
        ("id",), "data_key", "id", "length(sealed_payload) + coalesce(length(sealed_progress), 0)"
    ),
    "batch": _Store(("id",), "data_key", "id", "coalesce(length(sealed_receipt), 0)"),
    "outbox": _Store(("seq",), "data_key", "event_id", "length(sealed)", "sealed IS NOT NULL AND "),
    "photo": _Store(("party", "digest"), "data_key", "digest", "length(sealed)"),
    "audit": _Store(("seq",), "note", "''", where="note IS NOT NULL AND "),
    "resolution": _Store(("message_id",), "note", "''"),
    "destination": _Store(("name",), "pause_note", "''", where="pause_note IS NOT NULL AND "),
}


def wrapped(reader: Connection, cursor: Cursor, limit: int) -> Sequence[Wrapped]:
    if cursor.store is None:
        return []
    store = _TABLES[cursor.store]
    behind, values = _behind(cursor.after, store)
    found = reader.execute(
        f"SELECT {', '.join(store.key)}, {store.id} AS bound_to, {store.column} AS stored,"
        f" {store.weight} AS weight FROM {cursor.store} WHERE {store.where}{behind}"
        f" ORDER BY {', '.join(store.key)} LIMIT ?",
        (*values, limit),
    ).fetchall()
    return [_wrapped(cursor.store, store, row) for row in found]


def _behind(after: Position, store: _Store) -> tuple[str, tuple[Any, ...]]:
    if not after:
        return "1 = 1", ()
    marks = ", ".join("?" * len(store.key))
    return f"({', '.join(store.key)}) > ({marks})", _values(after, store)


def _values(position: Position, store: _Store) -> tuple[Any, ...]:
    """A position as the columns have it: digests are bytes."""
    pairs = zip(store.key, position, strict=True)
    return tuple(bytes.fromhex(str(value)) if name == "digest" else value for name, value in pairs)


def _wrapped(name: str, store: _Store, row: Row) -> Wrapped:
    position = tuple(_plain(row[column]) for column in store.key)
    return Wrapped(name, position, str(_plain(row["bound_to"])), bytes(row["stored"]), row["weight"])


def _plain(value: Any) -> int | str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value if isinstance(value, int) else str(value)


def sealed_rows(reader: Connection) -> int:
    total = 0
    for name, store in _TABLES.items():
        row = reader.execute(f"SELECT count(*) AS n FROM {name} WHERE {store.where}1 = 1").fetchone()
        total += int(row["n"])
    return total


def write_stored(tx: Transaction, row: Wrapped, stored: bytes) -> bool:
    """Put this in the place of the data key (or note), if that is still as it was read."""
    store = _TABLES[row.store]
    places = " AND ".join(f"{column} = ?" for column in store.key)
    changed = tx.run(
        f"UPDATE {row.store} SET {store.column} = ? WHERE {places} AND {store.column} = ?",
        (stored, *_values(row.position, store), row.stored),
    )
    return changed == 1


def where_it_is(row: Wrapped) -> tuple[str, tuple[Any, ...]]:
    """The condition that names the row, with its values."""
    store = _TABLES[row.store]
    return " AND ".join(f"{column} = ?" for column in store.key), _values(row.position, store)


# --- rotations --------------------------------------------------------------------------------------------


def rotation(reader: Connection) -> Rotation | None:
    row = reader.execute("SELECT * FROM rotation ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else _rotation(row)


def begin_rotation(tx: Transaction, targets: Mapping[str, int], total: int, entry: Entry) -> Rotation:
    if tx.one("SELECT 1 AS running FROM rotation WHERE finished_at IS NULL") is not None:
        raise Conflict("rotation_running")
    row = tx.one(
        "INSERT INTO rotation (targets, store, after_row, rounds, total, done, unreadable, started_by,"
        " started_at) VALUES (?, ?, '[]', 1, ?, 0, 0, ?, ?) RETURNING *",
        (json.dumps(targets, sort_keys=True), STORES[0], total, entry.actor, entry.at),
    )
    note(tx, entry, ())
    return _rotation(row)


def rewrap(
    tx: Transaction,
    rotation: Rotation,
    changed: Sequence[tuple[Wrapped, bytes]],
    to: Cursor,
    seen: int,
    unreadable: int,
) -> Rotation | None:
    again = rotation.cursor.store is None and to.store is not None
    went = replace(
        rotation,
        cursor=to,
        rounds=rotation.rounds + again,
        done=0 if again else rotation.done + seen,
        unreadable=0 if again else rotation.unreadable + unreadable,
    )
    moved = tx.run(
        "UPDATE rotation SET store = ?, after_row = ?, rounds = ?, done = ?, unreadable = ?"
        " WHERE id = ? AND finished_at IS NULL AND coalesce(store, '') = ? AND after_row = ? AND rounds = ?",
        (to.store, json.dumps(to.after), went.rounds, went.done, went.unreadable, rotation.id,
         rotation.cursor.store or "", json.dumps(rotation.cursor.after), rotation.rounds),
    )  # fmt: skip
    if not moved:
        return None
    for row, stored in changed:
        write_stored(tx, row, stored)
    return went


def end_rotation(tx: Transaction, rotation: Rotation, retired: Sequence[str], entry: Entry) -> None:
    ended = tx.run(
        "UPDATE rotation SET finished_at = ? WHERE id = ? AND finished_at IS NULL", (entry.at, rotation.id)
    )
    if not ended:
        return
    tx.run_many(
        "INSERT INTO retired_key (id, retired_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(key_id, entry.at) for key_id in retired],
    )
    note(tx, entry, ())


def retired_keys(reader: Connection) -> Mapping[str, Micros]:
    found = reader.execute("SELECT id, retired_at FROM retired_key ORDER BY id").fetchall()
    return {row["id"]: Micros(row["retired_at"]) for row in found}


def forget_key(tx: Transaction, key_id: str, entry: Entry) -> None:
    if tx.run("DELETE FROM retired_key WHERE id = ?", (key_id,)):
        note(tx, entry, ())


def _rotation(row: Row) -> Rotation:
    return Rotation(
        id=row["id"],
        targets=json.loads(row["targets"]),
        cursor=Cursor(row["store"], tuple(json.loads(row["after_row"]))),
        rounds=row["rounds"],
        total=row["total"],
        done=row["done"],
        unreadable=row["unreadable"],
        started_by=row["started_by"],
        started_at=Micros(row["started_at"]),
        finished_at=row["finished_at"],
    )
