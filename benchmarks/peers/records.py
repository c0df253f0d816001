"""What the peers keep in PostgreSQL: each application, and a row for each thing that became of it.

One statement a commit. A step that is done stays done: whoever repeats it changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import psycopg

TABLES: Final = """
CREATE TABLE application (
    id          text PRIMARY KEY,
    document    jsonb NOT NULL,
    accepted_at double precision NOT NULL
);
CREATE TABLE step (
    application text NOT NULL REFERENCES application,
    name        text NOT NULL,
    result      text NOT NULL,
    done_at     double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp()),
    PRIMARY KEY (application, name)
);
"""
#: Columns: the document, the names of the steps that are done.
OPEN: Final = (
    "SELECT document, ARRAY(SELECT name FROM step WHERE application = id) FROM application WHERE id = %s"
)
KEEP: Final = "INSERT INTO step (application, name, result) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
KEEP_TWO: Final = (
    "INSERT INTO step (application, name, result) VALUES (%s, %s, %s), (%s, %s, %s) ON CONFLICT DO NOTHING"
)
_ACCEPT: Final = "COPY application (id, document, accepted_at) FROM STDIN"


def accept(database: psycopg.Connection[Any], rows: Iterable[tuple[str, Any, float]]) -> None:
    """Id, document and time (seconds since the epoch) of each, in one transaction."""
    with database.transaction(), database.cursor() as cursor, cursor.copy(_ACCEPT) as copy:
        for application_id, document, at in rows:
            copy.write_row((application_id, json.dumps(document, ensure_ascii=False), at))
