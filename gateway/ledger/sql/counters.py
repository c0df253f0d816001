"""Counts of a batch's lines by public state, kept up to date once a commit group.

The commit that settles a batch's last line completes the batch and writes its `batch.completed` entry,
which is unique by (batch, revision).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from gateway.states import SETTLED

if TYPE_CHECKING:
    from gateway.ledger.sql.transaction import Transaction

_SETTLED = ", ".join(f"'{state}'" for state in sorted(SETTLED))

_COUNT: Final = (
    "INSERT INTO batch_count (batch_id, public_state, n) VALUES (?, ?, ?)"
    " ON CONFLICT (batch_id, public_state) DO UPDATE SET n = batch_count.n + excluded.n"
)
#: Complete now, or completed before and one of its settled lines changed, which its center has not confirmed.
_SETTLE: Final = (
    "UPDATE batch SET state = 'completed',"
    " completed_at = CASE WHEN state = 'completed' THEN completed_at ELSE ? END,"
    " confirmed_at = CASE WHEN state = 'completed' THEN NULL ELSE confirmed_at END,"
    " revision = CASE WHEN state = 'completed' THEN revision + 1 ELSE revision END"
    " WHERE id {wanted} AND (state = 'completed' OR state = 'processing' AND lines ="
    " (SELECT coalesce(sum(n), 0) FROM batch_count"
    f" WHERE batch_id = batch.id AND public_state IN ({_SETTLED}))) RETURNING id, party, revision"
)


class BatchCounters:
    """Collects changes during a transaction; `flush` writes them last."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], int] = defaultdict(int)
        self._touched: dict[str, bool] = {}

    def count(self, batch_id: str | None, before: str | None, after: str | None) -> None:
        """One line of the batch left `before` (None: it is new) and entered `after` (None: removed)."""
        if batch_id is None or before == after:
            return
        if before is not None:
            self._changes[batch_id, before] -= 1
        if after is not None:
            self._changes[batch_id, after] += 1
            self._touched[batch_id] = self._touched.get(batch_id, False) or after in SETTLED

    def settle(self, batch_id: str) -> None:
        """Look at the end of this transaction whether the batch is complete."""
        self._touched[batch_id] = True

    def flush(self, tx: Transaction) -> None:
        # In one order everywhere, batch before counts: two writers never wait for each other crosswise.
        settling = sorted(batch for batch, may_be_complete in self._touched.items() if may_be_complete)
        changes = sorted((batch, state, n) for (batch, state), n in self._changes.items() if n)
        counting = [(_COUNT, changes)] if changes else []
        tx.run_all([*tx.locking_batches(settling), *counting])
        if settling:
            _settle(tx, settling)


def _settle(tx: Transaction, batch_ids: list[str]) -> None:
    """Those of them that are complete are told of: a new revision when they were complete before."""
    wanted, values = tx.among(batch_ids)
    found = tx.all(_SETTLE.format(wanted=wanted), (tx.now, *values))
    for row in sorted(found, key=lambda row: row["id"]):
        tx.outbox.put(
            receiver=row["party"], kind="batch.completed", batch_id=row["id"], revision=row["revision"],
            created_at=tx.now,
        )  # fmt: skip
