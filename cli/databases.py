"""Which ledger serves a database's address."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.errors import Misconfigured
from gateway.ledger.port import Ledger
from gateway.ledger.postgresql.connection import is_vacant
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.ports import Clock
from gateway.settings import Settings

_SQLITE: Final = "sqlite:///"


def ledger_of(settings: Settings, clock: Clock, *, shared: bool = False) -> Ledger:
    """The ledger that `database_url` names, not yet opened. `shared`: by the processes of one supervisor."""
    file = database_file(settings)
    if file is None:
        return PostgresLedger(settings.gateway.database_url, clock)
    return SqliteLedger(file, clock, shared=shared)


def database_file(settings: Settings) -> Path | None:
    """The file of an embedded ledger; None where the ledger is a server's."""
    url = settings.gateway.database_url
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def check_vacant(url: str) -> None:
    """Whoever means to play on a database must disturb nobody. Raises `Misconfigured`, `Unavailable`."""
    if not url.startswith("postgresql+psycopg://"):
        raise Misconfigured(["--database: give an address such as postgresql+psycopg://user@host/season"])
    if not is_vacant(url):
        raise Misconfigured(["--database: in use: give an empty database of its own"])
