"""Gateways with a past: ledgers of a size, made once and kept, and a gateway on a copy of each."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from benchmarks.multiply import RECIPE, multiply
from benchmarks.peers.contender import OWN
from benchmarks.peers.gateways import _QUIET, RunningGateway
from benchmarks.peers.partner import Partner, partner
from benchmarks.peers.sample import Given
from benchmarks.peers.supply import Supply
from gateway.ledger.migrating import migrations
from tests.processes import Installation

_SEED: Final = 2_000
_FILE: Final = "gateway.db"
#: Seeds of samples: of the small ledger, and of the first that runs on a copy.
_PAST, _PRESENT = 1, 10


@dataclass(slots=True)
class Side:
    """One gateway that is measured."""

    name: str
    #: In the ledger before anything was measured.
    messages: int
    folder: Path
    gateway: RunningGateway
    partner: Partner
    given: Given
    supply: Supply
    started_in_s: float

    @property
    def ledger(self) -> Path:
        return self.folder / "data" / _FILE

    def faults(self) -> list[str]:
        """What is wrong with what it was given."""
        self.reconnect()
        return self.given.faults()

    def reconnect(self) -> None:
        """The gateway does not keep a connection that was idle while others had their turn."""
        self.gateway._connection = None

    @property
    def peak_mb(self) -> float:
        return self.gateway.components().peak_mb()[OWN]

    @property
    def file_mb(self) -> float:
        return round(sum(file.stat().st_size for file in self.ledger.parent.glob(f"{_FILE}*")) / 1e6, 1)


@contextmanager
def running(name: str, past: Path, folder: Path, without: str | None = None) -> Iterator[Side]:
    """A gateway on a copy of that data directory, warmed up. `without`: an index that is taken from it."""
    home = Installation(_made(folder), changes=_QUIET)
    shutil.copytree(past, home.data)
    if without is not None:
        _drop(home.data / _FILE, without)
    messages = _messages(home.data / _FILE)
    with ExitStack() as stack:
        stack.callback(home.stop)
        found = stack.enter_context(partner(home.ports["partners"]))
        began = time.perf_counter()
        home.start_gateway()
        started = time.perf_counter() - began
        gateway = RunningGateway(home, {})
        side = Side(
            name, messages, folder, gateway, found, Given(gateway, found), Supply(_PRESENT), round(started, 2)
        )
        side.given.all(side.supply.batches(200))
        yield side


def _drop(ledger: Path, index: str) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as database:
        database.execute(f"DROP INDEX {index}")


def _messages(ledger: Path) -> int:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM message").fetchone()
    return int(count)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def history(ledger: Path, count: int) -> list[tuple[str, str]]:
    """Batches of the past by chance, each with its center."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT id, party FROM batch WHERE state = 'completed'").fetchall()
    step = max(1, len(found) // count)
    return (found[::step] * count)[:count]


# --- ledgers that are kept ---------------------------------------------------------------------------------


def prepared(messages: int) -> Path:
    """A data directory with so many messages in its ledger (0: only started), made if there is none."""
    today = datetime.now(UTC).date()
    kept = _kept(today)
    past = kept / str(messages)
    if not past.exists():
        made = kept / f"{messages}.part"
        shutil.rmtree(made, ignore_errors=True)
        if messages == 0:
            _live(made, 0)
        else:
            shutil.copytree(_seed(kept), made)
            multiply(made / _FILE, messages, today)
        made.rename(past)
    return past


def _kept(today: date) -> Path:
    """For this day and this version of the schema; what is of another is removed."""
    root = Path(tempfile.gettempdir()) / "umrah-growth-ledgers"
    schema = "".join(step.script for step in migrations())
    kept = root / f"{today}-{RECIPE}-{hashlib.sha256(schema.encode()).hexdigest()[:12]}"
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    for other in root.iterdir():
        if other != kept:
            shutil.rmtree(other)
    return kept


def _seed(kept: Path) -> Path:
    seed = kept / "seed"
    if not seed.exists():
        made = kept / "seed.part"
        shutil.rmtree(made, ignore_errors=True)
        _live(made, _SEED)
        made.rename(seed)
    return seed


def _live(to: Path, applications: int) -> None:
    """Let a gateway carry so many applications, and keep its data directory."""
    with tempfile.TemporaryDirectory(prefix="umrah-growth-seed-") as folder, ExitStack() as stack:
        home = Installation(Path(folder), changes=_QUIET)
        stack.callback(home.stop)
        found = stack.enter_context(partner(home.ports["partners"]))
        home.start_gateway()
        given, supply = Given(RunningGateway(home, {}), found), Supply(_PAST)
        for _ in range(applications // 200):
            given.all(supply.batches(200))
        if faults := given.faults():
            raise RuntimeError(f"the small ledger is wrong: {faults}")
        home.terminate("gateway")
        shutil.copytree(home.data, to)
