"""Forked gateways as the processes of one group at one SQLite file, each on ports of its own.

What they share is what the processes of `serve --workers N` share; they can be killed at a named point and
asked one by one. A whole group with its supervisor is in `rolling` and in `tests/cli/test_workers.py`.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path

from cli.group import Membership
from gateway.ledger.sqlite.connection import connect_plainly
from gateway.web.seat import Role


def join(environment: MutableMapping[str, str]) -> None:
    """This process is one of a group. Its lifeline never ends: nobody looks after it."""
    lifeline, _ = os.pipe()
    ready = os.open(os.devnull, os.O_WRONLY)
    environment.update(Membership("survival:0", Role.ALL, ready, lifeline, None, None).variables())


def damage(database: Path) -> list[str]:
    """What SQLite finds wrong with a file, read beside those who write to it."""
    with closing(connect_plainly(database)) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        found = connection.execute("PRAGMA integrity_check(3)").fetchall()
    return [f"file: {row[0]}" for row in found if row[0] != "ok"]
