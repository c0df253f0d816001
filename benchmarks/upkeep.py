"""What upkeep of a grown ledger costs: retention while applications come in, claims, `ANALYZE`, `VACUUM`."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks import plans
from benchmarks.grown import Side
from benchmarks.peers.figures import percentile, rounded
from benchmarks.peers.sample import _idle, _throughput
from gateway.clock import SystemClock, micros
from gateway.ledger.sqlite.ledger import SqliteLedger

_CLAIMS: Final = 40
_AT_ONCE: Final = 32
_CHUNK: Final = 300
_SINGLE: Final = 10
#: For all of a bucket to be emptied; that nothing of it can be read takes no time.
_PATIENCE_S: Final = 120.0


# --- retention ---------------------------------------------------------------------------------------------


def retention(side: Side) -> dict[str, Any]:
    """A tenth of the ledger is shredded while applications come in.

    Its keys are destroyed first, and nothing of it can be read from then on; what takes long is to empty rows
    that nobody can read.
    """
    side.reconnect()
    before = _throughput(side.given, side.supply, _CHUNK)
    chunks: list[dict[str, Any]] = []
    instants: dict[str, float] = {}
    answers: dict[str, float] = {}
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(side.gateway.home.run, *_RUN)
        while "finished_at" not in instants and time.monotonic() - began < _PATIENCE_S:
            chunks.append(
                _throughput(side.given, side.supply, _CHUNK) | _idle(side.given, side.supply, _SINGLE)
            )
            for name in _reached(side.ledger):
                instants.setdefault(name, rounded(time.monotonic() - began))
            if asked.done():
                answers.setdefault("answered_in_s", rounded(time.monotonic() - began))
    meanwhile = {name: percentile([chunk[name] for chunk in chunks], 0.5) for name in _FIGURES}
    return {
        "rows": _counts(side.ledger),
        "seconds_until": instants,
        "command": {**answers, "code": asked.result().returncode},
        "before": {name: before[name] for name in _FIGURES if name in before},
        "meanwhile": meanwhile,
        "faults": [] if "keys_destroyed_at" in instants else ["a bucket was due and its keys still exist"],
    }


_RUN: Final = ("retention", "run", "--reason", "its time is over")
_FIGURES: Final = ("applications_per_second", "cpu_ms_per_application", "p50_ms")


def _reached(ledger: Path) -> list[str]:
    """How far the shredding has come."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT started_at, keys_destroyed_at, finished_at FROM shredding").fetchone()
    names = ("started_at", "keys_destroyed_at", "finished_at")
    return [] if row is None else [name for name, at in zip(names, row, strict=True) if at is not None]


def _counts(ledger: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT counts FROM shredding").fetchone()
    return {} if row is None else dict(json.loads(row[0]))


# --- claims ------------------------------------------------------------------------------------------------


def claims(ledger: Path) -> dict[str, float]:
    """How long a claim of 32 takes in this ledger, which nobody has open. Its last messages go again."""
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute(
            "UPDATE message SET state = 'ready', outcome = NULL, next_at = 0, put_off = 0 WHERE id IN"
            " (SELECT id FROM message ORDER BY id DESC LIMIT ?)",
            (_CLAIMS * _AT_ONCE,),
        )
    times = asyncio.run(_claimed(ledger))
    return {"claim_p50_ms": rounded(percentile(times, 0.5)), "claim_p99_ms": rounded(percentile(times, 0.99))}


async def _claimed(path: Path) -> list[float]:
    clock = SystemClock()
    ledger = SqliteLedger(path, clock)
    await ledger.open()
    times = []
    try:
        for _ in range(_CLAIMS):
            now, until = micros(clock.now()), micros(clock.now() + timedelta(minutes=1))
            began = time.perf_counter()
            taken = await ledger.claim("growth", _AT_ONCE, now=now, lease_until=until)
            if not taken:  # a ledger that had fewer
                break
            times.append(1000 * (time.perf_counter() - began))
    finally:
        await ledger.close()
    return times


# --- the file ----------------------------------------------------------------------------------------------


def maintenance(ledger: Path, statements: Mapping[str, str]) -> dict[str, Any]:
    """What statistics and a compact copy take, of a ledger that nobody has open; do plans change by them?"""
    before, copy = plans.plans(ledger, statements), ledger.with_name("vacuumed.db")
    with closing(sqlite3.connect(ledger, isolation_level=None)) as database:
        optimize = _timed(database, "PRAGMA analysis_limit = 400", "PRAGMA optimize")
        analyze = _timed(database, "PRAGMA analysis_limit = 0", "ANALYZE")
        changed = [step for step in plans.plans(ledger, statements) if step not in before]
        vacuum = _timed(database, f"VACUUM INTO '{copy}'") if _has_room_for(ledger) else None
    return {
        "optimize_s": optimize,
        "analyze_s": analyze,
        "vacuum_s": vacuum,
        "file_mb_before_vacuum": round(ledger.stat().st_size / 1e6, 1),
        "file_mb_after_vacuum": None if vacuum is None else round(copy.stat().st_size / 1e6, 1),
        "plans_that_change": sorted(
            {f"{step.table} by {step.index}: {step.statement[:120]}" for step in changed}
        ),
    }


def _has_room_for(ledger: Path) -> bool:
    """For one more of its size, and a gigabyte."""
    return shutil.disk_usage(ledger.parent).free > ledger.stat().st_size + 1e9


def _timed(database: sqlite3.Connection, *statements: str) -> float:
    began = time.monotonic()
    for statement in statements:
        database.execute(statement).fetchall()
    return round(time.monotonic() - began, 2)
