"""The schema on PostgreSQL, changed while older processes go on writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from psycopg import errors

from gateway.errors import Misconfigured
from gateway.ledger.migrating import (
    Migration,
    index_built_by,
    migrations,
    newest,
    statements,
    to_apply,
    with_earlier,
)
from gateway.ledger.postgresql.connection import LOCK_CLASS, MIGRATION, Connection
from gateway.ledger.postgresql.dialect import schema

#: A change that waits for a table's lock makes everybody behind it wait too: so it waits for a moment only,
#: lets the others through, and tries again.
_LOCK_TIMEOUT_MS: Final = 1_000
_TRIES: Final = 60
_PAUSE_S: Final = 0.5
#: How long another process may take with its migration, which builds indices.
_OTHERS_S: Final = 3_600.0

Pause = Callable[[float], None]


def migrate(
    connection: Connection, known: Sequence[Migration] | None = None, *, pause: Pause = time.sleep
) -> int:
    """Bring the schema to this version's, one process at a time. Returns the version reached.

    Raises `Misconfigured` when it was written by a newer version that this one can't work beside, or when
    its tables stay locked.
    """
    with alone(connection, pause):
        return _migrate(connection, migrations() if known is None else known, pause)


@contextmanager
def alone(connection: Connection, pause: Pause = time.sleep) -> Iterator[None]:
    """Nobody else changes the schema meanwhile, and no gateway that is started gets further than to wait."""
    waited = 0.0
    while not _try_lock(connection):
        if waited > _OTHERS_S:
            raise Misconfigured(["ledger:1:1: another process has been changing the schema for too long"])
        pause(_PAUSE_S)
        waited += _PAUSE_S
    try:
        yield
    finally:
        if connection.usable:
            connection.execute("SELECT pg_advisory_unlock(?, ?)", (LOCK_CLASS, MIGRATION))


def _try_lock(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(?, ?) AS mine", (LOCK_CLASS, MIGRATION)).fetchone()
    return row is not None and bool(row["mine"])


def _migrate(connection: Connection, known: Sequence[Migration], pause: Pause) -> int:
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)")
    connection.execute("ALTER TABLE schema_version ADD COLUMN IF NOT EXISTS compatible_with BIGINT")
    # The latest transaction of each writer that was committed, by a key of the writer's own.
    connection.execute(
        "CREATE TABLE IF NOT EXISTS last_commit"
        " (writer TEXT PRIMARY KEY, key TEXT NOT NULL, at TIMESTAMPTZ NOT NULL)"
    )
    applied = _applied(connection)
    for step in to_apply(applied, known):
        if step.concurrently:
            _build_beside(connection, step, pause)
        else:
            _change(connection, step, pause)
    return max(newest(known), *applied, 0)


def _applied(connection: Connection) -> Mapping[int, int]:
    rows = connection.execute("SELECT version, compatible_with FROM schema_version").fetchall()
    told = {int(row["version"]): int(row["compatible_with"] or row["version"]) for row in rows}
    return with_earlier(told, 0)


def _change(connection: Connection, step: Migration, pause: Pause) -> None:
    """One transaction; tried again for as long as somebody else has a table locked."""
    begin = f"BEGIN;\nSET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}"
    _patiently(connection, step, f"{begin};\n{schema(step.script)}\n{_noted(step)};\nCOMMIT", pause=pause)


def _build_beside(connection: Connection, step: Migration, pause: Pause) -> None:
    """Indices without a lock that stops writers. What a crash left half-built is dropped and built anew."""
    for sql in statements(step.script):
        name = index_built_by(sql)
        if name is None:
            raise AssertionError("what is done concurrently builds indices")
        if _is_whole(connection, name):
            continue
        # In each try: what it could not end is left half-built, too.
        dropped = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
        _patiently(connection, step, dropped, sql.replace(" INDEX ", " INDEX CONCURRENTLY ", 1), pause=pause)
    connection.execute(_noted(step))


def _is_whole(connection: Connection, index: str) -> bool:
    row = connection.execute(
        "SELECT indisvalid AS whole FROM pg_index WHERE indexrelid = to_regclass(?)", (index,)
    ).fetchone()
    return row is not None and bool(row["whole"])


def _patiently(connection: Connection, step: Migration, *script: str, pause: Pause) -> None:
    for _ in range(_TRIES):
        try:
            for sql in script:
                connection.execute(sql)
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            connection.execute("ROLLBACK")
            pause(_PAUSE_S)
        except BaseException:
            if connection.usable:
                connection.execute("ROLLBACK")
            raise
        else:
            return
    raise Misconfigured(
        [f"ledger:1:1: {step.name}: a table it changes stays locked; try again when less is done"]
    )


def _noted(step: Migration) -> str:
    return f"INSERT INTO schema_version VALUES ({step.number}, {step.compatible_with})"
