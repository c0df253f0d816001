"""Copies of a ledger on a PostgreSQL server, made and put back by the server's own tools.

`pg_dump` reads one snapshot while everybody goes on writing. The password, if the address holds one, is
handed to the tools in the environment, never on a command line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from psycopg import conninfo

from gateway.errors import Misconfigured
from gateway.ledger.postgresql.connection import Connection, connect, psycopg_url
from gateway.ledger.postgresql.migrating import alone, migrate
from gateway.ledger.sql import restoring
from gateway.ledger.sql.proof import Proven, prove
from gateway.message import Micros

_ENVIRONMENT: Final = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE",
    "password": "PGPASSWORD", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "passfile": "PGPASSFILE",
}  # fmt: skip
_SCHEMA: Final = "public"


class ToolFailed(Exception):
    """One of the server's tools is missing, or could not do it. The text is for operators."""


def stands(url: str) -> tuple[Micros, int]:
    """The server's time now, and the schema number of the ledger. Raises one of `LOST`."""
    with closing(connect(url, readonly=True)) as connection:
        return _now(connection), _schema(connection)


def _now(connection: Connection) -> Micros:
    row = connection.execute(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now"
    ).fetchone()
    return Micros(row["now"] if row else 0)


def _schema(connection: Connection) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) AS version FROM schema_version").fetchone()
    return int(row["version"]) if row else 0


def dump(url: str, to: Path) -> None:
    """The ledger in custom format to a file that is there already. Raises `ToolFailed`."""
    _run(
        "pg_dump",
        ["--format=custom", f"--schema={_SCHEMA}", "--no-owner", "--no-privileges", f"--file={to}"],
        url,
    )


def put_back(url: str, dump_file: Path, *, lost_from: Micros, keys: frozenset[str], replace: bool) -> Proven:
    """Restore a dump into an empty database, prove its journal, and mark it as restored.

    With `replace` what is there is kept beside it, as a schema of another name. Whatever fails, the database
    is as it was. Raises `Misconfigured` while a gateway is connected, or when there is something already;
    `ToolFailed`, `NotWhole`.
    """
    # Whoever starts a gateway meanwhile waits until the mark is there.
    with closing(connect(url)) as connection, alone(connection):
        _refuse_while_used(connection)
        aside = _set_aside(connection, replace=replace)
        try:
            _run("pg_restore", [f"--schema={_SCHEMA}", "--no-owner", "--no-privileges", "--exit-on-error",
                                "--single-transaction", "--dbname=", str(dump_file)], url)  # fmt: skip
            proven = prove(connection, keys)
            migrate(connection)
            restoring.mark(connection, lost_from, _now(connection))
        except BaseException:
            _take_back(connection, aside)
            raise
    return proven


def mark(url: str) -> None:
    """This ledger was restored by other means. Raises `Misconfigured` while a gateway is connected."""
    with closing(connect(url)) as connection:
        _refuse_while_used(connection)
        migrate(connection)
        restoring.mark_by_journal(connection, _now(connection))


def _refuse_while_used(connection: Connection) -> None:
    row = connection.execute(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'umrah-gateway' AND pid <> pg_backend_pid()"
    ).fetchone()
    if row is not None and row["n"]:
        raise Misconfigured(["ledger:1:1: a gateway is connected to this database: stop it first"])


def _set_aside(connection: Connection, *, replace: bool) -> str | None:
    row = connection.execute(
        "SELECT count(*) AS n FROM pg_tables WHERE schemaname = ?", (_SCHEMA,)
    ).fetchone()
    if row is None or not row["n"]:
        return None
    if not replace:
        raise Misconfigured(
            ["ledger:1:1: this database is not empty; --replace keeps what is there beside it"]
        )
    name = f"before_restore_{_now(connection)}"
    connection.execute(f"ALTER SCHEMA {_SCHEMA} RENAME TO {name}")
    connection.execute(f"CREATE SCHEMA {_SCHEMA}")
    return name


def _take_back(connection: Connection, aside: str | None) -> None:
    connection.execute(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")
    connection.execute(f"ALTER SCHEMA {aside} RENAME TO {_SCHEMA}" if aside else f"CREATE SCHEMA {_SCHEMA}")


def _run(tool: str, arguments: list[str], url: str) -> None:
    program = _program(tool)
    if program is None:
        raise ToolFailed(f"{tool} is not installed: it comes with PostgreSQL's client programs")
    done = subprocess.run(  # noqa: S603
        [program, *arguments],
        env=_environment(url),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise ToolFailed(f"{tool} failed: {done.stderr.strip()[-500:]}")


def _program(tool: str) -> str | None:
    """On the path, or where Debian keeps them: the newest, which reads every older server."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{tool}"), key=_version, reverse=True)
    return str(installed[0]) if installed else shutil.which(tool)


def _version(program: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in program.parent.parent.name.split(".") if part.isdigit())


def _environment(url: str) -> Mapping[str, str]:
    parts = conninfo.conninfo_to_dict(psycopg_url(url))
    given = {
        _ENVIRONMENT[name]: str(value) for name, value in parts.items() if name in _ENVIRONMENT and value
    }
    return {**os.environ, **given}
