"""Transactions of moves: what workers bring their messages to, those of many workers at once.

Moves that stand side by side in a group are looked at in one query, judged one by one (lease, wishes to
cancel, the gate), and written together, a statement a table. What a move leads to beyond its own message
follows when all of them are written: whoever looks then finds every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.errors import LeaseLost
from gateway.ledger.port import Applied, AttemptRecord, CancelAsked, Claimed, GateClosed, Intent, Move
from gateway.ledger.sql.books import SqlBooks, give_back
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.rows import insert_message, show_moved, tell_center
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.message import Micros
from gateway.states import FINAL, Outcome, PublicState, State, check_move, public_state

End = Applied | GateClosed | CancelAsked | LeaseLost

#: Ends after which the person and the places of a message are no longer taken.
_KEEPS_PLACES: Final = (Outcome.ISSUED, Outcome.DONE)


def apply_all(tx: Transaction, moves: Sequence[Move], books: SqlBooks) -> Sequence[End]:
    """Each move's end, in order; of one that was refused nothing is written."""
    if len({move.message.id for move in moves}) < len(moves):  # the later one goes by what the first one left
        return [end for move in moves for end in apply_all(tx, (move,), books)]
    held = _held(tx, moves)
    tx.places.look_ahead(tx, [move.message.id for move in moves if move.gate is not None])
    page = _MovePage(tx, moves)
    ends = [_judge_and_note(tx, move, held.get(move.message.id), books, page) for move in moves]
    page.flush(tx)
    if len(moves) > 1:
        tx.visas.collect()
    for move, end in zip(moves, ends, strict=True):
        if isinstance(end, Applied):
            _follow(tx, move, end, books)
    tx.visas.end(tx)
    return ends


def _held(tx: Transaction, moves: Sequence[Move]) -> Mapping[str, Row]:
    """The messages as they stand, each one's by its id."""
    wanted, ids = tx.among([move.message.id for move in moves])
    found = tx.all(
        "SELECT id, lease_token, state, cancel_requested_at, waits_for, revision FROM message"
        f" WHERE id {wanted} ORDER BY id{tx.for_update}",
        ids,
    )
    return {row["id"]: row for row in found}


# --- judging ----------------------------------------------------------------------------------------------


def _judge_and_note(tx: Transaction, move: Move, held: Row | None, books: SqlBooks, page: _MovePage) -> End:
    refusal = _refusal(move, held, books)
    if refusal is not None or held is None:
        return refusal or LeaseLost(move.message.id)
    page.note(move)
    _tell(tx, move, held["revision"] + 1)
    return Applied(cancel_requested=held["cancel_requested_at"] is not None)


def _refusal(move: Move, held: Row | None, books: SqlBooks) -> End | None:
    """The fencing token first: the gate may take places, and a lost lease writes nothing."""
    message = move.message
    if held is None or (held["lease_token"], held["state"]) != (message.token, message.state):
        return LeaseLost(message.id)
    if not _renews(move):
        check_move(message.state, move.to)
    return None if move.intent is None else _may_intend(move, held, books)


def _renews(move: Move) -> bool:
    """Whether this is an intent: the message stays where it is, and its lease goes on."""
    return move.intent is not None and move.to is move.message.state


def _may_intend(move: Move, held: Row, books: SqlBooks) -> GateClosed | CancelAsked | None:
    """The last look before something irrevocable: a wish to cancel, and the gate."""
    if move.message.parent_id is not None:  # a cancellation takes something back: never gated
        return None
    if held["cancel_requested_at"] is not None:
        return CancelAsked()
    closed = None if move.gate is None else move.gate(books)
    if closed is not None and held["waits_for"] not in (None, closed.waits_for):
        # A place that this one was woken for and can't use is the next one's.
        books.wake(held["waits_for"], 1)
    return closed


# --- writing ----------------------------------------------------------------------------------------------

_INTEND: Final = (
    "UPDATE message SET code = ?, waits_for = ?, expected_at = ?, lease_until = ?, open_step = ?,"
    " send_by = ?, revision = revision + 1, updated_at = ?, sealed_progress = coalesce(?, sealed_progress),"
    " progress_revision = coalesce(?, progress_revision) WHERE id = ? AND lease_token = ?"
)
_REST: Final = (
    "UPDATE message SET state = ?, public_state = ?, outcome = ?, code = ?, next_at = ?, waits_for = ?,"
    " expected_at = ?, lease_until = NULL, open_step = ?, send_by = CASE WHEN ? = 1 THEN send_by ELSE ? END,"
    " revision = revision + 1, updated_at = ?, completed_at = ?, urgency = coalesce(?, urgency), put_off = ?,"
    " sealed_progress = coalesce(?, sealed_progress), progress_revision = coalesce(?, progress_revision)"
    " WHERE id = ? AND lease_token = ?"
)
#: By nothing but the key: there is an index of the persons that are applied for, and all of it would be read.
_RELEASE_PERSON: Final = "UPDATE message SET live_person_key = NULL WHERE id = ?"
_INSERT_ATTEMPT: Final = (
    "INSERT INTO attempt (message_id, step, action, token, kind, repeatable, started_at, send_by,"
    " finished_at, outcome, code, policy, sealed_result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FINISH_ATTEMPT: Final = (
    "UPDATE attempt SET started_at = ?, finished_at = ?, outcome = ?, code = ? WHERE id = ?"
)
_OPEN_EFFECT: Final = (
    "INSERT INTO effect (destination, operation, request_reference, message_id, token, state, opened_at)"
    " VALUES (?, ?, ?, ?, ?, 'open', ?) ON CONFLICT (destination, operation, request_reference)"
    " DO UPDATE SET token = excluded.token, state = 'open', opened_at = excluded.opened_at"
    " WHERE effect.state = 'free' AND effect.message_id = excluded.message_id"
)
_CLOSE_EFFECT: Final = "UPDATE effect SET state = ? WHERE message_id = ? AND operation = ? AND state = 'open'"


class _MovePage:
    """Collects the rows of several moves; `flush` writes them, those of a table together."""

    def __init__(self, tx: Transaction, moves: Sequence[Move]) -> None:
        self._now = tx.now
        self._open_attempts = _open_attempts(tx, moves)
        self._rows: dict[str, list[tuple[Any, ...]]] = {
            statement: []
            for statement in (
                _INTEND, _REST, _RELEASE_PERSON, _FINISH_ATTEMPT, _INSERT_ATTEMPT, _OPEN_EFFECT, _CLOSE_EFFECT
            )
        }  # fmt: skip

    def note(self, move: Move) -> None:
        rows, message = self._rows, move.message
        if _renews(move):
            rows[_INTEND].append(_intending(move))
        else:
            rows[_REST].append(_resting(move, self._now))
        if _gives_back(move):
            rows[_RELEASE_PERSON].append((message.id,))
        for attempt in move.attempts:
            self._note_attempt(message, attempt)
        if move.intent is not None:
            rows[_OPEN_EFFECT].append(_effect_row(message, move.intent, move.now))
        if move.intent_ends is not None:
            rows[_CLOSE_EFFECT].append((move.intent_ends, message.id, message.open_step))

    def _note_attempt(self, message: Claimed, attempt: AttemptRecord) -> None:
        opened = self._open_attempts.pop((message.id, attempt.step), None) if _ends_call(attempt) else None
        if opened is None:
            self._rows[_INSERT_ATTEMPT].append(_attempt_row(message, attempt))
        else:
            self._rows[_FINISH_ATTEMPT].append(
                (attempt.started_at, attempt.finished_at, attempt.outcome, attempt.code, opened)
            )

    def flush(self, tx: Transaction) -> None:
        """Raises `RuntimeError` for what fencing should have kept out; the caller's transaction is undone."""
        tx.places.flush(tx)
        work = [(statement, rows) for statement, rows in self._rows.items() if rows]
        for (statement, rows), changed in zip(work, tx.run_all(work), strict=True):
            if changed < len(rows) and statement in (_INTEND, _REST):
                raise RuntimeError("a message that was looked at is not there")
            if changed < len(rows) and statement == _OPEN_EFFECT:
                raise RuntimeError("an intent is open under this reference")


def _open_attempts(tx: Transaction, moves: Sequence[Move]) -> dict[tuple[str, str], int]:
    """The open attempts of those messages whose calls have come to an end."""
    ended = [move.message.id for move in moves if any(_ends_call(attempt) for attempt in move.attempts)]
    if not ended:
        return {}
    wanted, ids = tx.among(ended)
    found = tx.all(
        f"SELECT id, message_id, step FROM attempt WHERE message_id {wanted} AND kind = 'call'"
        " AND outcome = 'open'",
        ids,
    )
    return {(row["message_id"], row["step"]): row["id"] for row in found}


def _ends_call(attempt: AttemptRecord) -> bool:
    """Whether it is the end of a call that its intent recorded as open."""
    return attempt.kind == "call" and not attempt.repeatable and attempt.outcome != "open"


def _gives_back(move: Move) -> bool:
    """Whether the person and the places of the message are free from now on."""
    return move.to in FINAL and move.outcome not in _KEEPS_PLACES


def _intending(move: Move) -> tuple[Any, ...]:
    step, _, send_by = _open_call(move)
    return (move.code, move.waits_for, move.expected_at, move.lease_until, step, send_by, move.now,
            *_progress(move), move.message.id, move.message.token)  # fmt: skip


def _resting(move: Move, now: Micros) -> tuple[Any, ...]:
    to = move.to
    return (to, public_state(to, move.outcome, move.message.attempts), move.outcome, move.code, move.next_at,
            move.waits_for, move.expected_at, *_open_call(move), move.now,
            move.now if to in FINAL else None, move.urgency,
            to is State.READY and move.next_at is not None and move.next_at > now,
            *_progress(move), move.message.id, move.message.token)  # fmt: skip


def _progress(move: Move) -> tuple[bytes | None, int | None]:
    return (None, None) if move.progress is None else (move.progress.sealed, move.progress.revision)


def _open_call(move: Move) -> tuple[str | None, bool, Micros | None]:
    """The step whose call may be under way after this move, and the latest instant it may be sent.

    Between the two: whether that instant stays as it was recorded.
    """
    if move.intent is not None:
        return move.intent.step, False, move.intent.send_by
    if move.intent_ends is not None:
        return None, False, None
    return move.message.open_step, move.send_by is None, move.send_by


def _effect_row(message: Claimed, intent: Intent, now: Micros) -> tuple[Any, ...]:
    return (intent.destination, intent.step, intent.request_reference, message.id, message.token, now)


def _attempt_row(message: Claimed, attempt: AttemptRecord) -> tuple[Any, ...]:
    return (message.id, attempt.step, attempt.action, message.token, attempt.kind, attempt.repeatable,
            attempt.started_at, attempt.send_by, attempt.finished_at, attempt.outcome, attempt.code,
            attempt.policy, attempt.sealed_result)  # fmt: skip


def _tell(tx: Transaction, move: Move, revision: int) -> None:
    """Count it, tell its center and note it in the journal; all of it is written with the group's."""
    message, to = move.message, move.to
    shown = public_state(to, move.outcome, message.attempts)
    # A leased message is shown as in progress, whichever of the two leased states it is in.
    tx.counters.count(message.batch_id, PublicState.IN_PROGRESS, shown)
    tell_center(
        tx, kind=message.kind, party=message.party, message_id=message.id, batch_id=message.batch_id,
        revision=revision, shown=shown,
    )  # fmt: skip
    write_audit(
        tx, at=move.now, message_id=message.id, batch_id=message.batch_id, action=move.action,
        before=message.state, after=to, actor=move.actor, code=move.code,
        disclosed=[attempt.disclosed for attempt in move.attempts if attempt.disclosed is not None],
    )  # fmt: skip


# --- what follows -----------------------------------------------------------------------------------------


def _follow(tx: Transaction, move: Move, end: Applied, books: SqlBooks) -> None:
    message = move.message
    if _gives_back(move):
        give_back(tx, message.id)
    if not move.attempts and move.to in (State.UNCERTAIN, State.UNDER_REVIEW):
        close_open_attempts(tx, message.id, move.now)
    if move.outcome is Outcome.DONE:
        settle_parent(tx, message.parent_id, move.actor, move.now)
    if end.cancel_requested and move.outcome is Outcome.ISSUED and move.cancellation is not None:
        insert_message(tx, move.cancellation())
    if move.to is State.HELD and move.waits_for is not None:
        books.go_on(move.waits_for)
    if move.then is not None:
        move.then(books)


def close_open_attempts(tx: Transaction, message_id: str, now: Micros) -> None:
    """A call whose end nobody saw."""
    tx.run(
        "UPDATE attempt SET outcome = 'crashed', finished_at = ? WHERE message_id = ? AND outcome = 'open'",
        (now, message_id),
    )


def settle_parent(tx: Transaction, parent_id: str | None, actor: str, now: Micros) -> None:
    """A settled cancellation turns its application's `issued` into `cancelled`."""
    parent = tx.one(f"SELECT * FROM message WHERE id = ?{tx.for_update}", (parent_id,))
    if parent is None or parent["state"] != State.COMPLETED:
        return
    check_move(State(parent["state"]), State.CANCELLED, Outcome(parent["outcome"]))
    tx.run(
        "UPDATE message SET state = ?, public_state = 'cancelled', code = 'cancelled', updated_at = ?,"
        " revision = revision + 1, live_person_key = NULL WHERE id = ?",
        (State.CANCELLED, now, parent["id"]),
    )
    give_back(tx, parent["id"])
    show_moved(tx, parent, PublicState.CANCELLED)
    write_audit(
        tx, at=now, message_id=parent["id"], batch_id=parent["batch_id"], action="cancelled",
        before=State.COMPLETED, after=State.CANCELLED, actor=actor,
    )  # fmt: skip


def keep_late_answer(tx: Transaction, message: Claimed, attempt: AttemptRecord, now: Micros) -> None:
    tx.run(_INSERT_ATTEMPT, _attempt_row(message, attempt))
    tx.run(
        "UPDATE message SET next_at = ? WHERE id = ? AND state IN ('uncertain', 'under_review')",
        (now, message.id),
    )
    write_audit(
        tx, at=now, message_id=message.id, batch_id=message.batch_id, action="late_answer", actor="worker",
        code=attempt.outcome, disclosed=[attempt.disclosed] if attempt.disclosed else (),
    )  # fmt: skip
