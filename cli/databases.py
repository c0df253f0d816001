"""Which ledger serves a database's address."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.ledger.port import Ledger
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.ports import Clock
from gateway.settings import Settings

_SQLITE: Final = "sqlite:///"


def ledger_of(settings: Settings, clock: Clock) -> Ledger:
    """The ledger that `database_url` names, not yet opened."""
    file = database_file(settings)
    return PostgresLedger(settings.gateway.database_url, clock) if file is None else SqliteLedger(file, clock)


def database_file(settings: Settings) -> Path | None:
    """The file of an embedded ledger; None where the ledger is a server's."""
    url = settings.gateway.database_url
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None
