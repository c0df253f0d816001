"""Partners behind the port (`gateway.ledger.partners.Partners`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from gateway.errors import Conflict
from gateway.ledger.journal import Entry
from gateway.ledger.partners import WAITS_FOR, Change, PartnerState, Pause
from gateway.ledger.sql.access import Access
from gateway.ledger.sql.auditing import note
from gateway.ledger.sql.transaction import Connection, Row, Transaction
from gateway.message import Micros
from gateway.policies.breaker import Circuit, CircuitState
from gateway.policies.rate import Block, Bucket, take
from gateway.settings.protection import CallRate

T = TypeVar("T")


class PartnerTransactions(Access):
    """Circuits, pauses and rates, given how the ledger reads and writes."""

    async def partners(self, *, now: Micros) -> Sequence[PartnerState]:
        return await self._read(lambda reader: partners(reader, now))

    async def register_partners(self, names: Sequence[str]) -> None:
        await self._write(lambda tx: register(tx, names), durable=False)

    async def change_circuit(self, name: str, change: Change) -> tuple[PartnerState, bool]:
        # What a power cut takes back is found out again by the next calls.
        return await self._write(lambda tx: change_circuit(tx, name, change), durable=False, quick=True)

    async def pause_partner(self, name: str, pause: Pause, entry: Entry) -> PartnerState:
        return await self._write(lambda tx: set_pause(tx, name, pause, entry))

    async def resume_partner(self, name: str, entry: Entry) -> PartnerState:
        return await self._write(lambda tx: resume(tx, name, entry))

    async def take_tokens(self, name: str, rate: CallRate, wanted: int) -> Block:
        return await self._write(lambda tx: take_tokens(tx, name, rate, wanted), durable=False, quick=True)

    async def note_successes(self, at: Mapping[str, Micros]) -> None:
        await self._write(lambda tx: note_successes(tx, at), durable=False, quick=True)

    async def wake_put_off(self, name: str, most: int, *, now: Micros) -> int:
        return await self._write(lambda tx: wake(tx, name, most, now), durable=False)

    async def put_off(self) -> Mapping[str, int]:
        return await self._read(put_off)


# --- reading ----------------------------------------------------------------------------------------------

#: Not those that were woken already, and wait for the sweep.
_AWAITED: Final = (
    "EXISTS (SELECT 1 FROM message INDEXED BY message_held_for WHERE state = 'held'"
    f" AND waits_for = '{WAITS_FOR}' || destination.name AND next_at > ?)"
    " OR EXISTS (SELECT 1 FROM message INDEXED BY message_asked_for WHERE state = 'uncertain'"
    f" AND waits_for IS NOT NULL AND waits_for = '{WAITS_FOR}' || destination.name AND next_at > ?)"
)


def partners(reader: Connection, now: Micros) -> Sequence[PartnerState]:
    found = reader.execute(
        f"SELECT *, CASE WHEN {_AWAITED} THEN 1 ELSE 0 END AS awaited FROM destination ORDER BY name",
        (now, now),
    )
    return [_state(row, awaited=bool(row["awaited"])) for row in found.fetchall()]


def put_off(reader: Connection) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for state, index in (("held", "message_held_for"), ("uncertain", "message_asked_for")):
        found = reader.execute(
            f"SELECT waits_for, count(*) AS n FROM message INDEXED BY {index} WHERE state = '{state}'"
            " AND waits_for IS NOT NULL AND waits_for >= ? AND waits_for < ? GROUP BY waits_for",
            (WAITS_FOR, f"{WAITS_FOR}~"),
        )
        for row in found.fetchall():
            name = row["waits_for"].removeprefix(WAITS_FOR)
            counts[name] = counts.get(name, 0) + row["n"]
    return counts


def _state(row: Row, *, awaited: bool = False) -> PartnerState:
    return PartnerState(
        name=row["name"],
        circuit=_circuit(row),
        pause=_pause(row),
        last_success_at=row["last_success_at"],
        revision=row["revision"],
        awaited=awaited,
    )


def _circuit(row: Row) -> Circuit:
    return Circuit(
        state=CircuitState(row["circuit"]),
        since=Micros(row["since"]),
        until=Micros(row["until"]),
        failures=row["failures"],
        prober=row["prober"],
    )


def _pause(row: Row) -> Pause | None:
    if row["paused_by"] is None:
        return None
    return Pause(row["paused_by"], Micros(row["paused_at"]), row["paused_until"], row["pause_note"])


# --- changing ---------------------------------------------------------------------------------------------


def register(tx: Transaction, names: Sequence[str]) -> None:
    tx.own_places()  # processes that start together do not block each other
    for name in sorted(names):
        tx.run("INSERT INTO destination (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (name,))


def _row(tx: Transaction, name: str) -> Row:
    """The row, ours to change."""
    tx.own_places()
    wanted = f"SELECT * FROM destination WHERE name = ?{tx.for_update}"
    found = tx.one(wanted, (name,))
    if found is None:
        register(tx, (name,))
        found = tx.one(wanted, (name,))
    return found


def change_circuit(tx: Transaction, name: str, change: Change) -> tuple[PartnerState, bool]:
    row = _row(tx, name)
    after = change(_circuit(row), tx.now)
    if after is None:
        return _state(row), False
    changed = tx.one(
        "UPDATE destination SET circuit = ?, since = ?, until = ?, failures = ?, prober = ?,"
        " revision = revision + 1 WHERE name = ? RETURNING *",
        (after.state, after.since, after.until, after.failures, after.prober, name),
    )
    return _state(changed), True


def set_pause(tx: Transaction, name: str, pause: Pause, entry: Entry) -> PartnerState:
    _row(tx, name)
    changed = tx.one(
        "UPDATE destination SET paused_by = ?, paused_at = ?, paused_until = ?, pause_note = ?,"
        " revision = revision + 1 WHERE name = ? RETURNING *",
        (pause.by, pause.at, pause.until, pause.note, name),
    )
    note(tx, entry, ())
    return _state(changed)


def resume(tx: Transaction, name: str, entry: Entry) -> PartnerState:
    pause = _pause(_row(tx, name))
    if pause is None or not pause.in_force(tx.now):
        raise Conflict("not_paused")
    changed = tx.one(
        "UPDATE destination SET paused_by = NULL, paused_at = NULL, paused_until = NULL, pause_note = NULL,"
        " revision = revision + 1 WHERE name = ? RETURNING *",
        (name,),
    )
    note(tx, entry, ())
    return _state(changed)


def take_tokens(tx: Transaction, name: str, rate: CallRate, wanted: int) -> Block:
    row = _row(tx, name)
    before = None if row["tokens"] is None else Bucket(row["tokens"], Micros(row["tokens_at"]))
    after, block = take(before, rate, wanted, tx.now)
    tx.run(
        "UPDATE destination SET tokens = ?, tokens_at = ? WHERE name = ?", (after.millionths, after.at, name)
    )
    return block


def note_successes(tx: Transaction, at: Mapping[str, Micros]) -> None:
    tx.own_places()
    for name in sorted(at):
        tx.run(
            "UPDATE destination SET last_success_at = ?"
            " WHERE name = ? AND (last_success_at IS NULL OR last_success_at < ?)",
            (at[name], name, at[name]),
        )


def wake(tx: Transaction, name: str, most: int, now: Micros) -> int:
    """Questions first: of what was sent already more depends on an answer."""
    waits_for = f"{WAITS_FOR}{name}"
    asked = _wake(tx, "uncertain", "message_asked_for", waits_for, most, now)
    return asked + _wake(tx, "held", "message_held_for", waits_for, most - asked, now)


def _wake(tx: Transaction, state: str, index: str, waits_for: str, most: int, now: Micros) -> int:
    return tx.run(
        "UPDATE message SET next_at = ?, hurried_at = ? WHERE id IN"
        f" (SELECT id FROM message INDEXED BY {index} WHERE state = '{state}'"
        " AND waits_for IS NOT NULL AND waits_for = ? AND next_at > ?"
        f" ORDER BY next_at LIMIT ?{tx.skip_locked})",
        (now, now, waits_for, now, most),
    )
