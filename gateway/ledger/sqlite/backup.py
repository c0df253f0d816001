"""A copy of the embedded ledger while it is written to.

SQLite's backup interface reads one snapshot: the reading connection keeps a transaction open, so that what is
committed meanwhile does not begin the copy anew. It only reads, and never checkpoints (see
`gateway.ledger.sqlite.connection`); the write-ahead log grows until the copy is done.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.errors import Refused, Unavailable
from gateway.ledger.copying import Told
from gateway.ledger.flushing import flush
from gateway.ledger.sqlite.connection import Connection, DatabaseError, connect_plainly, open_reader

#: Pages in one go: some milliseconds. In between others have the processor and the disk.
_PAGES: Final = 512
_LONGEST_PAUSE_S: Final = 0.05


def copy(source: Path, to: Path, told: Told) -> None:
    """Copy the ledger at `source`, which this process owns. See `gateway.ledger.copying.Copying`."""
    if shutil.disk_usage(to.parent).free < 1.1 * source.stat().st_size:
        raise Refused("backup_no_room", status=507)
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(open_reader(source)) as reader, closing(connect_plainly(to)) as target:
            _copy(reader, target, told)
    except DatabaseError as error:
        raise Unavailable("ledger_unavailable", type(error).__name__) from error
    flush(to)


def _copy(reader: Connection, target: Connection, told: Told) -> None:
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on the snapshot stands
    size = reader.execute("PRAGMA page_size").fetchone()[0]
    began = time.monotonic()

    def step(_status: int, remaining: int, total: int) -> None:
        nonlocal began
        told((total - remaining) * size, total * size)
        time.sleep(min(time.monotonic() - began, _LONGEST_PAUSE_S))
        began = time.monotonic()

    reader.backup(target, pages=_PAGES, progress=step)
    reader.execute("ROLLBACK")
    # One file that needs no other: the log's mode is in its header.
    target.execute("PRAGMA journal_mode = DELETE")
