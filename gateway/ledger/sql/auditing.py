"""Transactions and queries of the journal: what is noted by itself, and what auditors ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from gateway.ledger.journal import Entry, Head
from gateway.ledger.records import Checkpoint, JournalRow, Note
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.transaction import Connection, Row, Transaction
from gateway.message import Disclosure, Micros


def note(tx: Transaction, entry: Entry, disclosed: Sequence[Disclosure]) -> None:
    write_audit(
        tx, at=entry.at, action=entry.action, actor=entry.actor, message_id=entry.message_id,
        batch_id=entry.batch_id, before=entry.before, after=entry.after, code=entry.code, disclosed=disclosed,
        detail=entry.detail, why=_why(entry),
    )  # fmt: skip


def _why(entry: Entry) -> Note | None:
    return None if entry.note is None else Note(entry.note, entry.commitment or "")


def journal(reader: Connection, after: int, limit: int) -> Sequence[JournalRow]:
    found = reader.execute("SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    return [journal_row(row) for row in found.fetchall()]


def journal_row(row: Row) -> JournalRow:
    entry = Entry(
        at=Micros(row["at"]),
        action=row["action"],
        actor=row["actor"],
        message_id=row["message_id"],
        batch_id=row["batch_id"],
        before=row["from_state"],
        after=row["to_state"],
        code=row["code"],
        records=row["records"],
        detail=None if row["detail"] is None else json.loads(row["detail"]),
        commitment=row["commitment"],
        note=row["note"],
    )
    return JournalRow(row["seq"], row["chain"], row["number"], row["hash"], entry)


def heads(reader: Connection) -> Mapping[str, Head]:
    found = reader.execute("SELECT name, number, hash FROM chain ORDER BY name").fetchall()
    return {row["name"]: Head(row["number"], row["hash"]) for row in found}


# --- checkpoints ------------------------------------------------------------------------------------------


def put_checkpoint(tx: Transaction, checkpoint: Checkpoint) -> bool:
    """False when another process made the one of that number first."""
    made = tx.run(
        "INSERT INTO checkpoint (number, at, document, signature) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (checkpoint.number, checkpoint.at, checkpoint.document, checkpoint.signature),
    )
    return bool(made)


def checkpoints(reader: Connection, after: int, limit: int) -> Sequence[Checkpoint]:
    found = reader.execute(
        "SELECT * FROM checkpoint WHERE number > ? ORDER BY number LIMIT ?", (after, limit)
    )
    return [_checkpoint(row) for row in found.fetchall()]


def last_checkpoint(reader: Connection) -> Checkpoint | None:
    row = reader.execute("SELECT * FROM checkpoint ORDER BY number DESC LIMIT 1").fetchone()
    return None if row is None else _checkpoint(row)


def _checkpoint(row: Row) -> Checkpoint:
    return Checkpoint(row["number"], Micros(row["at"]), row["document"], row["signature"])


# --- configuration ----------------------------------------------------------------------------------------


def configured(tx: Transaction, texts: Mapping[str, tuple[str, str]], entry: Entry) -> None:
    """Keep the text of each file (name: digest and text) under its digest, and note that they hold."""
    tx.run_many(
        "INSERT INTO policy_text (digest, name, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(digest, name, text) for name, (digest, text) in texts.items()],
    )
    note(tx, entry, ())


def last_configuration(reader: Connection) -> Entry | None:
    row = reader.execute(
        "SELECT * FROM audit WHERE action = 'configuration' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return None if row is None else journal_row(row).entry


def policy_texts(reader: Connection) -> Mapping[str, tuple[str, str]]:
    """Name and text by digest."""
    found = reader.execute("SELECT digest, name, text FROM policy_text ORDER BY digest").fetchall()
    return {row["digest"]: (row["name"], row["text"]) for row in found}
