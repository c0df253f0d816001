"""A consistent copy of a ledger that goes on being written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

#: How much is copied, of how much: called now and then, from a thread of the copy's own.
Told = Callable[[int, int], None]


@runtime_checkable
class Copying(Protocol):
    """A ledger that one process or group owns: nobody else may open its file, so it makes the copy itself.

    The ledger of a database server does not offer this: the server's own tools do.
    """

    async def copy_to(self, path: Path, told: Told) -> None:
        """The ledger as it stood at one moment, as a file that needs no other. Intake and carrying go on.

        `path` is new, and readable by nobody else. Raises `Refused` (`backup_no_room`) when there is no room
        for it, and `Unavailable`.
        """

    @property
    def folder(self) -> Path:
        """Where the ledger is, and where there is room for a copy or none."""
