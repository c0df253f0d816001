"""What one process knows of all partners, whichever configuration is in force (`protect` decides by it)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.ledger.port import Ledger
from gateway.message import Micros
from gateway.pipeline.partner_guard import PartnerGuard

_NEVER: Final = Micros(0)


@dataclass(slots=True)
class Protection:
    """One a process: engines of all its configurations share it."""

    guards: dict[str, PartnerGuard] = field(default_factory=dict)
    #: Whether it is known how other processes and operators left things.
    looked: bool = False
    #: Called when a message begins to wait, in line or for an answer: another may be carried meanwhile.
    room_made: Callable[[], None] = lambda: None
    #: Messages whose calls are with their partners: they cost nothing until an answer comes.
    at_partners: int = 0
    #: Messages in line for a place.
    in_line: int = 0
    #: Messages that wait for a slow answer, as of the last look.
    slow: int = 0
    #: When the ledger was last told of answers.
    told_at: Micros = _NEVER
    #: Who fetches tokens, by destination.
    filling: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def asleep(self) -> int:
        """Messages being carried that only wait, for a place or an answer: the processor has none of them."""
        return self.in_line + self.at_partners

    @property
    def aside(self) -> int:
        """Messages that wait for so long that they keep no other from being carried, however many."""
        return self.in_line + self.slow

    @contextmanager
    def waiting_for_answers(self) -> Iterator[None]:
        """Around the calls of one message."""
        self.at_partners += 1
        self.room_made()
        try:
            yield
        finally:
            self.at_partners -= 1

    def guard(self, name: str) -> PartnerGuard:
        """Of that destination."""
        found = self.guards.get(name)
        if found is None:
            found = self.guards[name] = PartnerGuard(name)
        return found

    async def look(self, ledger: Ledger, names: Iterable[str], now: Micros) -> None:
        """Read how all partners stand. Raises `Unavailable`."""
        known = await ledger.partners(now=now)
        missing = set(names) - {state.name for state in known}
        if missing:
            await ledger.register_partners(sorted(missing))
        for state in known:
            self.guard(state.name).know(state)
        self.looked = True
