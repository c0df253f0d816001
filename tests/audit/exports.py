"""The log of a gateway under test, exported and taken apart."""

from __future__ import annotations

from pathlib import Path

from gateway.ledger.audit_file import Receipt
from gateway.ledger.journal import Entry
from gateway.ledger.port import Checkpoint, Ledger
from gateway.message import Micros
from gateway.pipeline.audit_export import export
from gateway.pipeline.engine import Engine
from gateway.pipeline.notary import Notary

#: Where the keys of a test's gateway are, below its folder.
KEYS = Path("data") / "keys"


async def exported(engine: Engine) -> list[bytes]:
    """Every line of the log."""
    return [line async for line in export("auditor-1", engine)]


async def looks(ledger: Ledger, count: int, actor: str = "operator-1") -> None:
    """So many entries more."""
    for number in range(count):
        await ledger.note(Entry(Micros(1_790_000_000_000_000 + number), "look", actor))


def notary_of(engine: Engine) -> Notary:
    """The one that signs this engine's log."""
    assert engine.notary is not None
    return engine.notary


def kept(checkpoint: Checkpoint | None) -> Receipt:
    """A checkpoint as somebody outside keeps it."""
    assert checkpoint is not None
    return Receipt(checkpoint.document.encode(), checkpoint.signature)
