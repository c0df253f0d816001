"""The journal's pages: entries of one commit group, linked and written together, last of all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.ledger.journal import GENESIS, Entry, Head, Linked, link, to_json
from gateway.ledger.records import Note
from gateway.message import Disclosure, Micros

if TYPE_CHECKING:
    from gateway.ledger.sql.transaction import Transaction, Work

#: Where one process writes, there is one chain.
CHAIN: Final = "main"

RECORDS_CAME_TO: Final = "SELECT coalesce(max(seq), 0) AS seq FROM record"
_INSERT: Final = (
    "INSERT INTO audit (chain, number, hash, at, action, actor, message_id, batch_id, from_state,"
    " to_state, code, records, detail, commitment, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class ChainMoved(Exception):
    """Another process wrote to this chain: the transaction is undone and runs again."""


class JournalMemory:
    """The head of this writer's chain and the numbers of known scopes, kept in memory once read.

    Used by whoever has the writing connection; forgotten when a group of transactions is undone.
    """

    def __init__(self, chain: str = CHAIN) -> None:
        self.chain = chain
        self.head: Head | None = None
        self.scopes: dict[Disclosure, int] = {}

    def forget(self) -> None:
        self.head = None
        self.scopes.clear()


class JournalPage:
    """Collects the entries of one transaction; `linked` gives what writes them."""

    def __init__(self, memory: JournalMemory) -> None:
        self._memory = memory
        self._entries: list[Entry] = []
        self._records: int | None = None

    def note(self, entry: Entry) -> None:
        self._entries.append(entry)

    def records(self, tx: Transaction) -> int:
        """How far the records have come."""
        if self._records is None:
            row = tx.one(RECORDS_CAME_TO)
            self._records = int(row["seq"]) if row else 0
        return self._records

    def records_came_to(self, seq: int) -> None:
        """This transaction looked, or made another version of a record."""
        self._records = seq

    def scope(self, tx: Transaction, disclosure: Disclosure, now: Micros) -> int:
        """The number by which entries name who gets which fields; its first use is an entry itself."""
        known = self._memory.scopes.get(disclosure)
        if known is not None:
            return known
        values = (disclosure.receiver, disclosure.operation, disclosure.purpose, disclosure.rule,
                  json.dumps(disclosure.fields))  # fmt: skip
        made = tx.run(
            "INSERT INTO scope (receiver, operation, purpose, rule, fields) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            values,
        )
        row = tx.one(
            "SELECT id FROM scope WHERE receiver = ? AND operation = ? AND purpose = ? AND rule = ?"
            " AND fields = ?",
            values,
        )
        if row is None:
            raise AssertionError("a scope that was written is not there")
        if made:
            self.note(Entry(now, "scope", "gateway", detail=_scope(int(row["id"]), disclosure)))
        self._memory.scopes[disclosure] = int(row["id"])
        return int(row["id"])

    def linked(self, tx: Transaction) -> Work:
        """What writes them at the end of the chain, which goes on from there. Raises `ChainMoved`."""
        if not self._entries:
            return ()
        memory = self._memory
        head = memory.head or _head(tx, memory.chain)
        linked = list(link(memory.chain, head, self._entries))
        to = Head(linked[-1].number, linked[-1].hash)
        _advance(tx, memory.chain, head, to)
        memory.head, self._entries = to, []
        return [(_INSERT, [_row(memory.chain, one) for one in linked])]


def write_audit(
    tx: Transaction,
    *,
    at: Micros,
    action: str,
    actor: str,
    message_id: str | None = None,
    batch_id: str | None = None,
    before: str | None = None,
    after: str | None = None,
    code: str | None = None,
    disclosed: Sequence[Disclosure] = (),
    detail: Mapping[str, Any] | None = None,
    why: Note | None = None,
) -> None:
    """Note in the journal what happened, with how far the records had come: it was decided under them."""
    page = tx.journal
    if disclosed:
        detail = {"disclosed": [page.scope(tx, one, at) for one in disclosed], **(detail or {})}
    page.note(
        Entry(
            at, action, actor, message_id, batch_id, before, after, code, page.records(tx), detail,
            why.commitment if why else None, why.sealed if why else None,
        )
    )  # fmt: skip


def _head(tx: Transaction, chain: str) -> Head:
    row = tx.one("SELECT number, hash FROM chain WHERE name = ?", (chain,))
    return Head(0, GENESIS) if row is None else Head(int(row["number"]), row["hash"])


def _advance(tx: Transaction, chain: str, since: Head, to: Head) -> None:
    """The chain goes on from where this writer left it. Raises `ChainMoved`."""
    advanced = tx.run(
        "UPDATE chain SET number = ?, hash = ? WHERE name = ? AND number = ?"
        if since.number
        else "INSERT INTO chain (number, hash, name) SELECT ?, ?, ? WHERE ? = 0 ON CONFLICT DO NOTHING",
        (to.number, to.hash, chain, since.number),
    )
    if not advanced:
        raise ChainMoved(chain)


def _row(chain: str, one: Linked) -> tuple[Any, ...]:
    e = one.entry
    return (chain, one.number, one.hash, e.at, e.action, e.actor, e.message_id, e.batch_id, e.before, e.after,
            e.code, e.records, _text(e.detail), e.commitment, e.note)  # fmt: skip


def _scope(id: int, disclosure: Disclosure) -> dict[str, Any]:
    return {
        "scope": id,
        "receiver": disclosure.receiver,
        "operation": disclosure.operation,
        "purpose": disclosure.purpose,
        "rule": disclosure.rule,
        "fields": list(disclosure.fields),
    }


def _text(detail: Mapping[str, Any] | None) -> str | None:
    return None if detail is None else to_json(detail)
