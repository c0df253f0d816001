"""Opening the database file the one safe way.

SQLite 3.7.0 to 3.51.2 may corrupt a WAL database when two connections write or checkpoint. So a lock file
admits one process, one connection owns writes and checkpoints, and readers are `query_only`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

try:  # a newer SQLite than Python's own, where it has a wheel
    import pysqlite3.dbapi2 as driver
except ImportError:  # pragma: no cover - depends on the platform
    import sqlite3 as driver

from gateway.errors import Misconfigured

Connection = Any
Row = Any
DatabaseError: type[Exception] = driver.DatabaseError
IntegrityError: type[Exception] = driver.IntegrityError
SQLITE_VERSION: str = driver.sqlite_version

_STATEMENT_CACHE = 256


class ProcessLock:
    """Admits one process to a data directory, for as long as the file is locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises `Misconfigured` when another process holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise Misconfigured(
                [f"{self._path}:1:1: another gateway process uses this data directory"]
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


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


def migrate(connection: Connection) -> int:
    """Bring the schema to this version's; each step is one transaction. Returns the version reached.

    Raises `Misconfigured` when the file was written by a newer version.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    steps = list(_migrations())
    if version > len(steps):
        raise Misconfigured([f"ledger:1:1: schema version {version} is newer than this gateway knows"])
    for number, script in enumerate(steps[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    return len(steps)


def _migrations() -> Iterator[str]:
    folder = resources.files("gateway.ledger") / "migrations"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".sql"):
            yield entry.read_text(encoding="utf-8")
