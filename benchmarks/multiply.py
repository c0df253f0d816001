"""A ledger as it is after a season, made in minutes: a small one that a gateway wrote, many times over.

Each copy of a row stands for another one of earlier: ids are moved back in time (they begin with it), so are
instants; digests and blind indices are drawn anew; everything else is as the gateway left it. All tables
that an application leaves rows in grow, and with them all their indices, row by row as they do in life.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from gateway.ledger.key_files import KeyFiles

#: Of how copies are made: ledgers of another one are not used again.
RECIPE: Final = 1
#: Tables that grow with every application, in the order in which they are written.
GROWN: Final = (
    "batch",
    "batch_count",
    "message",
    "attempt",
    "effect",
    "outbox",
    "reservation",
    "visa",
    "audit",
)
#: Those that do not, and why. Any other table with rows of the seed is a fault of this module.
NOT_GROWN: Final[Mapping[str, str]] = {
    "chain": "one row a chain; it is set to where the copies end",
    "checkpoint": "one each 30 s, whatever happens; only the last one is read, by its primary key",
    "destination": "one row a partner",
    "duty": "one row a duty",
    "forgotten_visa": "after a restore only",
    "held_person": "legal holds only",
    "hold": "legal holds only",
    "named_visa": "of messages other than applications",
    "photo": "of parties that send photos apart",
    "policy_text": "one row a configuration",
    "position": "one row a receiver",
    "probe": "one row",
    "quota": "one row a ceiling; the copies' places stand in reservation, not in the sums",
    "record": "licensees, agents, packages …: as many as there are of them",
    "resolution": "of messages under review",
    "restoration": "one row a restore",
    "retired_key": "one row a key",
    "rotation": "one row a rotation",
    "schema_version": "one row a migration",
    "scope": "one row a receiver, operation and rule",
    "sender_key": "of messages other than applications",
    "shredding": "one row a bucket",
    "token_use": "removed when the token ends, after minutes",
}
#: Indices of the journal that hold what happens at starts.
OF_STARTS: Final = frozenset({"audit_configuration"})
#: A movement that was told for each visa: tables beside those of applications that hot statements look into.
DERIVED: Final = ("movement",)

_AGED_IDS: Final = frozenset(
    {
        "id", "message_id", "batch_id", "parent_id", "idempotency_key", "request_reference", "intake_token",
        "event_id", "subject",
    }
)  # fmt: skip
_AGED_TIMES: Final = frozenset(
    {
        "at", "accepted_at", "completed_at", "confirmed_at", "created_at", "deadline_at", "finished_at",
        "intake_until", "next_at", "opened_at", "received_at", "send_by", "started_at", "updated_at",
        "urgency",
    }
)  # fmt: skip
_DRAWN: Final = frozenset({"hash", "live_person_key", "number_index", "passport_index", "payload_sha"})
#: Between the copies, so that a thousand of them are half a season.
_APART: Final = timedelta(hours=2, minutes=24)
#: Of all copies, the oldest: their retention has ended.
_OLD: Final = 0.1
_MS: Final = timedelta(milliseconds=1)
_US: Final = timedelta(microseconds=1)
#: What history looks like: confirmed by its center, and everybody has been here and left.
_SPECIAL: Final[Mapping[tuple[str, str], str]] = {
    ("audit", "number"): "number + :copy * (SELECT number FROM seed.chain WHERE name = chain)",
    ("batch", "confirmed_at"): "completed_at - :us",
    ("batch", "received_on"): "date(received_on, :days)",
    ("visa", "arrived_on"): "date(due_on, :days, '-40 days')",
    ("visa", "departed_on"): "date(due_on, :days, '-20 days')",
    ("visa", "due_on"): "date(due_on, :days)",
    ("visa", "presence"): "'departed'",
}
#: Of the journal what applications leave there: not that a gateway was started.
_CHOSEN: Final = {"audit": "WHERE message_id IS NOT NULL OR batch_id IS NOT NULL"}
_ARRIVALS: Final = """
INSERT INTO main.movement (message_id, visa_index, direction, at, day, matched)
SELECT aged(s.message_id, :ms + 1), v.number_index, 'arrival', 0, v.arrived_on, 1
FROM seed.visa s CROSS JOIN main.visa v ON v.message_id = aged(s.message_id, :ms)
"""


def multiply(ledger: Path, messages: int, today: date) -> int:
    """Let a ledger that nobody has open grow to about so many messages. Returns how many it has then.

    A tenth of them stands in the bucket `old_bucket(today)`, whose key is made beside the others. Raises
    `RuntimeError` when something that should have grown did not.
    """
    seed = ledger.with_name("seed.db")
    shutil.copyfile(ledger, seed)
    try:
        with opened(ledger) as database:
            database.execute("ATTACH ? AS seed", (str(seed),))
            _check_tables(database)
            before = _to_grow(database)
            copies = max(0, round(messages / before["message"]) - 1)
            # Partners of later runs count their visas from the beginning again.
            database.execute("UPDATE main.visa SET number_index = randomblob(length(number_index))")
            for number in range(copies, 0, -1):
                _copy(database, number, old_bucket(today) if number > copies * (1 - _OLD) else None)
            _end_chains(database, copies)
            _check_indices(before, index_rows(database), copies)
    finally:
        seed.unlink()
    KeyFiles(ledger.parent / "keys").rotate(old_bucket(today))
    return before["message"] * (copies + 1)


def old_bucket(today: date) -> str:
    """Of visas, and due for shredding: three years old."""
    return f"visa-{today.year - 3}-{today.month:02}"


@contextmanager
def opened(ledger: Path) -> Iterator[sqlite3.Connection]:
    """To be written fast: whoever is cut short begins anew."""
    database = sqlite3.connect(ledger, isolation_level=None)
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000"):
            database.execute(f"PRAGMA {pragma}")
        database.create_function("aged", 2, _aged, deterministic=True)
        database.create_function("under", 2, _under, deterministic=True)
        yield database
        database.execute("PRAGMA journal_mode = WAL")
    finally:
        database.close()


# --- one copy ----------------------------------------------------------------------------------------------


def _copy(database: sqlite3.Connection, number: int, bucket: str | None) -> None:
    apart = number * _APART
    values = {"copy": number, "ms": apart // _MS, "us": apart // _US, "days": f"-{apart.days} days"}
    database.execute("BEGIN")
    for table in GROWN:
        columns = _columns(database, table)
        chosen = ", ".join(_expression(table, name, bucket) for name in columns)
        database.execute(
            f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {chosen} FROM seed.{table}"
            f" {_CHOSEN.get(table, '')}",
            {**values, "bucket": bucket},
        )
    database.execute(_ARRIVALS, values)
    database.execute("COMMIT")


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    """But for a number that the database gives."""
    found = database.execute(f"SELECT name, type, pk FROM pragma_table_info('{table}')").fetchall()
    return [name for name, kind, key in found if not (key and kind == "INTEGER")]


def _expression(table: str, column: str, bucket: str | None) -> str:
    if (table, column) in _SPECIAL:
        return _SPECIAL[table, column]
    if column in _AGED_IDS:
        return f"aged({column}, :ms)"
    if column in _AGED_TIMES:
        return f"{column} - :us"
    if column in _DRAWN:
        return f"CASE WHEN {column} IS NULL THEN NULL ELSE randomblob(length({column})) END"
    if column == "data_key" and bucket is not None:
        return "under(data_key, :bucket)"
    return column


def _aged(id: str | None, ms: int) -> str | None:
    """A UUIDv7, perhaps with something behind it, of so many milliseconds earlier; others as they are."""
    if id is None or id[14:15] != "7" or id[13] != "-":
        return id
    made = f"{int(id[:8] + id[9:13], 16) - ms:012x}"
    return f"{made[:8]}-{made[8:]}{id[13:]}"


def _under(data_key: bytes | None, bucket: str) -> bytes | None:
    """As if wrapped under the first key of that bucket. It does not open: nobody opens copies."""
    if not data_key:
        return data_key
    name = f"{bucket}.1".encode()
    return bytes([len(name)]) + name + data_key[1 + data_key[0] :]


# --- checks ------------------------------------------------------------------------------------------------


def index_rows(database: sqlite3.Connection) -> dict[str, int]:
    """How many entries each index has, and each table that grows, by name."""
    found = {table: _count(database, table, "") for table in (*GROWN, *DERIVED)}
    for name, table, sql in _indices(database):
        _, where, condition = (sql or "").partition(" WHERE ")
        by_it = f"{table} INDEXED BY {name}"
        found[name] = _count(database, by_it, where + condition) if where else found[table]
    return found


def _indices(database: sqlite3.Connection) -> list[tuple[str, str, str | None]]:
    """Name, table and text; those without a text are of primary keys and of what is unique."""
    marks = ", ".join("?" * len((*GROWN, *DERIVED)))
    return database.execute(
        "SELECT name, tbl_name, replace(sql, char(10), ' ') FROM main.sqlite_master"
        f" WHERE type = 'index' AND tbl_name IN ({marks}) ORDER BY tbl_name, name",
        (*GROWN, *DERIVED),
    ).fetchall()


def _count(database: sqlite3.Connection, table: str, condition: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM main.{table} {condition}").fetchone()[0])


def _check_tables(database: sqlite3.Connection) -> None:
    """Each table grows, or it is said why not."""
    tables = {
        name for (name,) in database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
    }
    unknown = {name for name in tables if not name.startswith("sqlite_")} - {*GROWN, *DERIVED, *NOT_GROWN}
    if unknown:
        raise RuntimeError(f"nobody says whether these grow: {', '.join(sorted(unknown))}")


def _check_indices(before: Mapping[str, int], after: Mapping[str, int], copies: int) -> None:
    """What applications of the seed have entries in, has as many of each copy."""
    wanted = {name: count * (copies + 1) for name, count in before.items() if name not in OF_STARTS}
    short = [name for name, count in wanted.items() if after[name] < count]
    if short:
        raise RuntimeError(f"not grown: {', '.join(sorted(short))}")


def _to_grow(database: sqlite3.Connection) -> dict[str, int]:
    """Entries of the seed that are copied."""
    rows = index_rows(database)
    return {**rows, "audit": _count(database, "audit", _CHOSEN["audit"])}


def _end_chains(database: sqlite3.Connection, copies: int) -> None:
    database.execute("UPDATE main.chain SET number = number * (1 + ?)", (copies,))


def rows_of(ledger: Path) -> dict[str, int]:
    """See `index_rows`."""
    database = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        return index_rows(database)
    finally:
        database.close()
