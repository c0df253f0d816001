"""One file, several processes of one group on one machine: who writes when, and what is each one's own.

The processes of a group take turns at the file: whoever has the lock `write` runs one transaction, commits
(and checkpoints, when that is due) and gives it back. So no two connections ever write or checkpoint at the
same time, for the reason told in `connection`. Locks are `flock`s: the kernel gives back those of a dead
process, and wakes whoever waits at once, where SQLite itself would look again after pauses.

A process that is frozen, not killed, while it writes holds up the others until it goes on or dies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from gateway.errors import Misconfigured
from gateway.ledger.file_lock import FileLock

#: More processes than a machine has use for.
_CHAINS: Final = 256


class WriteTurns(Protocol):
    """Whose turn it is to write. Taken before a transaction begins, given back after its commit.

    Taking it again while this process has it changes nothing.
    """

    def try_take(self) -> bool:
        """False when somebody else writes."""

    def take(self) -> None:
        """Wait until nobody else writes."""

    def give_back(self) -> None:
        """After the commit, or when the transaction was undone."""


class Alone:
    """The only process: always its turn."""

    def try_take(self) -> bool:
        return True

    def take(self) -> None:
        return None

    def give_back(self) -> None:
        return None


class Membership:
    """A process's part in a file that its group shares, from `open` to `close`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self.turns = FileLock(self._beside("write"))
        self._living = FileLock(self._beside("living"))
        self._chain: FileLock | None = None
        #: Nobody else was there when it came: what looks held was a dead process's.
        self.first = self._living.try_take()

    def settle_in(self) -> None:
        """What dead processes left is cleared up; the others may come."""
        self._living.share()

    def chain_of_its_own(self) -> str:
        """The first chain of the journal that no living process writes. Raises `Misconfigured`."""
        for number in range(1, _CHAINS + 1):
            lock = FileLock(self._beside(f"chain-{number}"))
            if lock.try_take():
                self._chain = lock
                return f"w{number}"
            lock.close()
        raise Misconfigured([f"--workers: more than {_CHAINS} processes at one SQLite ledger"])

    def close(self) -> None:
        """Safe to call again."""
        for lock in (self._chain, self._living, self.turns):
            if lock is not None:
                lock.close()

    def _beside(self, name: str) -> Path:
        return self._database.with_suffix(f".{name}.lock")
