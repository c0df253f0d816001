"""Whether the ledger can take more: the part of the port about its room and whether it can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Capacity(Protocol):
    """Asked about once a second, never for a request."""

    async def probe(self) -> None:
        """Write something for real, durably. Raises `Unavailable`."""

    async def free_bytes(self) -> int | None:
        """Free on the disk that the ledger is on; 0 where nothing may be written to it any more.

        None: not known here, as of a database on another machine. Raises `Unavailable`.
        """

    async def size_bytes(self) -> int:
        """What the whole database takes. Raises `Unavailable`."""

    def when_refused(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the database has not taken a unit of work, before its caller learns of it."""
