"""How every part of a ledger reads and writes; a subclass of them all opens the database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

from gateway.ledger.sql.transaction import Connection, Transaction

T = TypeVar("T")


class Access:
    """What the parts are given."""

    @abstractmethod
    async def _write(
        self,
        work: Callable[[Transaction], T],
        *,
        durable: bool = True,
        quick: bool = False,
        records: bool = False,
    ) -> T:
        """Run `work` in a transaction of its group; its result once that is committed.

        Without `durable` the commit survives the death of this process. `quick` work is a handful of
        statements by key. `records`: it may change records, which matters where others write beside us.
        """

    @abstractmethod
    async def _read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a connection that can't write, off the event loop."""
