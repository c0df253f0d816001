"""The sweep: what crashes, clocks and large batches leave behind is set right, a little at a time."""

from __future__ import annotations

from gateway.ledger.port import Swept
from gateway.ledger.sql import intake
from gateway.ledger.sql.books import give_back
from gateway.ledger.sql.journal import write_audit
from gateway.ledger.sql.moving import close_open_attempts
from gateway.ledger.sql.rows import show_moved
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.message import Micros
from gateway.states import FINAL, State, check_move, public_state

_BATCH_OF_ABANDONED = 4


def sweep(
    tx: Transaction,
    now: Micros,
    release: int,
    *,
    business_now: Micros | None = None,
    all_leases: bool = False,
) -> Swept:
    by_date = now if business_now is None else business_now
    return Swept(
        leases_ended=_end_leases(tx, now, all_leases),
        woken=_wake(tx, now, by_date),
        expired=_expire(tx, now, by_date),
        released=_release(tx, release),
        abandoned_batches=_discard_abandoned(tx, now, all_leases),
    )


def end_all_leases(tx: Transaction, now: Micros) -> int:
    """Every worker is known to be dead. Returns how many leases there were."""
    return _end_leases(tx, now, all_leases=True)


#: What `_shift` needs of a row.
_SHIFTED = "id, kind, party, batch_id, state, public_state, revision, open_step"


def _end_leases(tx: Transaction, now: Micros, all_leases: bool) -> int:
    """A dead lease before an intent → ready; with an open intent → uncertain: only the partner knows."""
    dead = tx.all(
        f"SELECT {_SHIFTED} FROM message WHERE state IN ('carried', 'inquiring')"
        " AND (lease_until <= ? OR ? = 1)"
        f"{tx.skip_locked}",
        (now, all_leases),
    )
    for row in dead:
        to = State.UNCERTAIN if row["open_step"] is not None else State.READY
        _shift(tx, row, to, now, action="lease_ended", next_at=now)
        close_open_attempts(tx, row["id"], now)
    return len(dead)


def _wake(tx: Transaction, now: Micros, by_date: Micros) -> int:
    due = tx.all(
        f"SELECT {_SHIFTED} FROM message INDEXED BY message_waiting"
        " WHERE state IN ('held', 'awaiting') AND next_at <= ? AND (deadline_at IS NULL OR deadline_at > ?)"
        f" LIMIT 1000{tx.skip_locked}",
        (now, by_date),
    )
    for row in due:
        _shift(tx, row, State.READY, now, action="wake", next_at=now)
    return len(due)


def _expire(tx: Transaction, now: Micros, by_date: Micros) -> int:
    late = tx.all(
        f"SELECT {_SHIFTED} FROM message INDEXED BY message_deadline"
        " WHERE state IN ('ready', 'held', 'awaiting') AND deadline_at <= ? AND NOT EXISTS"
        " (SELECT 1 FROM effect WHERE message_id = message.id AND effect.state <> 'free') LIMIT 1000"
        f"{tx.skip_locked}",
        (by_date,),
    )
    for row in late:
        _shift(tx, row, State.EXPIRED, now, action="expire", next_at=None, code="expired")
    return len(late)


def _shift(
    tx: Transaction,
    row: Row,
    to: State,
    now: Micros,
    *,
    action: str,
    next_at: Micros | None,
    code: str | None = None,
) -> None:
    """Move a message that no worker holds. Its token is raised, so that a late worker can't write."""
    before = State(row["state"])
    check_move(before, to)
    shown = public_state(to, None, 1)
    tx.run(
        "UPDATE message SET state = ?, public_state = ?, next_at = ?, code = coalesce(?, code),"
        " lease_token = lease_token + 1, lease_until = NULL, updated_at = ?, revision = revision + 1,"
        " completed_at = ?, live_person_key = CASE WHEN ? = 1 THEN NULL ELSE live_person_key END"
        " WHERE id = ?",
        (to, shown, next_at, code, now, now if to in FINAL else None, to in FINAL, row["id"]),
    )
    if to in FINAL:
        give_back(tx, row["id"])
    show_moved(tx, row, shown)
    write_audit(
        tx, at=now, message_id=row["id"], batch_id=row["batch_id"], action=action, before=before, after=to,
        actor="sweeper", code=code,
    )  # fmt: skip


def _release(tx: Transaction, limit: int) -> int:
    """Accepted lines of accepted batches become ready, a chunk a batch."""
    unreleased = tx.all(
        "SELECT id, released_line, lines FROM batch WHERE state = 'processing' AND released_line < lines"
        " ORDER BY released_line, id LIMIT 50"
        f"{tx.skip_locked}"
    )
    released = 0
    for row in unreleased:
        after = row["released_line"]
        released += intake.release_lines(tx, row["id"], after, after + limit)
        if released >= 4 * limit:  # the others' turn comes with the next sweep, a moment later
            break
    return released


def _discard_abandoned(tx: Transaction, now: Micros, all_leases: bool) -> int:
    abandoned = tx.all(
        # The second condition says what the first does, in the words of the index of open batches.
        "SELECT id FROM batch WHERE state = 'receiving' AND state <> 'completed'"
        " AND (intake_until <= ? OR ? = 1) LIMIT ?"
        f"{tx.skip_locked}",
        (now, all_leases, _BATCH_OF_ABANDONED if not all_leases else 2**31),
    )
    for row in abandoned:
        intake.remove_batch(tx, row["id"])
    return len(abandoned)
