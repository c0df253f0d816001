"""What the harness asks of everyone that it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from benchmarks.accounting import Components

#: The component that is the contender's own work, beside broker, database and partner.
OWN: Final = "workers"

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Applications as a service center sends them together."""

    center: str
    header: Mapping[str, Any]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contender's own records say of an application; times in seconds since the epoch."""

    passport: str
    visa: str | None
    received_at: float
    final_at: float

    @property
    def ms(self) -> float:
        return 1000 * (self.final_at - self.received_at)


@dataclass(frozen=True, slots=True)
class Tuning:
    """How it is set up: for partners that answer at once, or for some that take their time."""

    #: Whether the calls mostly wait.
    waiting: bool = False


class Contender(Protocol):
    """Running, between its start and its end."""

    def components(self) -> Components:
        """Of everything that works for it but the partner."""

    def take(self, batch: Batch) -> None:
        """Returns when the batch is durably accepted."""

    def unfinished(self) -> int:
        """How many applications of all those taken are not final yet."""

    def outcomes(self, first: int = 0) -> list[Outcome]:
        """Of all lines taken, from that batch on (0 is the first)."""
