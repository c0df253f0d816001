"""After a restore: what was forgotten is believed to have been done until the partner denies it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from gateway.ledger.audit_file import RESTORED
from gateway.ledger.restoring import ASKED_FIRST, OurCall, Question, Restoration, TakingOn
from gateway.ledger.sql import rows, sweeping
from gateway.ledger.sql.access import Access
from gateway.ledger.sql.books import SqlBooks
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.moving import close_open_attempts
from gateway.ledger.sql.rows import show_moved
from gateway.ledger.sql.transaction import Connection, Row, Transaction
from gateway.message import MessageId, Micros
from gateway.states import State, check_move, public_state
from gateway.values import replace

T = TypeVar("T")

_PAGE: Final = 1_000
_REFERENCES: Final = 500
#: Receivers have come further in the outbox than we know: new entries must not hide behind their positions.
OUTBOX_JUMP: Final = 1_000_000_000
#: The first schema number whose code looks for the mark.
KNOWN_SINCE: Final = 5
_ACTOR: Final = "gateway"
#: States in which the partner is, or can be, asked already.
_ASKABLE: Final = frozenset({State.UNCERTAIN, State.UNDER_REVIEW})
_CALLS: Final = (
    "SELECT message.*, effect.request_reference, effect.state AS effect_state, effect.opened_at,"
    " visa.number_index FROM effect JOIN message ON message.id = effect.message_id"
    " LEFT JOIN visa ON visa.message_id = effect.message_id"
    " WHERE effect.destination = ? AND effect.operation = ?"
)


class RestoringTransactions(Access):
    """What a ledger does after a restore, given how it reads and writes."""

    def _books(self, tx: Transaction) -> SqlBooks:
        raise NotImplementedError

    async def restoration(self) -> Restoration | None:
        return await self._read(_latest)

    async def latest_entry_before(self, now: Micros) -> Micros | None:
        return await self._read(lambda reader: _latest_entry(reader, now))

    async def take_on_restore(
        self, taking: TakingOn, detail: Callable[[Restoration], Mapping[str, Any]]
    ) -> Restoration:
        return await self._write(lambda tx: take_on(tx, taking, detail, self._books(tx)), records=True)

    async def calls_of(self, destination: str, step: str, references: Sequence[str]) -> Sequence[OurCall]:
        found: list[OurCall] = []
        for start in range(0, len(references), _REFERENCES):
            some = tuple(references[start : start + _REFERENCES])
            found += await self._read(lambda reader, some=some: _calls_of(reader, destination, step, some))  # type: ignore[misc]
        return found

    async def calls_between(
        self, destination: str, step: str, since: Micros, until: Micros
    ) -> Sequence[OurCall]:
        return await self._read(lambda reader: _calls_between(reader, destination, step, since, until))


def mark(connection: Connection, lost_from: Micros, now: Micros) -> None:
    """Say in a ledger that nobody serves that it was restored: it is not served as if it were whole.

    Versions that know nothing of that mark must not start on it either.
    """
    connection.execute("INSERT INTO restoration (lost_from, restored_at) VALUES (?, ?)", (lost_from, now))
    connection.execute(
        "UPDATE schema_version SET compatible_with = ?"
        " WHERE version = (SELECT max(version) FROM schema_version) AND compatible_with < ?",
        (KNOWN_SINCE, KNOWN_SINCE),
    )


def mark_by_journal(connection: Connection, now: Micros) -> None:
    """The same for a ledger that was restored by other means: its journal tells how far it knows."""
    mark(connection, _latest_entry(connection, now) or now, now)


# --- taking a restored ledger on ------------------------------------------------------------------------


def take_on(
    tx: Transaction,
    taking: TakingOn,
    detail: Callable[[Restoration], Mapping[str, Any]],
    books: SqlBooks,
) -> Restoration:
    tx.own_records()  # one process at a time
    done = tx.one("SELECT * FROM restoration WHERE taken_on_at IS NOT NULL AND id > ?", (taking.seen,))
    if done is not None:
        return _restoration(done)
    taking = replace(taking, now=max(taking.now, tx.now))  # whichever clock is ahead
    restoration = _begun(tx, taking)
    sweeping.end_all_leases(tx, taking.now)
    asked = 0
    for row in _unfinished(tx, tuple(taking.questions)):
        _ask_first(tx, row, taking.questions[row["kind"]], taking.now)
        asked += 1
    tx.skip_outbox(OUTBOX_JUMP)
    taking.then(books, restoration)
    write_audit(
        tx, at=taking.now, action=RESTORED, actor=_ACTOR, detail={**detail(restoration), "asked_about": asked}
    )
    return restoration


def _begun(tx: Transaction, taking: TakingOn) -> Restoration:
    """The one that was marked by `restore` and not taken on yet, or a new one."""
    row = tx.one(
        "SELECT max(id) AS id, min(lost_from) AS lost_from, max(restored_at) AS restored_at FROM restoration"
        " WHERE taken_on_at IS NULL"
    )
    if row is None or row["id"] is None:
        row = tx.one(
            "INSERT INTO restoration (lost_from, restored_at) VALUES (?, ?) RETURNING *",
            (taking.lost_from, taking.now),
        )
    if row is None:
        raise AssertionError("an INSERT with RETURNING gives its row")
    tx.run("UPDATE restoration SET taken_on_at = ? WHERE taken_on_at IS NULL", (taking.now,))
    return Restoration(row["id"], Micros(row["lost_from"]), Micros(row["restored_at"]), taking.now)


def _unfinished(tx: Transaction, kinds: tuple[str, ...]) -> Iterator[Row]:
    after = ""
    marks = ", ".join("?" * len(kinds))
    while page := tx.all(
        "SELECT id, kind, party, batch_id, state, public_state, revision, lease_token FROM message"
        f" WHERE state NOT IN ('completed', 'cancelled', 'expired') AND kind IN ({marks}) AND id > ?"
        f" ORDER BY id LIMIT {_PAGE}{tx.for_update}",
        (*kinds, after),
    ):
        yield from page
        after = page[-1]["id"]


def _ask_first(tx: Transaction, row: Row, question: Question, now: Micros) -> None:
    state = State(row["state"])
    to = state if state in _ASKABLE else State.UNCERTAIN
    if to is not state:
        check_move(state, to)
    shown = public_state(to, None, 1)
    # The revision rises, so that what was proposed for a review before the backup is not confirmed now.
    tx.run(
        "UPDATE message SET state = ?, public_state = ?, next_at = ?, waits_for = NULL, open_step = ?,"
        " send_by = ?, lease_token = lease_token + 1, lease_until = NULL, updated_at = ?,"
        " revision = revision + 1 WHERE id = ?",
        (to, shown, now, question.step, now, now, row["id"]),
    )
    close_open_attempts(tx, row["id"], now)
    _open_effect(tx, row, question, now)
    show_moved(tx, row, shown)
    write_audit(
        tx, at=now, message_id=row["id"], batch_id=row["batch_id"], action=ASKED_FIRST, before=state,
        after=to, actor=_ACTOR,
    )  # fmt: skip


def _open_effect(tx: Transaction, row: Row, question: Question, now: Micros) -> None:
    """As if its intent had been recorded: a wish to cancel waits, and a person may say that it was issued."""
    tx.run(
        "INSERT INTO effect (destination, operation, request_reference, message_id, token, state, opened_at)"
        " VALUES (?, ?, ?, ?, ?, 'open', ?) ON CONFLICT (destination, operation, request_reference)"
        " DO UPDATE SET token = excluded.token, state = 'open', opened_at = excluded.opened_at"
        " WHERE effect.state <> 'done'",
        (question.destination, question.step, question.reference(MessageId(row["id"])), row["id"],
         row["lease_token"] + 1, now),
    )  # fmt: skip


# --- reading ----------------------------------------------------------------------------------------------


def _latest(reader: Connection) -> Restoration | None:
    row = reader.execute("SELECT * FROM restoration ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else _restoration(row)


def _restoration(row: Row) -> Restoration:
    taken_on = None if row["taken_on_at"] is None else Micros(row["taken_on_at"])
    return Restoration(row["id"], Micros(row["lost_from"]), Micros(row["restored_at"]), taken_on)


def _latest_entry(reader: Connection, now: Micros) -> Micros | None:
    # By the last of each writer's entries; not by time, which no index has.
    found = reader.execute("SELECT at FROM audit WHERE at < ? ORDER BY seq DESC LIMIT 1", (now,)).fetchone()
    return None if found is None else Micros(found["at"])


def _calls_of(reader: Connection, destination: str, step: str, references: tuple[str, ...]) -> list[OurCall]:
    marks = ", ".join("?" * len(references))
    found = reader.execute(
        f"{_CALLS} AND effect.request_reference IN ({marks})", (destination, step, *references)
    )
    return [_call(row) for row in found.fetchall()]


def _calls_between(
    reader: Connection, destination: str, step: str, since: Micros, until: Micros
) -> list[OurCall]:
    found = reader.execute(
        f"{_CALLS} AND effect.state <> 'free' AND effect.opened_at >= ? AND effect.opened_at < ?",
        (destination, step, since, until),
    )
    return [_call(row) for row in found.fetchall()]


def _call(row: Row) -> OurCall:
    return OurCall(
        row["request_reference"],
        row["effect_state"],
        Micros(row["opened_at"]),
        rows.message(row),
        row["number_index"],
    )
