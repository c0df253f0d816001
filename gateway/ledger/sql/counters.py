"""Counts of a batch's lines by public state, kept up to date once a commit group.

The commit that settles a batch's last line completes the batch and writes its `batch.completed` entry,
which is unique by (batch, revision).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gateway.states import SETTLED

if TYPE_CHECKING:
    from gateway.ledger.sql.transaction import Transaction

_SETTLED = ", ".join(f"'{state}'" for state in sorted(SETTLED))


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
        tx.lock_batches(settling)
        changes = sorted((batch, state, n) for (batch, state), n in self._changes.items() if n)
        if changes:
            tx.run_many(
                "INSERT INTO batch_count (batch_id, public_state, n) VALUES (?, ?, ?)"
                " ON CONFLICT (batch_id, public_state) DO UPDATE SET n = batch_count.n + excluded.n",
                changes,
            )
        for batch_id in settling:
            if not _complete(tx, batch_id):
                _raise_revision(tx, batch_id)


def _complete(tx: Transaction, batch_id: str) -> bool:
    changed = tx.run(
        "UPDATE batch SET state = 'completed', completed_at = ? WHERE id = ? AND state = 'processing'"
        f" AND lines = (SELECT coalesce(sum(n), 0) FROM batch_count"
        f" WHERE batch_id = batch.id AND public_state IN ({_SETTLED}))",
        (tx.now, batch_id),
    )
    if changed:
        _tell_completed(tx, batch_id)
    return bool(changed)


def _raise_revision(tx: Transaction, batch_id: str) -> None:
    """A settled line of a completed batch changed: a new revision, which the center has not confirmed."""
    raised = tx.run(
        "UPDATE batch SET revision = revision + 1, confirmed_at = NULL WHERE id = ? AND state = 'completed'",
        (batch_id,),
    )
    if raised:
        _tell_completed(tx, batch_id)


def _tell_completed(tx: Transaction, batch_id: str) -> None:
    row = tx.one("SELECT party, revision FROM batch WHERE id = ?", (batch_id,))
    if row is not None:
        tx.outbox.put(
            receiver=row["party"], kind="batch.completed", batch_id=batch_id, revision=row["revision"],
            created_at=tx.now,
        )  # fmt: skip
