"""Transactions of intake: hold a key, add lines, accept or abandon."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.errors import LeaseLost
from gateway.ledger.port import (
    Acceptance,
    AlreadyAccepted,
    BatchOpening,
    BeingReceived,
    MessageRow,
    NewMessage,
    Opened,
)
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.rows import insert_messages, message
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.message import BatchId, Micros
from gateway.states import Outcome, State, check_move, public_state
from gateway.values import replace

_RELEASED_AT_ONCE = 500


def begin_batch(tx: Transaction, opening: BatchOpening) -> Opened | AlreadyAccepted | BeingReceived:
    # Whoever is just accepting it is waited for: what was accepted is never removed.
    found = tx.one(
        f"SELECT * FROM batch WHERE party = ? AND idempotency_key = ?{tx.for_update}",
        (opening.party, opening.idempotency_key),
    )
    if found is not None and found["state"] != "receiving":
        return AlreadyAccepted(found["id"], found["payload_sha"], found["data_key"], found["sealed_receipt"])
    if found is not None and found["intake_until"] > opening.now:
        return BeingReceived(retry_after_s=max(1, (found["intake_until"] - opening.now) // 1_000_000))
    if found is not None:
        remove_batch(tx, found["id"])
    tx.run(
        "INSERT INTO batch (id, party, idempotency_key, state, intake_token, intake_until, mode, created_at,"
        " data_key) VALUES (?, ?, ?, 'receiving', ?, ?, ?, ?, ?)",
        (opening.batch_id, opening.party, opening.idempotency_key, opening.intake_token, opening.intake_until,
         opening.mode, opening.now, opening.data_key),
    )  # fmt: skip
    return Opened()


def add_lines(
    tx: Transaction,
    batch_id: BatchId,
    intake_token: str,
    lines: Sequence[NewMessage],
    duplicate: Callable[[NewMessage], NewMessage],
    intake_until: Micros,
) -> Sequence[NewMessage]:
    _renew(tx, batch_id, intake_token, intake_until)
    recorded = _judged(tx, lines, duplicate)
    if recorded:
        insert_messages(tx, recorded)
    return recorded


def _judged(
    tx: Transaction, lines: Sequence[NewMessage], duplicate: Callable[[NewMessage], NewMessage]
) -> Sequence[NewMessage]:
    taken = live_persons(tx, [line.person_key for line in lines if line.person_key])
    return [duplicate(line) if line.person_key in taken else line for line in lines]


def _renew(tx: Transaction, batch_id: BatchId, intake_token: str, intake_until: Micros) -> None:
    renewed = tx.run(
        "UPDATE batch SET intake_until = ? WHERE id = ? AND intake_token = ? AND state = 'receiving'",
        (intake_until, batch_id, intake_token),
    )
    if not renewed:
        raise LeaseLost(batch_id)


def reject_lines(
    tx: Transaction,
    batch_id: BatchId,
    intake_token: str,
    lines: Sequence[int],
    code: str,
    seal: Callable[[MessageRow], bytes],
    intake_until: Micros,
    now: Micros,
) -> None:
    # Sealed before anything is written: a unit of work refuses before its first write.
    sealed = [(row, seal(message(row))) for line in lines for row in _accepted_line(tx, batch_id, line)]
    _renew(tx, batch_id, intake_token, intake_until)
    check_move(State.ACCEPTED, State.COMPLETED)
    shown = public_state(State.COMPLETED, Outcome.REJECTED, 0)
    for row, progress in sealed:
        tx.run(
            "UPDATE message SET state = ?, public_state = ?, outcome = ?, code = ?, sealed_progress = ?,"
            " progress_revision = 1, live_person_key = NULL, updated_at = ?, completed_at = ? WHERE id = ?",
            (State.COMPLETED, shown, Outcome.REJECTED, code, progress, now, now, row["id"]),
        )
        tx.counters.count(batch_id, row["public_state"], shown)


def _accepted_line(tx: Transaction, batch_id: BatchId, line: int) -> list[Row]:
    return tx.all(
        "SELECT * FROM message WHERE batch_id = ? AND line = ? AND state = 'accepted'", (batch_id, line)
    )


def live_persons(tx: Transaction, keys: Sequence[bytes]) -> dict[bytes, BatchId | None]:
    """The persons among `keys` that have a live application, each with its batch."""
    if not keys:
        return {}
    wanted, values = tx.among(keys)
    rows = tx.all(f"SELECT live_person_key, batch_id FROM message WHERE live_person_key {wanted}", values)
    return {row["live_person_key"]: row["batch_id"] for row in rows}


def accept_batch(
    tx: Transaction,
    batch_id: BatchId,
    intake_token: str,
    last: Sequence[NewMessage],
    duplicate: Callable[[NewMessage], NewMessage],
    acceptance: Callable[[Sequence[NewMessage]], Acceptance],
) -> Sequence[NewMessage]:
    if not _is_receiving(tx, batch_id, intake_token):
        raise LeaseLost(batch_id)
    recorded = _judged(tx, last, duplicate)
    _accept(tx, batch_id, intake_token, acceptance(recorded))
    # A small batch goes at once; what a large one has left is released by the sweeper, chunk by chunk.
    release_lines(tx, batch_id, 0, _RELEASED_AT_ONCE)
    insert_messages(tx, [_released(line) for line in recorded])
    tx.counters.settle(batch_id)
    return recorded


def _released(line: NewMessage) -> NewMessage:
    """As `release_lines` would leave it."""
    if line.state is not State.ACCEPTED or line.line is None or line.line > _RELEASED_AT_ONCE:
        return line
    return replace(line, state=State.READY, next_at=line.received_at)


def _accept(tx: Transaction, batch_id: BatchId, intake_token: str, acceptance: Acceptance) -> None:
    facts = acceptance.facts
    accepted = tx.run(
        "UPDATE batch SET state = 'processing', batch_reference = ?, licensee = ?, agent = ?, mission = ?,"
        " package = ?, group_number = ?, season = ?, payload_sha = ?, lines = ?, sealed_receipt = ?,"
        " accepted_at = ?, received_on = ? WHERE id = ? AND intake_token = ? AND state = 'receiving'",
        (facts.batch_reference, facts.licensee, facts.agent, facts.mission, facts.package, facts.group_number,
         facts.season, acceptance.payload_sha, acceptance.lines, acceptance.sealed_receipt, acceptance.now,
         acceptance.received_on.isoformat(), batch_id, intake_token),
    )  # fmt: skip
    if not accepted:
        raise LeaseLost(batch_id)
    write_audit(tx, at=acceptance.now, batch_id=batch_id, action="accept_batch", actor="intake")


def release_lines(tx: Transaction, batch_id: str, after: int, upto: int) -> int:
    """The lines after `after` and up to `upto` may be claimed from now on. Returns how many."""
    tx.run(
        "UPDATE batch SET released_line = CASE WHEN lines < ? THEN lines ELSE ? END WHERE id = ?",
        (upto, upto, batch_id),
    )
    return tx.run(
        "UPDATE message SET state = 'ready', next_at = ? WHERE batch_id = ? AND line > ? AND line <= ?"
        " AND state = 'accepted'",
        (tx.now, batch_id, after, upto),
    )


def abandon_batch(tx: Transaction, batch_id: BatchId, intake_token: str) -> None:
    if _is_receiving(tx, batch_id, intake_token):
        remove_batch(tx, batch_id)


def _is_receiving(tx: Transaction, batch_id: BatchId, intake_token: str) -> bool:
    """Whether the batch is still being received under this lease."""
    held = tx.one(
        f"SELECT 1 FROM batch WHERE id = ? AND intake_token = ? AND state = 'receiving'{tx.for_update}",
        (batch_id, intake_token),
    )
    return held is not None


def remove_batch(tx: Transaction, batch_id: str) -> None:
    """Remove what was never accepted; nobody was told of it. Its row is locked."""
    if tx.run("DELETE FROM batch WHERE id = ? AND state = 'receiving'", (batch_id,)):
        tx.run("DELETE FROM message WHERE batch_id = ?", (batch_id,))
        tx.run("DELETE FROM batch_count WHERE batch_id = ?", (batch_id,))
