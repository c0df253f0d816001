"""Transactions that parties and operators ask for: cancel, retry, resolve, confirm, reference records."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.errors import Conflict
from gateway.ledger.books import FORGOTTEN, Books
from gateway.ledger.records import (
    MessageRow,
    NewMessage,
    Note,
    Position,
    Progress,
    ReferenceRecord,
    Resolution,
    Resolved,
    Taken,
)
from gateway.ledger.sql import rows
from gateway.ledger.sql.books import SqlBooks, give_back
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.moving import settle_parent
from gateway.ledger.sql.rows import insert_message, show_moved
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.message import BatchId, MessageId, Micros, PartyId
from gateway.states import FINAL, Outcome, State, check_move, public_state
from gateway.values import replace

#: States in which no worker holds the message: it ends at once, unless something irrevocable was sent.
_CANCELLED_AT_ONCE = frozenset({State.ACCEPTED, State.READY, State.HELD, State.AWAITING, State.UNDER_REVIEW})


def cancel(
    tx: Transaction,
    message_id: MessageId,
    actor: str,
    now: Micros,
    why: Note | None = None,
    cancellation: Callable[[MessageRow], NewMessage] | None = None,
) -> MessageRow:
    row = _row(tx, message_id)
    state = State(row["state"])
    if row["kind"] != "visa.application":
        raise Conflict("not_cancellable")
    if state in FINAL and row["outcome"] != Outcome.ISSUED:
        raise Conflict("already_settled")
    issued = state is State.COMPLETED
    # Made before anything is written: what can't be read any more refuses here.
    taking_back = cancellation(rows.message(row)) if issued and cancellation is not None else None
    if state in _CANCELLED_AT_ONCE and not _may_have_effect(tx, message_id):
        _end(tx, row, State.CANCELLED, None, "cancelled", actor, now, why=why)
    elif row["cancel_requested_at"] is None:
        tx.run("UPDATE message SET cancel_requested_at = ? WHERE id = ?", (now, message_id))
        _audit(tx, row, "cancel_requested", row["state"], actor, now, why)
    if taking_back is not None:
        add_message(tx, taking_back, actor)
    return rows.message(_row(tx, message_id))


def _may_have_effect(tx: Transaction, message_id: str) -> bool:
    """Whether an intent is open or done: something irrevocable was, or may have been, asked of a partner."""
    found = tx.one("SELECT 1 FROM effect WHERE message_id = ? AND state <> 'free'", (message_id,))
    return found is not None


def _row(tx: Transaction, message_id: str) -> Row:
    row = tx.one(f"SELECT * FROM message WHERE id = ?{tx.for_update}", (message_id,))
    if row is None:
        raise Conflict("not_found")
    return row


def _end(
    tx: Transaction,
    row: Row,
    to: State,
    outcome: Outcome | None,
    code: str | None,
    actor: str,
    now: Micros,
    progress: Progress | None = None,
    why: Note | None = None,
) -> None:
    """A move made by a person on a message that no worker holds; the token is raised against late ones."""
    check_move(State(row["state"]), to)
    shown = public_state(to, outcome, row["attempts"])
    ends = to in FINAL
    tx.run(
        "UPDATE message SET state = ?, public_state = ?, outcome = ?, code = ?, next_at = ?,"
        " lease_token = lease_token + 1, lease_until = NULL, open_step = NULL, send_by = NULL,"
        " updated_at = ?, revision = revision + 1, completed_at = ?,"
        " live_person_key = CASE WHEN ? = 1 THEN NULL ELSE live_person_key END,"
        " sealed_progress = coalesce(?, sealed_progress),"
        " progress_revision = coalesce(?, progress_revision) WHERE id = ?",
        (to, shown, outcome, code, None if ends else tx.now, now, now if ends else None,
         ends and outcome not in (Outcome.ISSUED, Outcome.DONE), progress.sealed if progress else None,
         progress.revision if progress else None, row["id"]),
    )  # fmt: skip
    if ends and outcome not in (Outcome.ISSUED, Outcome.DONE):
        give_back(tx, row["id"])
    show_moved(tx, row, shown)
    _audit(tx, row, code or to, to, actor, now, why)


def _audit(
    tx: Transaction, row: Row, action: str, after: str, actor: str, now: Micros, why: Note | None = None
) -> None:
    write_audit(
        tx, at=now, message_id=row["id"], batch_id=row["batch_id"], action=action, before=row["state"],
        after=after, actor=actor, why=why,
    )  # fmt: skip


def add_message(tx: Transaction, new: NewMessage, actor: str) -> MessageId:
    known = tx.one(
        "SELECT id FROM message WHERE party = ? AND idempotency_key = ?", (new.party, new.idempotency_key)
    )
    if known is not None:
        return MessageId(known["id"])
    insert_message(tx, new)
    write_audit(
        tx, at=new.received_at, message_id=new.id, batch_id=new.batch_id, action="record", after=new.state,
        actor=actor,
    )  # fmt: skip
    return new.id


def confirm_batch(tx: Transaction, batch_id: BatchId, now: Micros) -> None:
    confirmed = tx.one(
        "UPDATE batch SET confirmed_at = ? WHERE id = ? AND confirmed_at IS NULL RETURNING party",
        (now, batch_id),
    )
    if confirmed is not None:
        write_audit(tx, at=now, batch_id=batch_id, action="confirm_batch", actor=confirmed["party"])


def hurry(tx: Transaction, message_id: MessageId, actor: str, reason: Note, now: Micros) -> MessageRow:
    row = _row(tx, message_id)
    state = State(row["state"])
    if state in FINAL:
        raise Conflict("already_settled")
    if state in (State.HELD, State.AWAITING):
        check_move(state, State.READY)
        tx.run(
            "UPDATE message SET state = 'ready', public_state = 'in_progress', next_at = ?, updated_at = ?,"
            " hurried_at = ? WHERE id = ?",
            (tx.now, now, tx.now, message_id),
        )
        tx.counters.count(row["batch_id"], row["public_state"], "in_progress")
    elif state in (State.READY, State.UNCERTAIN, State.UNDER_REVIEW):
        tx.run("UPDATE message SET next_at = ?, hurried_at = ? WHERE id = ?", (tx.now, tx.now, message_id))
    write_audit(
        tx, at=now, message_id=message_id, batch_id=row["batch_id"], action="retry", before=state,
        after=None, actor=actor, why=reason,
    )  # fmt: skip
    return rows.message(_row(tx, message_id))


def propose(tx: Transaction, resolution: Resolution) -> None:
    row = _row(tx, resolution.message_id)
    if row["state"] != State.UNDER_REVIEW or row["revision"] != resolution.revision:
        raise Conflict("state_changed")
    sent = _may_have_effect(tx, resolution.message_id) or row["code"] == FORGOTTEN
    if resolution.decision in ("issued", "done") and not sent:
        raise Conflict("nothing_was_sent")
    tx.run(
        "INSERT INTO resolution"
        " (message_id, revision, decision, sealed_visa, commitment, note, proposed_by, proposed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (message_id) DO UPDATE SET"
        " revision = excluded.revision, decision = excluded.decision, sealed_visa = excluded.sealed_visa,"
        " commitment = excluded.commitment, note = excluded.note, proposed_by = excluded.proposed_by,"
        " proposed_at = excluded.proposed_at",
        (resolution.message_id, resolution.revision, resolution.decision, resolution.sealed_visa,
         resolution.reason.commitment, resolution.reason.sealed, resolution.proposed_by,
         resolution.proposed_at),
    )  # fmt: skip
    _audit(tx, row, f"propose_{resolution.decision}", row["state"], resolution.proposed_by,
           resolution.proposed_at, resolution.reason)  # fmt: skip


def confirm_resolution(
    tx: Transaction,
    message_id: MessageId,
    operator: str,
    now: Micros,
    settle: Callable[[MessageRow, Resolution], Resolved],
    books: SqlBooks,
) -> MessageRow:
    row = _row(tx, message_id)
    found = tx.one("SELECT * FROM resolution WHERE message_id = ?", (message_id,))
    if found is None:
        raise Conflict("nothing_proposed")
    resolution = rows.resolution(found)
    if row["state"] != State.UNDER_REVIEW or row["revision"] != resolution.revision:
        raise Conflict("state_changed")
    if found["proposed_by"] == operator:
        raise Conflict("same_operator")
    resolved = settle(rows.message(row), resolution)
    to, outcome, code, effect = _RESOLVED[resolution.decision]
    _end(tx, row, to, outcome, code, operator, now, resolved.progress)
    tx.run("UPDATE effect SET state = ? WHERE message_id = ? AND state = 'open'", (effect, message_id))
    tx.run("DELETE FROM resolution WHERE message_id = ?", (message_id,))
    if outcome is Outcome.DONE:
        settle_parent(tx, row["parent_id"], operator, now)
    if resolved.cancellation is not None:
        insert_message(tx, resolved.cancellation)
    if resolved.then is not None:
        resolved.then(books)
    return rows.message(_row(tx, message_id))


_RESOLVED: dict[str, tuple[State, Outcome | None, str | None, str]] = {
    "issued": (State.COMPLETED, Outcome.ISSUED, None, "done"),
    "done": (State.COMPLETED, Outcome.DONE, None, "done"),
    "refused": (State.COMPLETED, Outcome.REFUSED, "refused", "free"),
    "send_again": (State.READY, None, None, "free"),
}


#: Microseconds. Whoever asks found the token alive by the clock of its machine, which may be behind ours.
_KEPT_AFTER_ITS_END: Final = 5 * 60 * 1_000_000


def use_token(
    tx: Transaction, party: PartyId, jti: str, idempotency_key: str, expires_at: Micros, now: Micros
) -> bool:
    tx.run("DELETE FROM token_use WHERE party = ? AND expires_at < ?", (party, now - _KEPT_AFTER_ITS_END))
    taken = tx.run(
        "INSERT INTO token_use (party, jti, idempotency_key, expires_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (party, jti, idempotency_key, expires_at),
    )
    if taken:
        return True
    known = tx.one("SELECT idempotency_key FROM token_use WHERE party = ? AND jti = ?", (party, jti))
    return known is not None and bool(idempotency_key) and known["idempotency_key"] == idempotency_key


def put_reference(tx: Transaction, records: Sequence[ReferenceRecord], books: SqlBooks) -> None:
    """Each stands until a message makes another version of it; then the file's no longer counts."""
    for given in records:
        known = books.record(given.kind, given.id)
        if known is not None and (known.message_id is not None or known.facts == _kept(given.facts)):
            continue
        books.put(given.kind, given.id, given.facts, version=given.version, owner=given.owner)


def _kept(facts: Mapping[str, Any]) -> Any:
    """As they read once they were kept."""
    return json.loads(json.dumps(facts, sort_keys=True, default=str))


def take(tx: Transaction, message: NewMessage, work: Callable[[Books], str | None], books: SqlBooks) -> Taken:
    known = tx.one(
        "SELECT id, received_at, payload_sha FROM message WHERE party = ? AND idempotency_key = ?",
        (message.party, message.idempotency_key),
    )
    if known is not None and known["payload_sha"] != message.payload_sha:
        raise Conflict("idempotency_key_reused")
    _check_sender_key(tx, message)
    if known is not None:
        _keep_sender_key(tx, message, known["id"])
        return Taken(MessageId(known["id"]), Micros(known["received_at"]), duplicate=True)
    code = work(books)
    insert_message(tx, message if code is None else replace(message, code=code))
    _keep_sender_key(tx, message, message.id)
    write_audit(
        tx, at=message.received_at, message_id=message.id, action="take", after=message.state,
        actor=message.party, code=code or message.code,
    )  # fmt: skip
    return Taken(message.id, message.received_at, code=code)


def _check_sender_key(tx: Transaction, message: NewMessage) -> None:
    """Raises `Conflict` when the sender's own key stands for another message."""
    if message.sender_key is None:
        return
    first = tx.one(
        "SELECT idempotency_key FROM message WHERE id ="
        " (SELECT message_id FROM sender_key WHERE party = ? AND key = ?)",
        (message.party, message.sender_key),
    )
    if first is not None and first["idempotency_key"] != message.idempotency_key:
        raise Conflict("idempotency_key_reused")


def _keep_sender_key(tx: Transaction, message: NewMessage, stands_for: str) -> None:
    if message.sender_key is not None:
        tx.run(
            "INSERT INTO sender_key (party, key, message_id) VALUES (?, ?, ?)"
            " ON CONFLICT (party, key) DO UPDATE SET message_id = excluded.message_id",
            (message.party, message.sender_key, stands_for),
        )


def mark(tx: Transaction, receiver: PartyId, channel: str, position: Position, after: int | None) -> bool:
    if after is not None and after != _come_to(tx, receiver, channel):
        return False
    tx.run(
        "INSERT INTO position (receiver, channel, seq, failures, next_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (receiver, channel) DO UPDATE SET seq ="
        " CASE WHEN position.seq > excluded.seq THEN position.seq ELSE excluded.seq END,"
        " failures = excluded.failures, next_at = excluded.next_at",
        (receiver, channel, position.seq, position.failures, position.next_at),
    )
    return True


def _come_to(tx: Transaction, receiver: PartyId, channel: str) -> int:
    row = tx.one("SELECT seq FROM position WHERE receiver = ? AND channel = ?", (receiver, channel))
    return 0 if row is None else int(row["seq"])


def rewind(
    tx: Transaction, receiver: PartyId, channel: str, seq: int, actor: str, reason: Note, now: Micros
) -> Position:
    if seq > _come_to(tx, receiver, channel):
        raise Conflict("not_delivered_yet")
    tx.run(
        "INSERT INTO position (receiver, channel, seq, failures, next_at) VALUES (?, ?, ?, 0, ?)"
        " ON CONFLICT (receiver, channel) DO UPDATE SET seq = excluded.seq, failures = 0,"
        " next_at = excluded.next_at",
        (receiver, channel, seq, now),
    )
    write_audit(
        tx, at=now, action=f"rewind {channel} {receiver}", actor=actor, why=reason,
    )  # fmt: skip
    return Position(seq, 0, now)
