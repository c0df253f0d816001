"""What operations people watch: the part of the port about batches that are open and news not delivered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.message import Micros


@dataclass(frozen=True, slots=True)
class OpenBatches:
    """Batches in one state that is not the last."""

    #: receiving or processing
    state: str
    count: int
    #: When the receiving of the oldest began.
    oldest_at: Micros


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What one receiver was not given yet on one channel."""

    receiver: str
    channel: str
    #: When the oldest of it became known; None: everything was delivered.
    oldest_at: Micros | None


class Watching(Protocol):
    """Read for each scrape of `/metrics`: answered from indices, however much the ledger holds."""

    async def open_batches(self) -> Sequence[OpenBatches]: ...

    async def undelivered(self, channels: Collection[str]) -> Sequence[Undelivered]:
        """For every receiver that was ever given something on one of these channels."""
