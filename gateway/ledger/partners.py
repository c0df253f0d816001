"""What all processes know of partners' systems: the part of the port about circuits, pauses and rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.ledger.journal import Entry
from gateway.message import Micros
from gateway.policies.breaker import Circuit
from gateway.policies.rate import Block
from gateway.settings.protection import CallRate

#: What a message that is put off for a partner waits for (`records.Move.waits_for`): this, and its name.
WAITS_FOR: Final = "destination."
_CLOSED: Final = Circuit()


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's: nothing is sent until somebody resumes, or until its end."""

    by: str
    at: Micros
    until: Micros | None = None
    #: Why, sealed.
    note: bytes | None = None

    def in_force(self, now: Micros) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class PartnerState:
    """One destination, as its row stands."""

    name: str
    circuit: Circuit = _CLOSED
    #: Also one that has ended by itself.
    pause: Pause | None = None
    last_success_at: Micros | None = None
    #: Raised by every change of circuit and pause: of two readings the higher one is the newer.
    revision: int = 0
    #: Whether messages are put off until it takes calls again.
    awaited: bool = False


#: Given how the circuit stands and the time; None: it stays so.
Change = Callable[[Circuit, Micros], Circuit | None]


class Partners(Protocol):
    """What the ledger keeps about partners. A destination that nobody has written of has a closed circuit."""

    async def partners(self, *, now: Micros) -> Sequence[PartnerState]:
        """Every destination that was written of, and every one of `register`. One small read."""

    async def register_partners(self, names: Sequence[str]) -> None:
        """Have a row for each of these. Safe to call again."""

    async def change_circuit(self, name: str, change: Change) -> tuple[PartnerState, bool]:
        """Let `change` decide by the row as it stands; nobody else decides meanwhile.

        Returns the state afterwards, and whether `change` changed anything. It may be called again.
        """

    async def pause_partner(self, name: str, pause: Pause, entry: Entry) -> PartnerState:
        """Pause, or pause anew."""

    async def resume_partner(self, name: str, entry: Entry) -> PartnerState:
        """End a pause. Raises `Conflict` (`not_paused`)."""

    async def take_tokens(self, name: str, rate: CallRate, wanted: int) -> Block:
        """Take at most so many tokens out of the bucket that all processes share."""

    async def note_successes(self, at: Mapping[str, Micros]) -> None:
        """When each partner last answered properly. Never goes back."""

    async def wake_put_off(self, name: str, most: int, *, now: Micros) -> int:
        """Make at most so many messages due that are put off for this destination; how many they were."""

    async def put_off(self) -> Mapping[str, int]:
        """How many messages are put off, by destination. Reads them all: for operators, not for a loop."""
