"""Queries. They run on connections that can't write, off the event loop, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from gateway.ledger.port import (
    AttemptRecord,
    AuditRow,
    BatchRow,
    Gauge,
    MessageFilter,
    MessageRow,
    ReferenceRecord,
    Resolution,
)
from gateway.ledger.sqlite import rows
from gateway.ledger.sqlite.connection import Connection
from gateway.message import BatchFacts, BatchId, MessageId, Micros, PartyId
from gateway.policies import gate
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


def audit(reader: Connection, message_id: MessageId) -> Sequence[AuditRow]:
    found = reader.execute("SELECT * FROM audit WHERE message_id = ? ORDER BY seq", (message_id,))
    return [rows.audit(row) for row in found.fetchall()]


def resolution(reader: Connection, message_id: MessageId) -> Resolution | None:
    row = reader.execute("SELECT * FROM resolution WHERE message_id = ?", (message_id,)).fetchone()
    return None if row is None else rows.resolution(row)


def reference(reader: Connection, kind: str, id: str) -> ReferenceRecord | None:
    row = reader.execute("SELECT * FROM reference WHERE kind = ? AND id = ?", (kind, id)).fetchone()
    if row is None:
        return None
    return ReferenceRecord(row["kind"], row["id"], row["version"], json.loads(row["facts"]))


def closed_by(reader: Connection, party: PartyId, facts: BatchFacts, today: date) -> str | None:
    def look_up(kind: str, id: str) -> Mapping[str, Any] | None:
        record = reference(reader, kind, id)
        return None if record is None else record.facts

    return gate.closed_by(party, facts, look_up, today)


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
    row = reader.execute("SELECT max(seq) FROM audit").fetchone()
    return int(row[0] or 0)
