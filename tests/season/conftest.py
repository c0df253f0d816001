from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cli.season.proof import Proof
from cli.season.run import Wanted, run_proof
from cli.season.telling import WIDTH, tell
from gateway.observe.log import configure_logging
from tests.bus.broker import PrivateBroker
from tests.required import required


@dataclass(frozen=True)
class Played:
    """A season that was played, what it said meanwhile and afterwards, and where its data is."""

    proof: Proof
    progress: str
    told: str
    data: Path


def play(wanted: Wanted) -> Played:
    configure_logging("error")
    progress, told = (Console(file=StringIO(), width=WIDTH, color_system=None) for _ in range(2))
    proof = run_proof(wanted, progress)
    tell(proof, wanted.keep, told)
    return Played(proof, _text(progress), _text(told), wanted.keep or Path())


def _text(console: Console) -> str:
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One season over HTTP, its data kept, for all the tests here."""
    return play(Wanted(500, keep=tmp_path_factory.mktemp("season") / "kept"))


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """A private broker."""
    required("RabbitMQ (rabbitmq-server)", PrivateBroker.script())
    broker = PrivateBroker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
