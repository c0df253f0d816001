"""Transactions and queries of the journal: what is noted by itself, and what auditors ask for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.ledger.journal import Entry, Head
from gateway.ledger.records import Checkpoint, Disclosed, JournalRow, Note
from gateway.ledger.sqlite.connection import Connection, Row
from gateway.ledger.sqlite.journal import write_audit
from gateway.ledger.sqlite.writer import Transaction
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


def policy_texts(reader: Connection) -> Mapping[str, tuple[str, str]]:
    """Name and text by digest."""
    found = reader.execute("SELECT digest, name, text FROM policy_text ORDER BY digest").fetchall()
    return {row["digest"]: (row["name"], row["text"]) for row in found}


# --- disclosures ------------------------------------------------------------------------------------------


def disclosures(reader: Connection, passports: Sequence[bytes]) -> Sequence[Disclosed]:
    """What was given to whom of the persons behind these passport indices, in the order in which it was."""
    applications = _in(reader, "SELECT id, batch_id, line FROM message WHERE passport_index IN", passports)
    ids = [row["id"] for row in applications]
    about = {*ids, *(row["id"] for row in _in(reader, "SELECT id FROM message WHERE parent_id IN", ids))}
    visas = [
        row["number_index"] for row in _in(reader, "SELECT number_index FROM visa WHERE message_id IN", ids)
    ]
    about |= {
        row["message_id"]
        for row in _in(reader, "SELECT message_id FROM named_visa WHERE number_index IN", visas)
    }
    lines = {row["batch_id"]: row["line"] for row in applications if row["batch_id"] is not None}
    entries = [
        *_in(reader, "SELECT * FROM audit WHERE (detail IS NOT NULL OR action = 'lease_ended')"
                     " AND message_id IN", sorted(about)),
        *(row for row in _in(reader, "SELECT * FROM audit WHERE message_id IS NULL AND detail IS NOT NULL"
                                     " AND batch_id IN", list(lines))
          if _within(row, lines[row["batch_id"]])),
    ]  # fmt: skip
    scopes = _scopes(reader)
    return [
        one for row in sorted(entries, key=lambda row: int(row["seq"])) for one in _disclosed(row, scopes)
    ]


#: SQLite takes some thousands of values in one statement.
_AT_ONCE = 500


def _in(reader: Connection, sql: str, values: Sequence[Any]) -> list[Row]:
    found: list[Row] = []
    for start in range(0, len(values), _AT_ONCE):
        part = values[start : start + _AT_ONCE]
        found += reader.execute(f"{sql} ({', '.join('?' * len(part))})", list(part)).fetchall()
    return found


def _within(row: Row, line: int) -> bool:
    """Whether a batch's entry is about that line too: about all of them unless it says which."""
    lines = json.loads(row["detail"]).get("lines")
    return lines is None or lines[0] <= line <= lines[1]


def _scopes(reader: Connection) -> Mapping[int, Disclosure]:
    found = reader.execute("SELECT * FROM scope").fetchall()
    return {
        row["id"]: Disclosure(
            row["receiver"], row["operation"], tuple(json.loads(row["fields"])), row["purpose"], row["rule"]
        )
        for row in found
    }


def _disclosed(row: Row, scopes: Mapping[int, Disclosure]) -> Iterable[Disclosed]:
    """One an entry names; a lease that ended tells that there may have been a call which no entry names."""
    entry = journal_row(row)
    if entry.entry.action == "lease_ended":
        yield Disclosed(entry.seq, entry.entry, None)
    for scope in (entry.entry.detail or {}).get("disclosed", ()):
        yield Disclosed(entry.seq, entry.entry, scopes.get(scope))
