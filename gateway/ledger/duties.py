"""Duties that only one process of an installation may have at a time: the part of the port about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.message import Micros


class Duties(Protocol):
    """Leases on duties. Who holds one and is frozen past its end may go on believing that it does.

    So whatever is done under a duty must stay right when two do it for a moment.
    """

    async def stand(self, duty: str, candidate: str, *, now: Micros, until: Micros) -> str:
        """Take the duty if nobody holds it, keep it if `candidate` does. Returns who holds it then."""

    async def step_down(self, duty: str, holder: str) -> None:
        """Give it up at once. Nothing happens unless `holder` has it."""

    async def duties(self) -> Mapping[str, str]:
        """Who was last given each duty, by its name."""
