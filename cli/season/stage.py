"""The season under way: who plays it, what day it is, and what happened so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

import aiohttp

from cli.season.cast import Licensee, cast
from cli.season.players import Office, Operator, Party
from cli.season.soap_caller import SoapCaller

Tell = Callable[[str], None]

#: Months of part 1 and part 2 of an operational plan, in the Hijri calendar.
PARTS: Final[Mapping[int, range]] = {1: range(2, 7), 2: range(7, 9)}
MONTHS: Final = (*PARTS[1], *PARTS[2])


@dataclass(frozen=True, slots=True)
class Players:
    """Everyone who speaks with the gateway."""

    centers: Mapping[str, Party]
    licensing: Office
    pilgrim_services: Office
    committee: Office
    passports: SoapCaller
    foreign_affairs: SoapCaller
    operator: Operator
    #: The simulators' own side: what was received, what was issued, their date.
    partners: aiohttp.ClientSession

    @property
    def offices(self) -> tuple[Office, ...]:
        """Whoever has a queue of its own, where there is a broker."""
        return self.licensing, self.pilgrim_services, self.committee


@dataclass(slots=True)
class Pilgrim:
    """A visa that was issued, and what its holder does with it."""

    visa: str
    licensee: Licensee
    arrives: date
    leaves: date
    #: True once Passports has told of it.
    arrived: bool = False
    departed: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that a center sent."""

    id: str
    licensee: Licensee
    #: The lines that were sent.
    lines: int


@dataclass(slots=True)
class Season:
    """Everything that the acts share."""

    players: Players
    year: int
    pilgrims_wanted: int
    tell: Tell
    today: date
    cast: tuple[Licensee, ...] = field(default_factory=cast)
    #: Every batch that was taken, and those whose results are not all fetched yet.
    batches: list[Batch] = field(default_factory=list)
    open_batches: list[Batch] = field(default_factory=list)
    pilgrims: dict[str, Pilgrim] = field(default_factory=dict)
    travel: dict[tuple[str, str], tuple[date, date]] = field(default_factory=dict)
    #: Messages that never come to rest: a registry gives no usable answer, and is asked again and again.
    endless: int = 0
    #: Messages that belong to a flow, where their kind alone does not tell.
    sent: dict[str, list[str]] = field(default_factory=dict)
    #: When each licensee was suspended, in system time: no visa may be asked for it afterwards.
    suspended: dict[str, datetime] = field(default_factory=dict)
    #: What the season itself looked at while it went on, as `(what, held)`.
    observed: list[tuple[str, bool]] = field(default_factory=list)

    def center(self, licensee: Licensee) -> Party:
        return self.players.centers[licensee.center]

    @property
    def working(self) -> list[Licensee]:
        return [licensee for licensee in self.cast if licensee.works]

    def numbered(self, number: int) -> Licensee:
        return next(licensee for licensee in self.cast if licensee.number == number)

    @property
    def unlucky(self) -> Licensee:
        """Some of its pilgrims are refused, some of its lines are wrong, and partners stumble over others."""
        return self.working[7]

    @property
    def overstayed(self) -> Licensee:
        """So many of its pilgrims stay that the gate closes for it."""
        return self.working[5]

    def note(self, what: str, message_id: str) -> None:
        """A message of a flow that its kind alone does not tell."""
        self.sent.setdefault(what, []).append(message_id)

    def saw(self, what: str, held: bool) -> None:
        """Note something that must be so."""
        self.observed.append((what, held))
