"""Opening the database file the one safe way.

SQLite 3.7.0 to 3.51.2 may corrupt a WAL database when two connections write or checkpoint. So a lock file
admits one process, one connection owns writes and checkpoints, and readers are `query_only`. A group of
processes (`sharing`) has one such connection each, of which one writes at a time, and needs a SQLite without
that fault. Of a newer
SQLite the lock file admits one group, whose processes write and checkpoint one at a time (`sharing`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

try:  # a newer SQLite than Python's own, where it has a wheel
    import pysqlite3.dbapi2 as driver
except ImportError:  # pragma: no cover - depends on the platform
    import sqlite3 as driver

from gateway.errors import Misconfigured
from gateway.ledger.file_lock import FileLock
from gateway.ledger.migrating import Migration, migrations, newest, to_apply, with_earlier
from gateway.states import Outcome, State

Connection = Any
Row = Any
DatabaseError: type[Exception] = driver.DatabaseError
IntegrityError: type[Exception] = driver.IntegrityError
SQLITE_VERSION: str = driver.sqlite_version
#: The first and the last version with that fault (docs/decisions/0003).
_WAL_RESET_FAULT: Final = ((3, 7, 0), (3, 51, 2))

_STATEMENT_CACHE = 256

# The driver looks for a way to adapt each value that is no plain str, int or float, in vain for these: that
# costs more than a microsecond a NULL. Told once that they are bound as they are, it finds that at once; by
# functions of the interpreter's own, as these are called for each value: an empty dict gives None for None.
driver.register_adapter(type(None), {}.get)
driver.register_adapter(bytes, bytes.__bytes__)
for _words in (State, Outcome):
    driver.register_adapter(_words, str.__str__)


class ProcessLock:
    """Admits one process, or one group of them, to a data directory, for as long as the file is locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: FileLock | None = None

    def take(self) -> None:
        """Raises `Misconfigured` when another process holds it."""
        lock = FileLock(self._path)
        if not lock.try_take():
            lock.close()
            raise Misconfigured([f"{self._path}:1:1: another gateway process uses this data directory"])
        self._lock = lock

    @property
    def descriptor(self) -> int | None:
        """Whoever inherits it holds the lock, too: it is free when all of them have ended."""
        return None if self._lock is None else self._lock.descriptor

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def has_wal_fault() -> bool:
    """Whether this SQLite may corrupt a file to which several connections write."""
    first, last = _WAL_RESET_FAULT
    return first <= tuple(map(int, SQLITE_VERSION.split("."))) <= last


def open_writer(path: Path) -> Connection:
    """The one connection that writes: WAL, every commit on disk before it returns."""
    exists = path.exists()
    if not exists:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    connection = _connect(f"file:{path}?mode=rwc")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def open_reader(path: Path) -> Connection:
    """A connection that can't write and never checkpoints."""
    connection = _connect(f"file:{path}?mode=rw")
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def connect_plainly(path: Path) -> Connection:
    """A connection to a file that is nobody's ledger (yet), such as a copy."""
    return _connect(f"file:{path}?mode=rw")


def _connect(uri: str) -> Connection:
    connection = driver.connect(
        uri,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENT_CACHE,
        timeout=10.0,
    )
    connection.row_factory = driver.Row
    return connection


def migrate(connection: Connection, known: Sequence[Migration] | None = None) -> int:
    """Bring the schema to this version's; each step is one transaction. Returns the version reached.

    Raises `Misconfigured` when the file was written by a newer version that this one can't work beside.
    """
    steps = migrations() if known is None else known
    applied = _applied(connection)
    for step in to_apply(applied, steps):
        _apply(connection, step, applied)
    return max(newest(steps), *applied, 0)


def _applied(connection: Connection) -> Mapping[int, int]:
    """Numbers that were applied, each with what it is compatible with."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    rows = (
        connection.execute("SELECT version, compatible_with FROM schema_version").fetchall() if there else []
    )
    return with_earlier({row["version"]: row["compatible_with"] for row in rows}, version)


def _apply(connection: Connection, step: Migration, before: Mapping[int, int]) -> None:
    """`user_version` stays for versions that know no table of versions: they refuse what is newer."""
    rows = ", ".join(f"({number}, {compatible})" for number, compatible in before.items())
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{step.script}\n"
            "CREATE TABLE IF NOT EXISTS schema_version"
            " (version INTEGER PRIMARY KEY, compatible_with INTEGER NOT NULL) STRICT;\n"
            + (f"INSERT INTO schema_version VALUES {rows} ON CONFLICT DO NOTHING;\n" if rows else "")
            + f"INSERT INTO schema_version VALUES ({step.number}, {step.compatible_with});\n"
            f"PRAGMA user_version = {max(step.number, *before, 0)};\nCOMMIT;"
        )
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
