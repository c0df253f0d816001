"""Queries. They run on connections that can't write, off the event loop, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.ledger.books import Record
from gateway.ledger.records import (
    AttemptRecord,
    AuditRow,
    BatchRow,
    Doubt,
    Gauge,
    MessageFilter,
    MessageRow,
    Position,
    Resolution,
    StoredEvent,
)
from gateway.ledger.sql import rows
from gateway.ledger.sql.memory import RECORD
from gateway.ledger.sql.transaction import Connection
from gateway.message import BatchId, MessageId, Micros, PartyId
from gateway.states import PublicState, State

_LIVE = "state NOT IN ('completed', 'cancelled', 'expired')"


def batch(reader: Connection, batch_id: BatchId) -> BatchRow | None:
    row = reader.execute("SELECT * FROM batch WHERE id = ?", (batch_id,)).fetchone()
    if row is None:
        return None
    counts = reader.execute(
        "SELECT public_state, n FROM batch_count WHERE batch_id = ? AND n > 0", (batch_id,)
    ).fetchall()
    return rows.batch(row, {count["public_state"]: count["n"] for count in counts})


def message(reader: Connection, message_id: MessageId) -> MessageRow | None:
    row = reader.execute("SELECT * FROM message WHERE id = ?", (message_id,)).fetchone()
    return None if row is None else rows.message(row)


def lines(
    reader: Connection, batch_id: BatchId, after_line: int, limit: int, state: PublicState | None
) -> Sequence[MessageRow]:
    wanted = "" if state is None else " AND public_state = ?"
    values = (batch_id, after_line, *(() if state is None else (state,)), limit)
    found = reader.execute(
        f"SELECT * FROM message WHERE batch_id = ? AND line > ?{wanted} ORDER BY line LIMIT ?",
        values,
    )
    return [rows.message(row) for row in found.fetchall()]


def messages(reader: Connection, wanted: MessageFilter, after_id: str, limit: int) -> Sequence[MessageRow]:
    conditions = {
        "state = ?": wanted.state,
        "kind = ?": wanted.kind,
        "party = ?": wanted.party,
        "batch_id = ?": wanted.batch_id,
        "updated_at < ?": wanted.older_than,
    }
    given = {text: value for text, value in conditions.items() if value is not None}
    where = " AND ".join(["id > ?", *given])
    found = reader.execute(
        f"SELECT * FROM message WHERE {where} ORDER BY id LIMIT ?",
        (after_id, *given.values(), limit),
    )
    return [rows.message(row) for row in found.fetchall()]


def attempts(reader: Connection, message_id: MessageId) -> Sequence[AttemptRecord]:
    found = reader.execute("SELECT * FROM attempt WHERE message_id = ? ORDER BY id", (message_id,))
    return [rows.attempt(row) for row in found.fetchall()]


def doubt(reader: Connection, message_id: MessageId) -> Doubt:
    row = reader.execute("SELECT send_by FROM message WHERE id = ?", (message_id,)).fetchone()
    return Doubt(None if row is None else row["send_by"], attempts(reader, message_id))


def audit(reader: Connection, message_id: MessageId) -> Sequence[AuditRow]:
    found = reader.execute("SELECT * FROM audit WHERE message_id = ? ORDER BY seq", (message_id,))
    return [rows.audit(row) for row in found.fetchall()]


def resolution(reader: Connection, message_id: MessageId) -> Resolution | None:
    row = reader.execute("SELECT * FROM resolution WHERE message_id = ?", (message_id,)).fetchone()
    return None if row is None else rows.resolution(row)


def record(reader: Connection, kind: str, id: str, at: int | None) -> Record | None:
    if at is None:
        row = reader.execute(RECORD, (kind, id)).fetchone()
    else:
        row = reader.execute(
            "SELECT * FROM record WHERE kind = ? AND id = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
            (kind, id, at),
        ).fetchone()
    return None if row is None else rows.record(row)


def events(reader: Connection, receiver: PartyId, after: int, limit: int) -> Sequence[StoredEvent]:
    found = reader.execute(
        "SELECT * FROM outbox WHERE receiver = ? AND seq > ? ORDER BY seq LIMIT ?", (receiver, after, limit)
    )
    return [rows.event(row) for row in found.fetchall()]


def events_of(reader: Connection, message_id: MessageId) -> Sequence[StoredEvent]:
    found = reader.execute(
        "SELECT * FROM outbox WHERE message_id = ? AND sealed IS NOT NULL ORDER BY seq", (message_id,)
    )
    return [rows.event(row) for row in found.fetchall()]


def records_of(reader: Connection, message_id: MessageId) -> Sequence[Record]:
    found = reader.execute("SELECT * FROM record WHERE message_id = ? ORDER BY seq", (message_id,))
    return [rows.record(row) for row in found.fetchall()]


def position(reader: Connection, receiver: PartyId, channel: str) -> Position:
    row = reader.execute(
        "SELECT * FROM position WHERE receiver = ? AND channel = ?", (receiver, channel)
    ).fetchone()
    return Position() if row is None else Position(row["seq"], row["failures"], row["next_at"])


def gauges(reader: Connection) -> Sequence[Gauge]:
    found = reader.execute(
        f"SELECT kind, state, count(*) AS n, min(received_at) AS oldest FROM message INDEXED BY message_live"
        f" WHERE {_LIVE} GROUP BY kind, state"
    )
    return [Gauge(row["kind"], State(row["state"]), row["n"], Micros(row["oldest"])) for row in found]


def uncertain(reader: Connection) -> Mapping[str, int]:
    found = reader.execute(
        "SELECT open_step, count(*) AS n FROM message WHERE state IN ('uncertain', 'inquiring')"
        f" AND {_LIVE} GROUP BY open_step"
    )
    return {row["open_step"] or "": row["n"] for row in found}


def audit_head(reader: Connection) -> int:
    row = reader.execute("SELECT coalesce(max(seq), 0) AS seq FROM audit").fetchone()
    return int(row["seq"])
