"""Transactions of claiming: a lease with a fencing token. What moves under it stands in `moving`."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ledger.port import Claimed
from gateway.ledger.sql.rows import CLAIMED_COLUMNS, claimed
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.message import Micros
from gateway.states import PublicState, State, check_move


class LaneCursor:
    """Where the rounds over the fairness lanes stand. Used by the writer thread only."""

    def __init__(self) -> None:
        self.last = ""
        #: Of the round over what was put off.
        self.looked_at = ""


# --- claim ------------------------------------------------------------------------------------------------

#: Put off and due again: in one claim so many lanes are looked at, and so many messages join the others.
_LOOKED_AT_ONCE = 256
_RANKED_AT_ONCE = 256


def claim(
    tx: Transaction, cursor: LaneCursor, worker: str, limit: int, now: Micros, lease_until: Micros
) -> Sequence[Claimed]:
    lease = (worker, lease_until, now)
    # New work is never kept waiting by questions about old: they take half of a claim at most.
    taken = _claim_inquiries(tx, -(-limit // 2), now, lease)
    _rank_due(tx, cursor, now)
    due = _most_urgent(tx, cursor, limit - len(taken), now)
    return taken + _lease(tx, due, State.READY, State.CARRIED, lease)


def _rank_due(tx: Transaction, cursor: LaneCursor, now: Micros) -> None:
    """What was put off and is due stands among the others from now on, where its urgency puts it.

    Lane by lane too: one with thousands of them keeps no other's waiting.
    """
    lanes = _lanes_in_turn(tx, "message_put_off", cursor.looked_at, _LOOKED_AT_ONCE)
    cursor.looked_at = lanes[-1][0] if len(lanes) == _LOOKED_AT_ONCE else ""
    due = [lane for lane, next_at in lanes if next_at <= now]
    for lane in due:
        tx.run(
            "UPDATE message SET put_off = 0 WHERE id IN (SELECT id FROM message INDEXED BY message_put_off"
            " WHERE state = 'ready' AND put_off = 1 AND lane = ? AND next_at <= ? ORDER BY next_at LIMIT ?"
            f"{tx.skip_locked})",
            (lane, now, -(-_RANKED_AT_ONCE // len(due))),
        )


def _most_urgent(tx: Transaction, cursor: LaneCursor, limit: int, now: Micros) -> list[Row]:
    """Of each lane its share, the most urgent first. What a lane does not need goes to those after it."""
    lanes = [lane for lane, _ in _lanes_in_turn(tx, "message_urgent", cursor.last, limit)]
    due: list[Row] = []
    for position, lane in enumerate(lanes):
        share = -(-(limit - len(due)) // (len(lanes) - position))
        due += _due_of_lane(tx, lane, share, now)
    if lanes:
        # The first ones got what could not be divided: next time it is the turn of those after them.
        undivided = len(lanes) if len(lanes) == limit else limit % len(lanes)
        cursor.last = lanes[undivided - 1] if undivided else cursor.last
    return due


#: What stands in each index, and its first column after the lane.
_INDICES = {
    "message_urgent": ("state = 'ready' AND put_off = 0", "urgency"),
    "message_put_off": ("state = 'ready' AND put_off = 1", "next_at"),
}


def _lanes_in_turn(tx: Transaction, index: str, last: str, limit: int) -> list[tuple[str, Micros]]:
    """Up to `limit` lanes of the index: those after `last`, then from the beginning.

    Each with the least urgency, or the earliest instant, that it holds.
    """
    lanes = _lanes(tx, index, "lane > ?", last, limit)
    if last and len(lanes) < limit:
        before = _lanes(tx, index, "lane >= ?", "", limit - len(lanes))
        lanes += [each for each in before if each[0] <= last]
    return lanes


def _lanes(tx: Transaction, index: str, begin: str, value: str, limit: int) -> list[tuple[str, Micros]]:
    """From lane to lane by the index, however many messages each has."""
    if limit <= 0:
        return []
    holds, column = _INDICES[index]
    of_index = f"FROM message INDEXED BY {index} WHERE {holds} AND message."
    rows = tx.all(
        f"WITH RECURSIVE turn (lane, n) AS ("
        f"SELECT (SELECT message.lane {of_index}{begin} ORDER BY message.lane LIMIT 1), 1 UNION ALL"
        f" SELECT (SELECT message.lane {of_index}lane > turn.lane ORDER BY message.lane LIMIT 1), n + 1"
        " FROM turn WHERE turn.lane IS NOT NULL AND n < ?)"
        f" SELECT lane, (SELECT {column} {of_index}lane = turn.lane ORDER BY {column} LIMIT 1) AS least"
        " FROM turn WHERE lane IS NOT NULL",
        (value, limit),
    )
    return sorted((row["lane"], row["least"]) for row in rows)


def _due_of_lane(tx: Transaction, lane: str, limit: int, now: Micros) -> list[Row]:
    found = tx.all(
        "SELECT id, public_state, batch_id, next_at FROM message INDEXED BY message_urgent"
        " WHERE state = 'ready' AND put_off = 0 AND lane = ? ORDER BY urgency LIMIT ?"
        f"{tx.skip_locked}",
        (lane, limit),
    )
    # The version before this one does not say what it puts off: it is seen here once, and not again.
    early = [(row["id"],) for row in found if row["next_at"] > now]
    if early:
        tx.run_many("UPDATE message SET put_off = 1 WHERE id = ?", early)
    return [row for row in found if row["next_at"] <= now]


_LEASE = "lease_token = lease_token + 1, lease_owner = ?, lease_until = ?, updated_at = ?, next_at = NULL"


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
    ids = [row["id"] for row in rows]
    wanted, values = tx.among(ids)
    found = tx.all(
        f"UPDATE message SET state = ?, public_state = 'in_progress', attempts = attempts + 1, {_LEASE}"
        f" WHERE id {wanted} RETURNING {CLAIMED_COLUMNS}",
        [to, *lease, *values],
    )
    leased = {one.id: one for one in (claimed(row, to) for row in found)}
    return [leased[id] for id in ids]
