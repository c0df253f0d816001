"""Transactions of carrying: claim with a lease and a fencing token, then move under it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import LeaseLost
from gateway.ledger.port import (
    Applied,
    AttemptRecord,
    CancelAsked,
    Claimed,
    GateClosed,
    Intent,
    Move,
)
from gateway.ledger.sql.books import SqlBooks, give_back
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.rows import CLAIMED_COLUMNS, claimed, insert_message, tell_center
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.message import Micros
from gateway.states import FINAL, Outcome, PublicState, State, check_move, public_state


class LaneCursor:
    """Where the round over the fairness lanes stands. Used by the writer thread only."""

    def __init__(self) -> None:
        self.last = ""


# --- claim ------------------------------------------------------------------------------------------------


def claim(
    tx: Transaction, cursor: LaneCursor, worker: str, limit: int, now: Micros, lease_until: Micros
) -> Sequence[Claimed]:
    lease = (worker, lease_until, now)
    # New work is never kept waiting by questions about old: they take half of a claim at most.
    taken = _claim_inquiries(tx, -(-limit // 2), now, lease)
    lanes = _due_lanes(tx, cursor, limit - len(taken), now)
    for position, lane in enumerate(lanes):
        share = -(-(limit - len(taken)) // (len(lanes) - position))
        taken += _claim_lane(tx, lane, share, now, lease)
    return taken


def _due_lanes(tx: Transaction, cursor: LaneCursor, limit: int, now: Micros) -> list[str]:
    """Up to `limit` lanes that have something due, going on where the last round ended."""
    lanes: list[str] = []
    position, wrapped = cursor.last, cursor.last == ""
    while len(lanes) < limit:
        row = tx.one(
            "SELECT lane, next_at FROM message INDEXED BY message_due WHERE state = 'ready' AND lane > ?"
            " ORDER BY lane, next_at LIMIT 1",
            (position,),
        )
        if row is None and wrapped:
            break
        if row is None:
            position, wrapped = "", True
            continue
        position = row["lane"]
        if position in lanes:
            break
        if row["next_at"] <= now:
            lanes.append(position)
    if lanes:
        cursor.last = lanes[-1]
    return lanes


_LEASE = "lease_token = lease_token + 1, lease_owner = ?, lease_until = ?, updated_at = ?, next_at = NULL"


def _claim_lane(
    tx: Transaction, lane: str, limit: int, now: Micros, lease: tuple[str, Micros, Micros]
) -> list[Claimed]:
    due = tx.all(
        "SELECT id, public_state, batch_id FROM message INDEXED BY message_due"
        " WHERE state = 'ready' AND lane = ? AND next_at <= ? ORDER BY next_at LIMIT ?"
        f"{tx.skip_locked}",
        (lane, now, limit),
    )
    return _lease(tx, due, State.READY, State.CARRIED, lease)


def _claim_inquiries(
    tx: Transaction, limit: int, now: Micros, lease: tuple[str, Micros, Micros]
) -> list[Claimed]:
    due = tx.all(
        "SELECT id, state, public_state, batch_id FROM message INDEXED BY message_inquiry"
        " WHERE state IN ('uncertain', 'under_review') AND next_at <= ? ORDER BY next_at LIMIT ?"
        f"{tx.skip_locked}",
        (now, limit),
    )
    taken: list[Claimed] = []
    for state in (State.UNCERTAIN, State.UNDER_REVIEW):
        rows = [row for row in due if row["state"] == state]
        taken += _lease(tx, rows, state, State.INQUIRING, lease)
    return taken


def _lease(
    tx: Transaction, rows: list[Row], before: State, to: State, lease: tuple[str, Micros, Micros]
) -> list[Claimed]:
    if not rows:
        return []
    check_move(before, to)
    for row in rows:
        tx.counters.count(row["batch_id"], row["public_state"], PublicState.IN_PROGRESS)
    marks = ", ".join("?" * len(rows))
    leased = tx.all(
        f"UPDATE message SET state = ?, public_state = 'in_progress', attempts = attempts + 1, {_LEASE}"
        f" WHERE id IN ({marks}) RETURNING {CLAIMED_COLUMNS}",
        [to, *lease, *(row["id"] for row in rows)],
    )
    return [claimed(row, to) for row in leased]


# --- move ---------------------------------------------------------------------------------------------------


def apply(tx: Transaction, move: Move, books: SqlBooks) -> Applied | GateClosed | CancelAsked:
    if move.intent is not None:
        refusal = _may_intend(tx, move, books)
        if refusal is not None:
            return refusal
    row = _write_move(tx, move)
    _write_attempts(tx, move)
    if move.intent is not None:
        _open_effect(tx, move.message, move.intent, move.now)
    if move.intent_ends is not None:
        _close_effect(tx, move.message, move.intent_ends)
    if move.outcome is Outcome.DONE:
        settle_parent(tx, move.message.parent_id, move.actor, move.now)
    cancel_asked = row["cancel_requested_at"] is not None
    if cancel_asked and move.outcome is Outcome.ISSUED and move.cancellation is not None:
        insert_message(tx, move.cancellation())
    if move.to is State.HELD and move.waits_for is not None:
        books.go_on(move.waits_for)
    if move.then is not None:
        move.then(books)
    return Applied(cancel_requested=cancel_asked)


def _may_intend(tx: Transaction, move: Move, books: SqlBooks) -> GateClosed | CancelAsked | None:
    """The last look before something irrevocable: a wish to cancel, and the gate."""
    if move.message.parent_id is not None:  # a cancellation takes something back: never gated
        return None
    held = tx.one(
        f"SELECT cancel_requested_at, waits_for FROM message WHERE id = ? AND lease_token = ?{tx.for_update}",
        (move.message.id, move.message.token),
    )
    if held is None:  # the gate may take places: nothing may be written for a lost lease
        raise LeaseLost(move.message.id)
    if held["cancel_requested_at"] is not None:
        return CancelAsked()
    closed = None if move.gate is None else move.gate(books)
    if closed is not None and held["waits_for"] not in (None, closed.waits_for):
        # A place that this one was woken for and can't use is the next one's.
        books.wake(held["waits_for"], 1)
    return closed


def _write_move(tx: Transaction, move: Move) -> Row:
    """Write the move under the fencing token. Returns what of the row the worker may not know."""
    message, to = move.message, move.to
    renewal = to is message.state and move.intent is not None
    if not renewal:
        check_move(message.state, to)
    shown = public_state(to, move.outcome, message.attempts)
    ends = to in FINAL
    row = tx.one(
        """UPDATE message SET state = ?, public_state = ?, outcome = ?, code = ?, next_at = ?, waits_for = ?,
           expected_at = ?,
           lease_until = ?, open_step = ?, send_by = ?, revision = revision + 1, updated_at = ?,
           completed_at = ?,
           live_person_key = CASE WHEN ? = 1 THEN NULL ELSE live_person_key END,
           sealed_progress = coalesce(?, sealed_progress),
           progress_revision = coalesce(?, progress_revision)
           WHERE id = ? AND lease_token = ? AND state = ?
           RETURNING cancel_requested_at, revision""",
        (to, shown, move.outcome, move.code, move.next_at, move.waits_for, move.expected_at,
         move.lease_until if renewal else None,
         *_open_call(move), move.now, move.now if ends else None,
         ends and move.outcome not in (Outcome.ISSUED, Outcome.DONE),
         move.progress.sealed if move.progress else None,
         move.progress.revision if move.progress else None,
         message.id, message.token, message.state),
    )  # fmt: skip
    if row is None:
        raise LeaseLost(message.id)
    if ends and move.outcome not in (Outcome.ISSUED, Outcome.DONE):
        give_back(tx, message.id)
    # A leased message is shown as in progress, whichever of the two leased states it is in.
    tx.counters.count(message.batch_id, PublicState.IN_PROGRESS, shown)
    tell_center(
        tx, kind=message.kind, party=message.party, message_id=message.id, batch_id=message.batch_id,
        revision=row["revision"], shown=shown,
    )  # fmt: skip
    write_audit(
        tx, at=move.now, message_id=message.id, batch_id=message.batch_id, action=move.action,
        before=message.state, after=to, actor=move.actor, code=move.code,
        disclosed=[attempt.disclosed for attempt in move.attempts if attempt.disclosed is not None],
    )  # fmt: skip
    return row


def _open_call(move: Move) -> tuple[str | None, Micros | None]:
    """The step whose call may be under way after this move, and the latest instant it may be sent."""
    if move.intent is not None:
        return move.intent.step, move.intent.send_by
    if move.intent_ends is not None:
        return None, None
    return move.message.open_step, move.send_by or move.message.send_by


def _write_attempts(tx: Transaction, move: Move) -> None:
    for attempt in move.attempts:
        closed = attempt.kind == "call" and not attempt.repeatable and attempt.outcome != "open"
        if closed and _finish_open_attempt(tx, move.message, attempt):
            continue
        insert_attempt(tx, move.message, attempt)
    if not move.attempts and move.to in (State.UNCERTAIN, State.UNDER_REVIEW):
        close_open_attempts(tx, move.message.id, move.now)


def close_open_attempts(tx: Transaction, message_id: str, now: Micros) -> None:
    """A call whose end nobody saw."""
    tx.run(
        "UPDATE attempt SET outcome = 'crashed', finished_at = ? WHERE message_id = ? AND outcome = 'open'",
        (now, message_id),
    )


def insert_attempt(tx: Transaction, message: Claimed, attempt: AttemptRecord) -> None:
    tx.run(
        "INSERT INTO attempt (message_id, step, action, token, kind, repeatable, started_at, send_by,"
        " finished_at, outcome, code, policy, sealed_result)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (message.id, attempt.step, attempt.action, message.token, attempt.kind, attempt.repeatable,
         attempt.started_at, attempt.send_by, attempt.finished_at, attempt.outcome, attempt.code,
         attempt.policy, attempt.sealed_result),
    )  # fmt: skip


def _finish_open_attempt(tx: Transaction, message: Claimed, attempt: AttemptRecord) -> bool:
    changed = tx.run(
        "UPDATE attempt SET started_at = ?, finished_at = ?, outcome = ?, code = ?"
        " WHERE message_id = ? AND step = ? AND kind = 'call' AND outcome = 'open'",
        (attempt.started_at, attempt.finished_at, attempt.outcome, attempt.code, message.id, attempt.step),
    )
    return bool(changed)


def _open_effect(tx: Transaction, message: Claimed, intent: Intent, now: Micros) -> None:
    opened = tx.run(
        "INSERT INTO effect (destination, operation, request_reference, message_id, token, state, opened_at)"
        " VALUES (?, ?, ?, ?, ?, 'open', ?) ON CONFLICT (destination, operation, request_reference)"
        " DO UPDATE SET token = excluded.token, state = 'open', opened_at = excluded.opened_at"
        " WHERE effect.state = 'free' AND effect.message_id = excluded.message_id",
        (intent.destination, intent.step, intent.request_reference, message.id, message.token, now),
    )
    if not opened:  # fenced already: two intents for one reference are a fault of the program
        raise RuntimeError("an intent is open under this reference")


def _close_effect(tx: Transaction, message: Claimed, state: str) -> None:
    tx.run(
        "UPDATE effect SET state = ? WHERE message_id = ? AND operation = ? AND state = 'open'",
        (state, message.id, message.open_step),
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
    tx.counters.count(parent["batch_id"], parent["public_state"], PublicState.CANCELLED)
    tell_center(
        tx, kind=parent["kind"], party=parent["party"], message_id=parent["id"], batch_id=parent["batch_id"],
        revision=parent["revision"] + 1, shown=PublicState.CANCELLED,
    )  # fmt: skip
    write_audit(
        tx, at=now, message_id=parent["id"], batch_id=parent["batch_id"], action="cancelled",
        before=State.COMPLETED, after=State.CANCELLED, actor=actor,
    )  # fmt: skip


def keep_late_answer(tx: Transaction, message: Claimed, attempt: AttemptRecord, now: Micros) -> None:
    insert_attempt(tx, message, attempt)
    tx.run(
        "UPDATE message SET next_at = ? WHERE id = ? AND state IN ('uncertain', 'under_review')",
        (now, message.id),
    )
    write_audit(
        tx, at=now, message_id=message.id, batch_id=message.batch_id, action="late_answer", actor="worker",
        code=attempt.outcome, disclosed=[attempt.disclosed] if attempt.disclosed else (),
    )  # fmt: skip
