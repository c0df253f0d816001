"""Connections to PostgreSQL: how they are opened, what they speak, what their errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.adapt import Dumper
from psycopg.rows import dict_row

from gateway.errors import Misconfigured, Unavailable
from gateway.ledger.postgresql.dialect import schema, statement

#: The transaction was undone so that another could go on: run it again.
CONFLICTS: Final = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
#: A violated constraint: by another process's transaction, if it does not happen again.
VIOLATIONS: Final = (psycopg.IntegrityError,)
#: No connection, or it broke: what was not committed is undone.
LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)

#: Advisory locks, by what they are for. All of this ledger's stand in one class.
LOCK_CLASS: Final = 0x756D_7268
RECORDS, OUTBOX, SWEEP, MIGRATION = range(1, 5)
#: A frozen process must not hold others up: the server ends its transaction.
_IDLE_IN_TRANSACTION_MS: Final = 10_000
_LOCK_TIMEOUT_MS: Final = 20_000
_CONNECT_TIMEOUT_S: Final = 5


class _NumberDumper(Dumper):
    """Truth values are kept as 0 and 1, as in the other database."""

    oid = 20

    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


class Connection:
    """A psycopg connection that reads the ledger's own statements. Used by one thread at a time."""

    def __init__(self, inner: psycopg.Connection[dict[str, Any]]) -> None:
        self._inner = inner

    def execute(self, sql: str, values: Sequence[Any] = ()) -> psycopg.Cursor[dict[str, Any]]:
        return self._inner.execute(statement(sql), values)

    def executemany(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        with self._inner.cursor() as cursor:
            cursor.executemany(statement(sql), values)

    @property
    def usable(self) -> bool:
        return not self._inner.closed

    def close(self) -> None:
        self._inner.close()


def connect(url: str, *, readonly: bool = False) -> Connection:
    """Raises one of `LOST` when the server does not answer."""
    inner = psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=_CONNECT_TIMEOUT_S,
        application_name="umrah-gateway",
        options=(
            f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS}"
            f" -c lock_timeout={_LOCK_TIMEOUT_MS} -c timezone=UTC"
            f" -c default_transaction_read_only={'on' if readonly else 'off'}"
        ),
    )
    inner.adapters.register_dumper(bool, _NumberDumper)
    return Connection(inner)


def migrate(connection: Connection) -> int:
    """Bring the schema to this version's, one process at a time. Returns the version reached.

    Raises `Misconfigured` when it was written by a newer version.
    """
    connection.execute("SELECT pg_advisory_lock(?, ?)", (LOCK_CLASS, MIGRATION))
    try:
        return _migrate(connection)
    finally:
        connection.execute("SELECT pg_advisory_unlock(?, ?)", (LOCK_CLASS, MIGRATION))


def _migrate(connection: Connection) -> int:
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)")
    # The latest transaction of each writer that was committed, by a key of the writer's own.
    connection.execute(
        "CREATE TABLE IF NOT EXISTS last_commit"
        " (writer TEXT PRIMARY KEY, key TEXT NOT NULL, at TIMESTAMPTZ NOT NULL)"
    )
    row = connection.execute("SELECT coalesce(max(version), 0) AS version FROM schema_version").fetchone()
    version = int(row["version"]) if row else 0
    steps = list(_migrations())
    if version > len(steps):
        raise Misconfigured([f"ledger:1:1: schema version {version} is newer than this gateway knows"])
    for number, script in enumerate(steps[version:], start=version + 1):
        connection.execute(
            f"BEGIN;\n{schema(script)}\nINSERT INTO schema_version VALUES ({number});\nCOMMIT;"
        )
    return len(steps)


def _migrations() -> Iterator[str]:
    folder = resources.files("gateway.ledger") / "migrations"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".sql"):
            yield entry.read_text(encoding="utf-8")


@contextmanager
def told_as_ours() -> Iterator[None]:
    """A database that does not answer is unavailable."""
    try:
        yield
    except psycopg.Error as error:
        raise Unavailable("ledger_unavailable", type(error).__name__) from error
