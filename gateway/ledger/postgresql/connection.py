"""Connections to PostgreSQL: how they are opened, what they speak, what their errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.adapt import Dumper
from psycopg.rows import dict_row

from gateway.errors import Unavailable
from gateway.ledger.postgresql.dialect import numbered, statement
from gateway.ledger.postgresql.many import Statement, together
from gateway.ledger.sql.transaction import Work

#: The transaction was undone so that another could go on: run it again.
#: `FeatureNotSupported`: a newer version has changed a table under a statement that this connection prepared.
#: `InvalidSqlStatementName`: what the library takes for prepared is not, or not any more.
CONFLICTS: Final = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.FeatureNotSupported,
    errors.InvalidSqlStatementName,
)
#: A violated constraint: by another process's transaction, if it does not happen again.
VIOLATIONS: Final = (psycopg.IntegrityError,)
#: The server's answer: it can't write (disk full, I/O error, read-only). Nothing of it was done.
FULL: Final = (errors.DiskFull, errors.IoError, errors.OutOfMemory, errors.ReadOnlySqlTransaction)
#: No connection, or it broke, or the server ended it: what was not committed is undone.
LOST: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
)

#: Advisory locks, by what they are for. All of this ledger's stand in one class.
LOCK_CLASS: Final = 0x756D_7268
RECORDS, OUTBOX, SWEEP, MIGRATION, PLACES = range(1, 6)
#: A frozen process must not hold others up: the server ends its transaction.
_IDLE_IN_TRANSACTION_MS: Final = 10_000
_LOCK_TIMEOUT_MS: Final = 20_000
_CONNECT_TIMEOUT_S: Final = 5
#: A writer's statements find rows by key. A plan that is made while tables are small is kept when they grow:
#: it must not be one that reads them whole. And no values are worth a plan of their own.
_BY_KEY: Final = (
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    " -c plan_cache_mode=force_generic_plan"
)


class _NumberDumper(Dumper):
    """Truth values are kept as 0 and 1, as in the other database."""

    oid = 20

    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


class Connection:
    """A psycopg connection that reads the ledger's own statements. Used by one thread at a time."""

    def __init__(self, inner: psycopg.Connection[dict[str, Any]]) -> None:
        self._inner = inner
        #: What is known of statements for many rows: None for one that goes row by row.
        self._many: dict[str, Statement | None] = {}

    def execute(self, sql: str, values: Sequence[Any] = ()) -> psycopg.Cursor[dict[str, Any]]:
        return self._inner.execute(statement(sql), values)

    def executemany(self, sql: str, values: Sequence[Sequence[Any]]) -> psycopg.Cursor[dict[str, Any]]:
        many = self._statement_for_many(sql)
        arrays = None if many is None else many.arrays(values)
        if many is not None and arrays is not None:
            return self.execute(many.sql, arrays)
        cursor = self._inner.cursor()
        cursor.executemany(statement(sql), values)
        return cursor

    def begin(self, sql: str, values: Sequence[Any], then: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a transaction with two queries that give a row each, in one exchange.

        `then` sees what was committed until `sql` was done.
        """
        with self._inner.pipeline():
            self.execute("BEGIN")
            first, second = self.execute(sql, values), self.execute(then)
            return first.fetchall()[0], second.fetchall()[0]

    def execute_all(self, work: Work) -> list[int]:
        """Several statements in one exchange, each for many rows; how many rows each changed."""
        if len(work) < 2:
            return [self.executemany(sql, values).rowcount for sql, values in work]
        with self._inner.pipeline():
            cursors = [self.executemany(sql, values) for sql, values in work]
        return [cursor.rowcount for cursor in cursors]

    def rollback(self) -> None:
        """Undo what was begun, and forget what is prepared.

        The library takes a statement for prepared as soon as it is sent. In a pipeline that fails before, it
        is not: from then on every use of it would fail. Only this way of rolling back lets go of it.
        """
        self._inner.rollback()

    def _statement_for_many(self, sql: str) -> Statement | None:
        if sql not in self._many:
            self._many[sql] = together(sql, self._types_of)
        return self._many[sql]

    def _types_of(self, sql: str) -> Sequence[str]:
        """The types of a statement's values, as the server infers them."""
        self._inner.execute(f"PREPARE described AS {numbered(sql)}")
        row = self._inner.execute(
            "SELECT parameter_types::text[] AS types FROM pg_prepared_statements WHERE name = 'described'"
        ).fetchone()
        self._inner.execute("DEALLOCATE described")
        return row["types"] if row is not None else ()

    @property
    def usable(self) -> bool:
        return not self._inner.closed

    def close(self) -> None:
        self._inner.close()


def psycopg_url(url: str) -> str:
    """The address as the library reads it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def connect(url: str, *, readonly: bool = False) -> Connection:
    """Raises one of `LOST` when the server does not answer."""
    inner = psycopg.connect(
        psycopg_url(url),
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=_CONNECT_TIMEOUT_S,
        application_name="umrah-gateway",
        options=(
            f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS}"
            f" -c lock_timeout={_LOCK_TIMEOUT_MS} -c timezone=UTC -c synchronous_commit=on"
            f" -c default_transaction_read_only={'on' if readonly else 'off'}{'' if readonly else _BY_KEY}"
        ),
    )
    inner.adapters.register_dumper(bool, _NumberDumper)
    return Connection(inner)


@contextmanager
def told_as_ours() -> Iterator[None]:
    """A database that does not answer is unavailable."""
    try:
        yield
    except psycopg.Error as error:
        raise Unavailable("ledger_unavailable", type(error).__name__) from error


def is_vacant(url: str) -> bool:
    """Whether no gateway ever used this database. Raises `Unavailable`."""
    with told_as_ours():
        connection = connect(url, readonly=True)
        try:
            found = connection.execute("SELECT to_regclass('schema_version') IS NULL AS vacant").fetchone()
        finally:
            connection.close()
    return found is not None and bool(found["vacant"])
