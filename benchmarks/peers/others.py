"""The peers as contenders: their workers and their way in, as processes in the environment for benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from benchmarks.accounting import Components
from benchmarks.peers.contender import OWN, Batch, Outcome, Tuning
from benchmarks.peers.partner import Partner, partner
from benchmarks.peers.records import TABLES
from benchmarks.peers.services import Services
from tests.processes import ROOT

#: Where their libraries are: see `make bench`.
ENVIRONMENT: Final = ROOT / ".venv-bench"
_START_S: Final = 60.0
_FINAL: Final = "SELECT count(*) FROM step WHERE name = 'IssueVisa'"
_OUTCOMES: Final = """
SELECT document -> 'line' -> 'passport' ->> 'number', result, accepted_at, done_at
FROM application LEFT JOIN step ON application = id AND name = 'IssueVisa'
WHERE id = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """How one is started."""

    module: str
    queues: Sequence[str]
    #: Consumers of the first queue when all its processes are up.
    consumers: int
    #: `{}` stands for how much is done at once, where the command says it.
    command: str
    usual: int
    #: For partners that take long.
    patient: int


CELERY: Final = Peer(
    module="celery_peer",
    queues=("peer.celery",),
    consumers=1,
    command="celery -A benchmarks.peers.celery_peer worker --pool prefork --concurrency {} --loglevel ERROR"
    " --without-gossip --without-mingle --without-heartbeat",
    usual=2,
    patient=16,
)
DRAMATIQ: Final = Peer(
    module="dramatiq_peer",
    queues=("peer.dramatiq", "peer.dramatiq.DQ", "peer.dramatiq.XQ"),
    consumers=2,
    command="dramatiq benchmarks.peers.dramatiq_peer --processes 2 --threads {}",
    usual=8,
    patient=32,
)
#: How much at once is a setting of its own. With more, each call of its HTTP client costs more.
FASTSTREAM: Final = Peer(
    module="faststream_peer",
    queues=("peer.faststream.check", "peer.faststream.issue"),
    consumers=2,
    command="faststream run benchmarks.peers.faststream_peer:app --workers 2",
    usual=8,
    patient=64,
)


@dataclass(slots=True)
class RunningPeer:
    """Given batches through its way in; looked at in its database."""

    workers: subprocess.Popen[bytes]
    intake: subprocess.Popen[str]
    database: psycopg.Connection[Any]
    services: Mapping[str, int]
    #: The ids that the lines of each batch got.
    _taken: list[list[str]] = field(default_factory=list)

    def components(self) -> Components:
        return Components({OWN: (self.workers.pid, self.intake.pid), **self.services})

    def take(self, batch: Batch) -> None:
        assert self.intake.stdin is not None
        assert self.intake.stdout is not None
        self.intake.stdin.write(json.dumps({"batch": batch.header, "lines": batch.lines}) + "\n")
        self.intake.stdin.flush()
        self._taken.append(json.loads(self.intake.stdout.readline()))

    def unfinished(self) -> int:
        row = self.database.execute(_FINAL).fetchone()
        assert row is not None
        return sum(map(len, self._taken)) - int(row[0])

    def outcomes(self, first: int = 0) -> list[Outcome]:
        ids = [each for batch in self._taken[first:] for each in batch]
        rows = self.database.execute(_OUTCOMES, (ids,)).fetchall()
        return [Outcome(passport, visa, at, final or at) for passport, visa, at, final in rows]


@contextmanager
def running(peer: Peer, services: Services, tuning: Tuning) -> Iterator[tuple[RunningPeer, Partner]]:
    """With a fresh database and empty queues. Raises `TimeoutError` when it doesn't come up."""
    services.postgresql.emptied()
    services.delete_queues(peer.queues)
    with ExitStack() as stack:
        found = stack.enter_context(partner())
        url = services.postgresql.url
        database = stack.enter_context(psycopg.connect(url, autocommit=True))
        database.execute(TABLES)
        at_once = peer.patient if tuning.waiting else peer.usual
        env = {
            "PEER_PARTNERS_URL": found.url,
            "PEER_DATABASE_URL": url,
            "PEER_BROKER_URL": services.broker.url.removesuffix("/") + "%2F",
            "PEER_PREFETCH": str(at_once),
        }
        workers = stack.enter_context(_workers(peer.command.format(at_once).split(), env))
        intake = stack.enter_context(_intake(peer.module, env))
        _until_consumed(peer, services, workers)
        yield RunningPeer(workers, intake, database, services.pids()), found


@contextmanager
def _workers(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(ENVIRONMENT / "bin" / command[0]), *command[1:]],
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            yield process
        except BaseException:
            said.seek(0)
            print(said.read()[-3000:].decode(errors="replace"))
            raise
        finally:
            _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _intake(module: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    python = str(ENVIRONMENT / "bin" / "python")
    with subprocess.Popen(
        [python, "-m", "benchmarks.peers.intake", module],
        cwd=ROOT,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _until_consumed(peer: Peer, services: Services, workers: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while services.consumers(peer.queues[0]) < peer.consumers:
        if time.monotonic() > until or workers.poll() is not None:
            raise TimeoutError(f"{peer.module} did not come up")
        time.sleep(0.1)
