"""`Books` on SQLite: one transaction's view of records, quotas, visas and the outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from gateway.ledger.books import Event, ForgottenVisa, Movement, Presence, Quota, QuotaState, Record, Visa
from gateway.ledger.records import MessageRow, NewMessage
from gateway.ledger.sql import rows
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.memory import BookMemory
from gateway.ledger.sql.rows import insert_message, record
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.ledger.sql.visas import visa_of_row
from gateway.message import MessageId, Micros

#: What is held because of a record waits for any change of them.
RECORDS = "records"
#: Kinds of records that the visa gate looks at; the others hold nothing up.
_GATE_READS = frozenset(
    {
        "licensee", "service_center", "agent", "mission", "package", "group", "controls", "activation",
        "overstay_standing", "mission_capacity", "business_day", "restoration",
    }
)  # fmt: skip
_FREE: Final = "UPDATE quota SET taken = taken - 1 WHERE control = ? AND scope = ?"


class SqlBooks:
    """See `gateway.ledger.books.Books`. Lives as long as its transaction."""

    def __init__(self, tx: Transaction, memory: BookMemory, today: date) -> None:
        self._tx = tx
        self._memory = memory
        self.now = tx.now
        self.today = today

    # reference records

    def record(self, kind: str, id: str) -> Record | None:
        return self._memory.record(self._tx, kind, id)

    def records(self, kind: str, *, owner: str | None = None) -> Sequence[Record]:
        where, values = ("", (kind,)) if owner is None else (" AND owner = ?", (kind, owner))
        found = self._tx.all(
            f"SELECT * FROM record WHERE kind = ?{where} AND in_force = 1 ORDER BY id", values
        )
        return [record(row) for row in found]

    def put(
        self,
        kind: str,
        id: str,
        facts: Mapping[str, Any],
        *,
        version: str,
        owner: str = "",
        message_id: str | None = None,
    ) -> Record:
        tx = self._tx
        tx.own_records()
        tx.run("UPDATE record SET in_force = 0 WHERE kind = ? AND id = ? AND in_force = 1", (kind, id))
        row = tx.one(
            "INSERT INTO record (kind, id, owner, version, facts, at, message_id, in_force)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 1) RETURNING *",
            (kind, id, owner, version, json.dumps(facts, sort_keys=True, default=str), self.now, message_id),
        )
        self._memory.forget()
        tx.journal.records_came_to(int(row["seq"]) if row else 0)
        if kind in _GATE_READS:
            self._wake_held_by_records()
        return record(row)

    def _wake_held_by_records(self) -> None:
        self._tx.run(
            "UPDATE message SET next_at = ?, hurried_at = ? WHERE state = 'held' AND waits_for = ?",
            (self.now, self.now, RECORDS),
        )

    # quotas

    def quota(self, quota: Quota) -> QuotaState | None:
        self._tx.places.flush(self._tx)
        row = self._tx.one(
            "SELECT ceiling, taken FROM quota WHERE control = ? AND scope = ?", (quota.control, quota.scope)
        )
        return None if row is None else QuotaState(quota, row["ceiling"], row["taken"])

    def set_ceiling(self, quota: Quota, ceiling: int) -> None:
        self._tx.places.flush(self._tx)
        self._tx.own_places()
        self._tx.run(
            "INSERT INTO quota (control, scope, ceiling) VALUES (?, ?, ?)"
            " ON CONFLICT (control, scope) DO UPDATE SET ceiling = excluded.ceiling",
            (quota.control, quota.scope, ceiling),
        )
        go_on(self._tx, quota)

    def reserve(self, message_id: MessageId, quotas: Sequence[Quota]) -> Quota | None:
        places = self._tx.places
        if places.held_by(self._tx, message_id):
            # Of an earlier attempt: perhaps under another ceiling, or a lower one now.
            give_back(self._tx, message_id)
        full = [quota for quota in sorted(quotas) if not places.has_room(self._tx, quota)]
        if full:
            for quota in quotas:  # a place that this one can't use is the next one's
                go_on(self._tx, quota, most=1)
            return next(quota for quota in quotas if quota in full)
        places.take(message_id, quotas)
        return None

    def count_in(self, message_id: MessageId, quotas: Sequence[Quota]) -> None:
        if not self._tx.places.held_by(self._tx, message_id):
            self._tx.places.take(message_id, quotas)

    def go_on(self, waits_for: str) -> None:
        """A place may have become free since the gate was looked at: then the next one goes on."""
        go_on(self._tx, Quota(*waits_for.partition(":")[::2]), 1)

    def waiting_for(self, name: str) -> int:
        row = self._tx.one(
            "SELECT count(*) AS n FROM message WHERE waits_for = ? AND state = 'held'", (name,)
        )
        return int(row["n"]) if row else 0

    def wake(self, waits_for: str, most: int) -> None:
        wake(self._tx, waits_for, most)

    # visas and movements

    def visa(self, index: bytes) -> Visa | None:
        return self._one_visa("number_index", index)

    def visa_of(self, message_id: MessageId) -> Visa | None:
        return self._one_visa("message_id", message_id)

    def _one_visa(self, column: str, value: bytes | MessageId) -> Visa | None:
        self._tx.visas.flush(self._tx)
        return visa_of_row(self._tx.one(f"SELECT * FROM visa WHERE {column} = ?", (value,)))

    def put_visa(self, visa: Visa) -> bool:
        return self._tx.visas.put(self._tx, visa)

    def let_forgotten_go(self, person_index: bytes) -> None:
        self._tx.run("DELETE FROM forgotten_visa WHERE person_index = ?", (person_index,))

    def forgotten_visas(self, person_index: bytes) -> Sequence[ForgottenVisa]:
        self._tx.visas.flush(self._tx)
        found = self._tx.all(
            "SELECT * FROM forgotten_visa WHERE person_index = ? AND NOT EXISTS"
            " (SELECT 1 FROM visa WHERE visa.number_index = forgotten_visa.number_index)",
            (person_index,),
        )
        return [_forgotten(row) for row in found]

    def remember_forgotten(self, visa: ForgottenVisa) -> None:
        self._tx.run(
            "INSERT INTO forgotten_visa (person_index, number_index, destination, request_reference,"
            " found_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (visa.person_index, visa.number_index, visa.destination, visa.request_reference, self.now),
        )

    def overdue(
        self, before: date, *, notices: int, limit: int, after: tuple[date, bytes] | None = None
    ) -> Sequence[Visa]:
        self._tx.visas.flush(self._tx)
        day, index = after or (date.min, b"")
        found = self._tx.all(
            "SELECT * FROM visa INDEXED BY visa_due WHERE presence IN ('inside', 'overstayed')"
            " AND due_on < ? AND (due_on, number_index) > (?, ?) AND notices < ?"
            " ORDER BY due_on, number_index LIMIT ?",
            (before.isoformat(), day.isoformat(), index, notices, limit),
        )
        return [visa for row in found if (visa := visa_of_row(row)) is not None]

    def presences(
        self,
        *,
        season: int,
        licensee: str | None = None,
        agent: str | None = None,
        presence: Presence | None = None,
    ) -> Mapping[Presence, int]:
        self._tx.visas.flush(self._tx)
        wanted = {"season": season, "licensee": licensee, "agent": agent, "presence": presence}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given)
        found = self._tx.all(
            f"SELECT presence, count(*) AS n FROM visa WHERE {where} GROUP BY presence", [*given.values()]
        )
        return {Presence(row["presence"]): row["n"] for row in found}

    def overstaying(self) -> Sequence[tuple[int, str, str]]:
        self._tx.visas.flush(self._tx)
        found = self._tx.all(
            "SELECT DISTINCT season, licensee, agent FROM visa INDEXED BY visa_overstayed"
            " WHERE presence = 'overstayed' ORDER BY season, licensee, agent"
        )
        return [(row["season"], row["licensee"], row["agent"]) for row in found]

    def note_movement(self, movement: Movement) -> None:
        self._tx.run(
            "INSERT INTO movement (message_id, visa_index, direction, at, day, matched)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (movement.message_id, movement.visa_index, movement.direction, movement.at,
             movement.on.isoformat(), movement.matched),
        )  # fmt: skip

    def movements(self, index: bytes) -> Sequence[Movement]:
        # Of an arrival and a departure at the same instant, the departure is the later one.
        found = self._tx.all(
            "SELECT * FROM movement WHERE visa_index = ? ORDER BY at, direction, message_id", (index,)
        )
        return [
            Movement(
                message_id=MessageId(row["message_id"]),
                visa_index=row["visa_index"],
                direction=row["direction"],
                at=Micros(row["at"]),
                on=date.fromisoformat(row["day"]),
                matched=bool(row["matched"]),
            )
            for row in found
        ]

    def parked_movements(self, index: bytes) -> Sequence[Movement]:
        if self._tx.visas.is_collected(index):
            return []
        parked = self._tx.one("SELECT 1 FROM movement WHERE visa_index = ? AND matched = 0", (index,))
        return [] if parked is None else [one for one in self.movements(index) if not one.matched]

    def match_movement(self, message_id: MessageId) -> None:
        self._tx.run("UPDATE movement SET matched = 1 WHERE message_id = ?", (message_id,))
        self._tx.run("UPDATE message SET code = NULL WHERE id = ?", (message_id,))

    # messages and what is meant for parties

    def add(self, message: NewMessage) -> MessageId | None:
        known = self._tx.one(
            "SELECT 1 FROM message WHERE party = ? AND idempotency_key = ?",
            (message.party, message.idempotency_key),
        )
        if known is not None:
            return None
        insert_message(self._tx, message)
        write_audit(
            self._tx, at=message.received_at, message_id=message.id, action="record", after=message.state,
            actor="gateway",
        )  # fmt: skip
        return message.id

    def tell(self, event: Event) -> None:
        self._tx.outbox.put(
            receiver=event.receiver, kind=event.kind, message_id=event.message_id, revision=1,
            created_at=self.now, event_id=event.id, subject=event.subject,
            classification=event.classification, correlation_id=event.correlation_id,
            data_key=event.data_key, sealed=event.sealed,
        )  # fmt: skip
        write_audit(
            self._tx, at=self.now, message_id=event.message_id, action="tell", actor="gateway",
            disclosed=[event.disclosed], detail={"event": event.id},
        )  # fmt: skip

    def release_person(self, message_id: MessageId) -> None:
        self._tx.run("UPDATE message SET live_person_key = NULL WHERE id = ?", (message_id,))

    def message(self, message_id: MessageId) -> MessageRow | None:
        row = self._tx.one("SELECT * FROM message WHERE id = ?", (message_id,))
        return None if row is None else rows.message(row)


def give_back(tx: Transaction, message_id: str) -> None:
    """The places that a message had taken are free, and who waits for one goes on.

    The message's row is locked: its reservations are nobody else's to touch.
    """
    tx.places.flush(tx)
    found = tx.all("DELETE FROM reservation WHERE message_id = ? RETURNING control, scope", (message_id,))
    quotas = sorted(Quota(row["control"], row["scope"]) for row in found)
    if quotas:
        freed = [(quota.control, quota.scope) for quota in quotas]
        tx.run_all([*tx.locking_places(), (_FREE, freed)])
    for quota in quotas:
        go_on(tx, quota)


def go_on(tx: Transaction, quota: Quota, most: int | None = None) -> None:
    """As many of those that wait for this quota as have room now.

    Whoever is putting a message on hold for it, or giving a place back, is waited for: of the two, the later
    one sees what the other did.
    """
    tx.places.flush(tx)
    tx.own_places()
    row = tx.one(
        f"SELECT ceiling - taken AS free FROM quota WHERE control = ? AND scope = ?{tx.for_update}",
        (quota.control, quota.scope),
    )
    if row is not None and row["free"] > 0:
        wake(tx, quota.name, row["free"] if most is None else min(most, row["free"]))


def wake(tx: Transaction, waits_for: str, most: int) -> None:
    """The first of those that wait. One whose time has come is the sweep's, which may have it locked."""
    tx.run(
        "UPDATE message SET next_at = ?, hurried_at = ? WHERE id IN (SELECT id FROM message"
        " INDEXED BY message_waits_for WHERE waits_for = ? AND state = 'held' ORDER BY received_at LIMIT ?)"
        " AND (next_at IS NULL OR next_at > ?)",
        (tx.now, tx.now, waits_for, most, tx.now),
    )


def _forgotten(row: Row) -> ForgottenVisa:
    return ForgottenVisa(
        row["person_index"], row["number_index"], row["destination"], row["request_reference"]
    )
