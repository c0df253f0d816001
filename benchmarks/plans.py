"""The statements that a gateway runs for each application, and how SQLite finds their rows in a ledger."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.multiply import DERIVED, GROWN, OF_STARTS
from benchmarks.peers.contender import Batch
from benchmarks.peers.gateways import RunningGateway
from benchmarks.peers.supply import Supply
from cli.bootstrap import build
from cli.demo import settings_in
from cli.serve import run
from gateway.ledger.sqlite import connection
from gateway.pipeline.stock import stock_of

_PATIENCE_S: Final = 60.0
_LITERAL: Final = re.compile(r"x?'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b|\bNULL\b")
_MARKS: Final = re.compile(r"\?(?:, \?)+")
_STEP: Final = re.compile(
    r"(?P<how>SCAN|SEARCH) (?P<table>\w+)(?: USING (?:AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?"
    r"(?:INDEX (?P<index>\w+)|(?P<key>(?:INTEGER )?PRIMARY KEY)))?"
)
#: A walk through more entries than this is no look-up.
_FEW: Final = 500


@dataclass(frozen=True, slots=True)
class Step:
    """How one statement finds rows of one table. `index` is None for a primary key, or for none at all."""

    statement: str
    searched: bool
    table: str
    index: str | None


# --- the statements ----------------------------------------------------------------------------------------


def statements(folder: Path, partners: str, applications: int, seed: int) -> dict[str, str]:
    """Distinct statements of taking in, carrying, sweeping and telling, each with an example.

    Runs a gateway in this process, on the data in `folder / "data"`.
    """
    found: dict[str, str] = {}
    with _traced(found):
        run(_life(folder, partners, applications, seed))
    return found


async def _life(folder: Path, partners: str, applications: int, seed: int) -> None:
    gateway = build(settings_in(folder, partners))
    await gateway.start()
    try:
        port = int(gateway.host.public_url.rpartition(":")[2])
        await asyncio.to_thread(_talk, folder / "data", port, Supply(seed).batch(applications))
        await gateway.engine.ledger.gauges()
        await stock_of(gateway.engine)
    finally:
        await gateway.stop()


def _talk(data: Path, port: int, batch: Batch) -> None:
    """As a center does: a batch, its status, what became of it."""
    center = RunningGateway(Door(data, {"public": port}), {})
    center.take(batch)
    until = time.monotonic() + _PATIENCE_S
    while center.unfinished():
        if time.monotonic() > until:
            raise TimeoutError("the applications are not final")
        time.sleep(0.1)
    center.outcomes()


@dataclass(frozen=True, slots=True)
class Door:
    """What a center knows of a gateway."""

    data: Path
    ports: Mapping[str, int]


@contextmanager
def _traced(found: dict[str, str]) -> Iterator[None]:
    """Every connection that the ledger opens tells what it runs."""
    connect = connection._connect

    def traced(uri: str) -> Any:
        opened = connect(uri)
        opened.set_trace_callback(lambda text: found.setdefault(shape(text), text))
        return opened

    connection._connect = traced
    try:
        yield
    finally:
        connection._connect = connect


def shape(statement: str) -> str:
    """The statement with marks for its values."""
    return _MARKS.sub("?", _LITERAL.sub("?", " ".join(statement.split())))


# --- their plans -------------------------------------------------------------------------------------------


def plans(ledger: Path, found: Mapping[str, str]) -> list[Step]:
    """How each statement finds its rows in this ledger."""
    database = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        explained = partial(_explained, database)
        return [step for statement, example in found.items() for step in explained(statement, example)]
    finally:
        database.close()


def _explained(database: sqlite3.Connection, statement: str, example: str) -> Iterator[Step]:
    if not statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
        return
    for *_, detail in database.execute(f"EXPLAIN QUERY PLAN {example}"):
        if step := _STEP.match(detail):
            yield Step(statement, step["how"] == "SEARCH", step["table"], step["index"])


def faults(steps: Sequence[Step], rows: Mapping[str, int]) -> list[str]:
    """Walks through what grows, and indices that look-ups go by and that did not grow with the ledger.

    `rows`: entries of each index and table.
    """
    mine = [step for step in steps if step.table in (*GROWN, *DERIVED)]
    walks = {
        f"walks through {step.table}{f' by {step.index}' if step.index else ''}: {step.statement[:120]}"
        for step in mine
        if not step.searched and rows.get(step.index or step.table, 0) > _FEW
    }
    return sorted(walks) + [f"looked into, and not grown: {name}" for name in not_grown(mine, rows)]


def not_grown(steps: Collection[Step], rows: Mapping[str, int]) -> list[str]:
    """Indices without entries, but for those that hold only what is under way."""
    used = {step.index for step in steps if step.index} - UNDER_WAY - OF_STARTS
    return sorted(name for name in used if not rows.get(name))


#: Hold what is not over, or other messages than applications, so they are as short as ever.
UNDER_WAY: Final = frozenset(
    {
        "batch_open", "batch_unreleased", "message_due", "message_inquiry", "message_waiting",
        "message_waits_for", "message_lease", "message_deadline", "message_live", "message_urgent",
        "message_put_off", "message_held_for", "message_asked_for", "attempt_open", "message_parent",
        "message_key", "outbox_message", "visa_due", "visa_overstayed", "audit_note",
    }
)  # fmt: skip
