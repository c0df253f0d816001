"""Who was given what of a person, and the journal's entries by person, party and period.

Everything here is found by an index: passport to applications, these to their visas, the visas to what names
them. `tests/access` holds the plans of these queries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.ledger.records import Disclosed, EntriesWanted, Involved, JournalRow
from gateway.ledger.sql.auditing import journal_row
from gateway.ledger.sql.transaction import Connection, Row
from gateway.message import BatchId, Disclosure, MessageId, PartyId
from gateway.states import Outcome, State

#: SQLite takes some thousands of values in one statement.
_AT_ONCE: Final = 500
_INVOLVED: Final = "SELECT id, kind, party, batch_id, line, state, open_step, outcome FROM message"
_CASE: Final = "committee_case"


# --- who is meant -----------------------------------------------------------------------------------------


def about(reader: Connection, passports: Sequence[bytes]) -> Sequence[Involved]:
    """The messages about the persons behind these passport indices, in the order in which they came."""
    applications = [
        row["id"] for row in _in(reader, "SELECT id FROM message WHERE passport_index IN", passports)
    ]
    found = {*applications}
    found |= {row["id"] for row in _in(reader, "SELECT id FROM message WHERE parent_id IN", applications)}
    visas = _in(reader, "SELECT number_index FROM visa WHERE message_id IN", applications)
    numbers = [bytes(row["number_index"]) for row in visas]
    naming = _in(reader, "SELECT message_id FROM named_visa WHERE number_index IN", numbers)
    found |= {row["message_id"] for row in naming}
    found |= _decisions(reader, sorted(found))
    rows = _in(reader, f"{_INVOLVED} WHERE id IN", sorted(found))
    return [_involved(row) for row in sorted(rows, key=lambda row: str(row["id"]))]


def _decisions(reader: Connection, ids: Sequence[str]) -> set[str]:
    """What the committee decided names a case and not the visa; the case was opened by a message that may."""
    opened = _in(reader, f"SELECT id FROM record WHERE kind = '{_CASE}' AND message_id IN", ids)
    cases = sorted({row["id"] for row in opened})
    versions = _in(reader, f"SELECT message_id FROM record WHERE kind = '{_CASE}' AND id IN", cases)
    return {row["message_id"] for row in versions if row["message_id"] is not None}


def _involved(row: Row) -> Involved:
    return Involved(
        MessageId(row["id"]),
        row["kind"],
        PartyId(row["party"]),
        BatchId(row["batch_id"]) if row["batch_id"] else None,
        row["line"],
        State(row["state"]),
        row["open_step"],
        row["outcome"] == Outcome.REJECTED,
    )


# --- what they were given ---------------------------------------------------------------------------------


def disclosures(reader: Connection, passports: Sequence[bytes]) -> Sequence[Disclosed]:
    """What was given to whom of the persons behind these passport indices, in the order in which it was."""
    involved = about(reader, passports)
    told = "SELECT * FROM audit WHERE (detail IS NOT NULL OR action = 'lease_ended') AND message_id IN"
    rows = [
        *(journal_row(row) for row in _in(reader, told, [one.id for one in involved])),
        *_of_batches(reader, involved, only="AND detail IS NOT NULL"),
    ]
    scopes = _scopes(reader, sorted({number for row in rows for number in row.scopes}))
    return [one for row in sorted(rows, key=_seq) for one in _disclosed(row, scopes)]


def _of_batches(reader: Connection, involved: Sequence[Involved], only: str = "") -> list[JournalRow]:
    """Entries about whole batches, or about some of their lines with one of these among them."""
    batches = sorted({one.batch_id for one in involved if one.batch_id is not None})
    found = _in(reader, f"SELECT * FROM audit WHERE message_id IS NULL {only} AND batch_id IN", batches)
    rows = [journal_row(row) for row in found]
    return [row for row in rows if any(one.in_entry(row.entry) for one in involved)]


def _seq(row: JournalRow) -> int:
    return row.seq


def _scopes(reader: Connection, numbers: Sequence[int]) -> Mapping[int, Disclosure]:
    return {
        row["id"]: Disclosure(
            row["receiver"], row["operation"], tuple(json.loads(row["fields"])), row["purpose"], row["rule"]
        )
        for row in _in(reader, "SELECT * FROM scope WHERE id IN", numbers)
    }


def _disclosed(row: JournalRow, scopes: Mapping[int, Disclosure]) -> Iterable[Disclosed]:
    """One an entry names; a lease that ended tells that there may have been a call which no entry names."""
    if row.entry.action == "lease_ended":
        yield Disclosed(row.seq, row.entry, None)
    for number in row.scopes:
        yield Disclosed(row.seq, row.entry, scopes.get(number))


# --- the journal, by person, party and period ---------------------------------------------------------------


def entries(reader: Connection, wanted: EntriesWanted, after: int, span: int) -> Sequence[JournalRow]:
    """Those that are wanted among the `span` entries that follow `after`."""
    found = reader.execute(
        "SELECT a.*, m.party AS of_message, b.party AS of_batch FROM audit a"
        " LEFT JOIN message m ON m.id = a.message_id LEFT JOIN batch b ON b.id = a.batch_id"
        " WHERE a.seq > ? AND a.seq <= ? AND a.at >= ? AND a.at < ? ORDER BY a.seq",
        (after, after + span, wanted.since, wanted.until),
    ).fetchall()
    if wanted.party is None:
        return [journal_row(row) for row in found]
    given = _given_to(reader, wanted.party)
    return [
        read
        for row, read in ((row, journal_row(row)) for row in found)
        if wanted.party in (row["actor"], row["of_message"], row["of_batch"])
        or not given.isdisjoint(read.scopes)
    ]


def _given_to(reader: Connection, party: str) -> frozenset[int]:
    """The numbers of all that a party was ever given."""
    found = reader.execute("SELECT id FROM scope WHERE receiver = ?", (party,)).fetchall()
    return frozenset(row["id"] for row in found)


def entries_about(
    reader: Connection, passports: Sequence[bytes], wanted: EntriesWanted
) -> Sequence[JournalRow]:
    """Those that are wanted of what is known of these persons."""
    involved = about(reader, passports)
    named = _in(reader, "SELECT * FROM audit WHERE message_id IN", [one.id for one in involved])
    rows = [*(journal_row(row) for row in named), *_of_batches(reader, involved)]
    given = frozenset() if wanted.party is None else _given_to(reader, wanted.party)

    def fits(row: JournalRow) -> bool:
        if not wanted.since <= row.entry.at < wanted.until:
            return False
        if wanted.party in (None, row.entry.actor) or not given.isdisjoint(row.scopes):
            return True
        return any(one.party == wanted.party and one.in_entry(row.entry) for one in involved)

    return sorted(filter(fits, rows), key=_seq)


def configurations(reader: Connection) -> Sequence[JournalRow]:
    """Each entry that names the configuration in force from then on."""
    found = reader.execute("SELECT * FROM audit WHERE action = 'configuration' ORDER BY seq").fetchall()
    return [journal_row(row) for row in found]


def scopes(reader: Connection, numbers: Sequence[int]) -> Mapping[int, Disclosure]:
    """The disclosures that entries name by these numbers."""
    return _scopes(reader, numbers)


def _in(reader: Connection, sql: str, values: Sequence[Any]) -> list[Row]:
    found: list[Row] = []
    for start in range(0, len(values), _AT_ONCE):
        part = values[start : start + _AT_ONCE]
        found += reader.execute(f"{sql} ({', '.join('?' * len(part))})", list(part)).fetchall()
    return found
