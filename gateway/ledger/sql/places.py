"""Places under ceilings, as one transaction takes them: a quota is looked at once, and written once.

What was taken and not written yet is known here alone. Whoever reads or writes quotas and reservations by
statements of his own flushes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gateway.ledger.books import Quota

if TYPE_CHECKING:
    from gateway.ledger.sql.transaction import Transaction

_TAKE: Final = "UPDATE quota SET taken = taken + ? WHERE control = ? AND scope = ?"
_RESERVE: Final = "INSERT INTO reservation (message_id, control, scope) VALUES (?, ?, ?)"


class PlacesPage:
    """Collects the places that are taken in one transaction; `flush` writes them."""

    def __init__(self) -> None:
        #: Of each quota that was looked at, how many are left.
        self._free: dict[Quota, int] = {}
        self._taken: dict[Quota, int] = {}
        self._reservations: list[tuple[str, str, str]] = []
        #: Messages that are known to hold no place.
        self._without: set[str] = set()

    def look_ahead(self, tx: Transaction, message_ids: Sequence[str]) -> None:
        """Who of these holds places already, in one query for all that will be asked about."""
        if len(message_ids) > 1:
            wanted, values = tx.among(message_ids)
            found = tx.all(f"SELECT message_id FROM reservation WHERE message_id {wanted}", values)
            self._without = set(message_ids).difference(row["message_id"] for row in found)

    def held_by(self, tx: Transaction, message_id: str) -> bool:
        if message_id in self._without:
            return False
        self.flush(tx)
        return tx.one("SELECT 1 FROM reservation WHERE message_id = ?", (message_id,)) is not None

    def has_room(self, tx: Transaction, quota: Quota) -> bool:
        free = self._free.get(quota)
        if free is None:
            tx.own_places()
            row = tx.one(
                f"SELECT ceiling - taken AS free FROM quota WHERE control = ? AND scope = ?{tx.for_update}",
                (quota.control, quota.scope),
            )
            free = self._free[quota] = 0 if row is None else row["free"] - self._taken.get(quota, 0)
        return free > 0

    def take(self, message_id: str, quotas: Sequence[Quota]) -> None:
        """A place under each of them. There is room, or none is asked for."""
        self._without.discard(message_id)
        for quota in sorted(quotas):
            self._taken[quota] = self._taken.get(quota, 0) + 1
            if quota in self._free:
                self._free[quota] -= 1
            self._reservations.append((message_id, quota.control, quota.scope))

    def flush(self, tx: Transaction) -> None:
        if self._taken:
            tx.run_all(
                [
                    *tx.locking_places(),
                    (_TAKE, [(n, quota.control, quota.scope) for quota, n in sorted(self._taken.items())]),
                    (_RESERVE, self._reservations),
                ]
            )
            self._taken, self._reservations = {}, []
        self._free.clear()
        self._without.clear()
