"""Visas as the books keep them, and those that several moves of a group issue, written together."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from gateway.ledger.books import Presence, Visa
from gateway.message import BatchFacts, MessageId, PartyId

if TYPE_CHECKING:
    from gateway.ledger.sql.transaction import Row, Transaction

_PUT: Final = (
    "INSERT INTO visa (number_index, message_id, party, licensee, agent, mission, season, country,"
    " due_on, presence, arrived_on, departed_on, notices)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number_index) DO UPDATE SET"
    " due_on = excluded.due_on, presence = excluded.presence, arrived_on = excluded.arrived_on,"
    " departed_on = excluded.departed_on, notices = excluded.notices"
    " WHERE visa.message_id = excluded.message_id"
)


class NotTogether(Exception):
    """Of several moves one needs a look of its own: the group is undone, and each of its units runs alone."""


class VisasPage:
    """Collects the visas that moves of one group issue; `flush` writes them.

    Each is taken for one whose number is nobody else's and whose movements are still to come, as nearly all
    are. `flush` looks whether that is so, in one query for all of them.
    """

    def __init__(self) -> None:
        self._collects = False
        self._rows: dict[bytes, tuple[Any, ...]] = {}

    def collect(self) -> None:
        """Until `end`, visas are written together."""
        self._collects = True

    def end(self, tx: Transaction) -> None:
        """Raises `NotTogether`."""
        self._collects = False
        self.flush(tx)

    def put(self, tx: Transaction, visa: Visa) -> bool:
        """See `gateway.ledger.books.Books.put_visa`."""
        if self._collects and visa.presence is Presence.ISSUED and visa.index not in self._rows:
            self._rows[visa.index] = _row(visa)
            return True
        self.flush(tx)
        return bool(tx.run(_PUT, _row(visa)))

    def is_collected(self, index: bytes) -> bool:
        """Whether it is taken for one without movements so far."""
        return index in self._rows

    def flush(self, tx: Transaction) -> None:
        """Raises `NotTogether`."""
        if not self._rows:
            return
        wanted, indices = tx.among([*self._rows])
        written = tx.run_many(_PUT, [*self._rows.values()])
        moved = tx.one(f"SELECT 1 FROM movement WHERE visa_index {wanted} AND matched = 0 LIMIT 1", indices)
        if written < len(self._rows) or moved is not None:
            raise NotTogether
        self._rows.clear()


def visa_of_row(row: Row | None) -> Visa | None:
    if row is None:
        return None
    return Visa(
        index=row["number_index"],
        message_id=MessageId(row["message_id"]),
        party=PartyId(row["party"]),
        facts=BatchFacts(
            batch_reference="",
            licensee=row["licensee"],
            agent=row["agent"],
            mission=row["mission"],
            season=row["season"],
        ),
        country=row["country"],
        due_on=date.fromisoformat(row["due_on"]),
        presence=Presence(row["presence"]),
        arrived_on=_day(row["arrived_on"]),
        departed_on=_day(row["departed_on"]),
        notices=row["notices"],
    )


def _row(visa: Visa) -> tuple[Any, ...]:
    where = visa.facts
    return (visa.index, visa.message_id, visa.party, where.licensee, where.agent, where.mission,
            where.season, visa.country, visa.due_on.isoformat(), visa.presence, _text(visa.arrived_on),
            _text(visa.departed_on), visa.notices)  # fmt: skip


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
