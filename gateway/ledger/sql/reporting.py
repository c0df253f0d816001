"""Aggregates for reports and operators. Read off the event loop, on a connection that can't write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Final

from gateway.ledger.books import Quota, QuotaState
from gateway.ledger.records import FlowRow, SeasonTotals, Tally
from gateway.ledger.sql.transaction import Connection


def visa_flow(reader: Connection, since: date, until: date) -> Sequence[FlowRow]:
    found = reader.execute(
        "SELECT licensee, mission, received_on, public_state, sum(n) AS n FROM batch"
        " JOIN batch_count ON batch_id = batch.id WHERE received_on BETWEEN ? AND ? AND n > 0"
        " GROUP BY licensee, mission, received_on, public_state ORDER BY received_on, licensee, mission",
        (since.isoformat(), until.isoformat()),
    )
    counts: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for row in found:
        counts[row["licensee"], row["mission"], row["received_on"]][row["public_state"]] = int(row["n"])
    return [
        FlowRow(licensee, mission, date.fromisoformat(day), states)
        for (licensee, mission, day), states in counts.items()
    ]


def season_totals(reader: Connection, season: int) -> SeasonTotals:
    batches = reader.execute(
        "SELECT count(*) AS n FROM batch WHERE season = ? AND state <> 'receiving'", (season,)
    ).fetchone()
    states = reader.execute(
        "SELECT public_state, sum(n) AS n FROM batch JOIN batch_count ON batch_id = batch.id"
        " WHERE season = ? GROUP BY public_state",
        (season,),
    )
    visas = reader.execute(
        "SELECT country, presence, count(*) AS n FROM visa WHERE season = ? GROUP BY country, presence",
        (season,),
    )
    presences: dict[str, dict[str, int]] = defaultdict(dict)
    for row in visas:
        presences[row["country"]][row["presence"]] = row["n"]
    return SeasonTotals(batches["n"], {row["public_state"]: int(row["n"]) for row in states}, presences)


#: Sort, name, detail, count, an example message.
_CENSUS: Final = (
    "SELECT 'message' AS what, kind AS name, coalesce(outcome, state) AS detail, count(*) AS n,"
    " min(id) AS example FROM message GROUP BY kind, coalesce(outcome, state)",
    "SELECT 'code' AS what, kind AS name, code AS detail, count(*) AS n, min(id) AS example"
    " FROM message WHERE code IS NOT NULL GROUP BY kind, code",
    "SELECT 'held' AS what, code AS name, '' AS detail, count(*) AS n, min(message_id) AS example"
    " FROM audit WHERE to_state = 'held' AND code IS NOT NULL GROUP BY code",
    "SELECT 'attempt' AS what, step AS name, outcome AS detail, count(*) AS n, min(message_id) AS example"
    " FROM attempt GROUP BY step, outcome",
    "SELECT 'event' AS what, kind AS name, receiver AS detail, count(*) AS n, min(message_id) AS example"
    " FROM outbox GROUP BY kind, receiver",
    "SELECT 'record' AS what, kind AS name, '' AS detail, count(*) AS n, min(message_id) AS example"
    " FROM record GROUP BY kind",
    "SELECT 'movement' AS what, direction AS name, CASE matched WHEN 1 THEN 'matched' ELSE 'parked' END"
    " AS detail, count(*) AS n, min(message_id) AS example FROM movement GROUP BY direction, matched",
)


def census(reader: Connection) -> Sequence[Tally]:
    return [
        Tally(row["what"], row["name"], row["detail"], row["n"], row["example"])
        for query in _CENSUS
        for row in reader.execute(query)
    ]


def quotas(reader: Connection) -> Sequence[QuotaState]:
    found = reader.execute("SELECT * FROM quota ORDER BY control, scope")
    return [QuotaState(Quota(row["control"], row["scope"]), row["ceiling"], row["taken"]) for row in found]
