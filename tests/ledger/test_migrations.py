"""The schema changes while older code may still be running, and that code goes on working."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.errors import Misconfigured
from gateway.ledger.migrating import Migration, migration, migrations, statements, to_apply
from gateway.ledger.postgresql.connection import connect
from gateway.ledger.postgresql.migrating import migrate as migrate_postgresql
from gateway.ledger.sqlite.connection import migrate as migrate_sqlite
from gateway.ledger.sqlite.connection import open_writer
from tests import postgresql

#: What a step may do that older code survives: it adds, and what it adds need not be known.
_ADDS = (
    re.compile(r"CREATE TABLE \w+ \("),
    re.compile(r"CREATE (UNIQUE )?INDEX \w+ ON \w+ "),
    re.compile(r"ALTER TABLE \w+ ADD COLUMN (?P<column>.+)"),
)


def additive(sql: str) -> bool:
    """Whether older code, which knows nothing of it, can go on beside this statement."""
    for form in _ADDS:
        if found := form.match(sql):
            column = found.groupdict().get("column") or ""
            return "NOT NULL" not in column or "DEFAULT" in column
    return False


@pytest.mark.parametrize("step", migrations()[1:], ids=lambda step: step.name)
def test_every_step_after_the_first_only_adds(step: Migration) -> None:
    assert [sql for sql in statements(step.script) if not additive(sql)] == []
    assert step.compatible_with < step.number, "say `-- compatible with: N` in its head"


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE message",
        "ALTER TABLE message DROP COLUMN lane",
        "ALTER TABLE message RENAME COLUMN lane TO way",
        "ALTER TABLE message ADD COLUMN due INTEGER NOT NULL",
        "ALTER TABLE message ALTER COLUMN lane TYPE BIGINT",
        "UPDATE message SET state = 'ready'",
    ],
)
def test_what_takes_something_away_is_told_from_what_adds(sql: str) -> None:
    assert not additive(sql)


def test_the_steps_are_numbered_without_a_gap() -> None:
    assert [step.number for step in migrations()] == list(range(1, len(migrations()) + 1))


# --- the head of a step ---------------------------------------------------------------------------------


def test_a_step_that_says_nothing_is_compatible_with_nothing_older() -> None:
    assert migration("0007_x.sql", "CREATE TABLE x (a TEXT);").compatible_with == 7


def test_what_is_done_concurrently_only_creates_indices() -> None:
    script = "-- compatible with: 1\n-- concurrently\nCREATE INDEX a ON x (b);\n"
    assert migration("0007_x.sql", script).concurrently
    with pytest.raises(ValueError, match="only create indices"):
        migration("0007_x.sql", script + "CREATE TABLE y (a TEXT);")


def test_comments_and_blank_lines_are_no_statements() -> None:
    assert statements("-- a; b\nCREATE TABLE x (\n  a TEXT -- of; what\n);\n\n") == [
        "CREATE TABLE x ( a TEXT )"
    ]


# --- who may start on what ------------------------------------------------------------------------------


def steps(*compatible_with: int) -> list[Migration]:
    """One table a step."""
    return [
        Migration(number, f"{number:04}_t.sql", f"CREATE TABLE t{number} (a INTEGER);", compatible)
        for number, compatible in enumerate(compatible_with, start=1)
    ]


@pytest.mark.parametrize(
    ("applied", "starts"),
    [
        ({1: 1, 2: 1}, True),
        ({1: 1, 2: 1, 3: 1}, True),
        ({1: 1, 2: 1, 3: 2}, True),
        ({1: 1, 2: 1, 3: 3}, False),
        ({1: 1, 2: 1, 3: 1, 4: 3}, False),
        # a restored ledger is for code that looks for the mark
        ({1: 1, 2: 5}, False),
    ],
)
def test_older_code_starts_on_a_newer_schema_only_within_what_that_says(
    applied: dict[int, int], starts: bool
) -> None:
    if starts:
        assert to_apply(applied, steps(1, 1)) == []
        return
    with pytest.raises(Misconfigured, match="newer than this gateway knows"):
        to_apply(applied, steps(1, 1))


def test_a_step_that_was_left_out_is_made_up_for() -> None:
    assert [step.number for step in to_apply({1: 1, 3: 1}, steps(1, 1, 1))] == [2]


# --- the embedded ledger --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Any]:
    with closing(open_writer(tmp_path / "ledger.db")) as connection:
        yield connection


def test_a_file_is_brought_on_step_by_step_and_remembers_them(file: Any) -> None:
    assert migrate_sqlite(file, steps(1)) == 1
    assert migrate_sqlite(file, steps(1, 1, 2)) == 3
    rows = file.execute("SELECT version, compatible_with FROM schema_version ORDER BY 1").fetchall()
    assert [tuple(row) for row in rows] == [(1, 1), (2, 1), (3, 2)]
    assert migrate_sqlite(file, steps(1, 1)) == 3  # older code
    with pytest.raises(Misconfigured):
        migrate_sqlite(file, steps(1))


def test_a_file_of_before_the_table_of_versions_is_brought_on(file: Any) -> None:
    file.executescript(f"{migrations()[0].script}\nPRAGMA user_version = 1;")
    assert migrate_sqlite(file) == len(migrations())
    assert migrate_sqlite(file) == len(migrations())


def test_a_step_that_fails_leaves_the_file_as_it_was(file: Any) -> None:
    migrate_sqlite(file, steps(1))
    broken = [*steps(1), Migration(2, "0002_t.sql", "CREATE TABLE t2 (a INTEGER); CREATE TABLE t1 (a);", 1)]
    with pytest.raises(Exception, match="t1"):
        migrate_sqlite(file, broken)
    assert file.execute("SELECT name FROM sqlite_master WHERE name = 't2'").fetchall() == []
    assert migrate_sqlite(file, steps(1, 1)) == 2


def test_what_the_first_version_wrote_can_be_written_in_the_newest_schema(file: Any) -> None:
    """Each table of the first schema takes a row of just the columns that it had."""
    migrate_sqlite(file)
    for table, columns in first_tables().items():
        file.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})")
        file.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()


def first_tables() -> dict[str, dict[str, str]]:
    """A valid value for every column of every table of the first schema."""
    tables = {}
    for sql in statements(migrations()[0].script):
        if found := re.match(r"CREATE TABLE (\w+) \((.*)\)", sql):
            tables[found[1]] = dict(filter(None, map(_column, _split(found[2]))))
    return tables


def _split(body: str) -> list[str]:
    """At the commas that stand in no brackets."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", body)]


def _column(text: str) -> tuple[str, str] | None:
    name, _, rest = text.partition(" ")
    if name in ("PRIMARY", "UNIQUE", "CHECK"):
        return None
    if choices := re.search(r"IN \(('\w+')", rest):
        return name, choices[1]
    return name, {"INTEGER": "1", "TEXT": "'x'", "BLOB": "x'00'"}[rest.split(" ")[0]]


# --- on a server ----------------------------------------------------------------------------------------


@pytest.fixture
def url(postgresql_server: postgresql.Server) -> str:
    return postgresql_server.emptied()


def test_older_processes_go_on_writing_while_the_schema_is_changed(url: str) -> None:
    with closing(connect(url)) as ours, closing(connect(url)) as theirs:
        migrate_postgresql(ours, steps(1))
        theirs.execute("BEGIN")
        theirs.execute("INSERT INTO t1 VALUES (1)")
        waits: list[float] = []

        def meanwhile(seconds: float) -> None:
            """The change let go of its lock: whoever waits behind it gets through."""
            waits.append(seconds)
            theirs.execute("INSERT INTO t1 VALUES (2)")
            theirs.execute("COMMIT")

        changed = [*steps(1), Migration(2, "0002_t.sql", "ALTER TABLE t1 ADD COLUMN b BIGINT;", 1)]
        assert migrate_postgresql(ours, changed, pause=meanwhile) == 2
        assert len(waits) == 1
        theirs.execute("INSERT INTO t1 VALUES (3)")


def test_an_index_is_built_while_others_write(url: str) -> None:
    built = Migration(2, "0002_t.sql", "CREATE INDEX t1_a ON t1 (a);", 1, concurrently=True)
    with closing(connect(url)) as ours, closing(connect(url)) as theirs:
        migrate_postgresql(ours, steps(1))
        theirs.execute("BEGIN")
        theirs.execute("INSERT INTO t1 VALUES (1)")
        done = threading.Thread(target=migrate_postgresql, args=(ours, [*steps(1), built]), daemon=True)
        done.start()
        until(lambda: waits_for_writers(url))
        with closing(connect(url)) as another:
            another.execute("SET lock_timeout = 500")
            another.execute("INSERT INTO t1 VALUES (2)")  # nobody waits behind it
        theirs.execute("COMMIT")
        done.join(timeout=30)
        assert not done.is_alive()
        assert ours.execute("SELECT 1 FROM schema_version WHERE version = 2").fetchone()


def test_an_index_that_a_crash_left_half_built_is_built_anew(url: str) -> None:
    built = Migration(2, "0002_t.sql", "CREATE UNIQUE INDEX t1_a ON t1 (a);", 1, concurrently=True)
    with closing(connect(url)) as ours:
        migrate_postgresql(ours, steps(1))
        ours.execute("INSERT INTO t1 VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            migrate_postgresql(ours, [*steps(1), built])
        ours.execute("DELETE FROM t1")
        assert migrate_postgresql(ours, [*steps(1), built]) == 2
        row = ours.execute("SELECT indisvalid AS whole FROM pg_index WHERE indexrelid = 't1_a'::regclass")
        assert row.fetchone() == {"whole": True}


def test_an_index_that_waited_too_long_for_a_reader_is_built_in_another_try(url: str) -> None:
    built = Migration(2, "0002_t.sql", "CREATE INDEX t1_a ON t1 (a);", 1, concurrently=True)
    with closing(connect(url)) as ours, closing(connect(url)) as backup:
        migrate_postgresql(ours, steps(1))
        ours.execute("SET lock_timeout = 100")
        backup.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        backup.execute("SELECT * FROM t1")
        tries: list[float] = []

        def meanwhile(seconds: float) -> None:
            """The backup outlasts the second try too."""
            tries.append(seconds)
            if len(tries) == 2:
                backup.execute("COMMIT")

        assert migrate_postgresql(ours, [*steps(1), built], pause=meanwhile) == 2
        assert len(tries) == 2
        row = ours.execute("SELECT indisvalid AS whole FROM pg_index WHERE indexrelid = 't1_a'::regclass")
        assert row.fetchone() == {"whole": True}


def test_a_second_process_waits_for_the_first_ones_migration(url: str) -> None:
    with closing(connect(url)) as first, closing(connect(url)) as second:
        first.execute("SELECT pg_advisory_lock(?, ?)", (0x756D_7268, 4))

        def meanwhile(_seconds: float) -> None:
            first.execute("SELECT pg_advisory_unlock(?, ?)", (0x756D_7268, 4))

        assert migrate_postgresql(second, steps(1), pause=meanwhile) == 1


def test_a_table_that_stays_locked_stops_the_start_with_words(url: str) -> None:
    with closing(connect(url)) as ours, closing(connect(url)) as theirs:
        migrate_postgresql(ours, steps(1))
        ours.execute("SET lock_timeout = 1")
        theirs.execute("BEGIN")
        theirs.execute("LOCK TABLE t1")
        step = Migration(
            2, "0002_t.sql", "SET LOCAL lock_timeout = 1; ALTER TABLE t1 ADD COLUMN b BIGINT;", 1
        )
        with pytest.raises(Misconfigured, match="stays locked"):
            migrate_postgresql(ours, [*steps(1), step], pause=lambda _: None)


def test_a_server_of_before_compatibility_was_told_is_brought_on(url: str) -> None:
    with closing(connect(url)) as ours:
        ours.execute("CREATE TABLE schema_version (version BIGINT PRIMARY KEY)")
        ours.execute("CREATE TABLE t1 (a BIGINT)")
        ours.execute("INSERT INTO schema_version VALUES (1)")
        assert migrate_postgresql(ours, steps(1, 1)) == 2


def test_the_first_versions_rows_can_be_written_on_a_server_too(url: str) -> None:
    with closing(connect(url)) as ours:
        migrate_postgresql(ours)
        for table, columns in first_tables().items():
            values = ", ".join(value.replace("x'00'", "'\\x00'") for value in columns.values())
            ours.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})")


def waits_for_writers(url: str) -> bool:
    """Whether the index is being built, and waits for the transaction that was there before."""
    with closing(connect(url)) as looking:
        row = looking.execute(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX C%'"
        ).fetchone()
    return row is not None


def until(holds: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(600):
        if holds():
            return
        waited.wait(0.02)
    raise TimeoutError
