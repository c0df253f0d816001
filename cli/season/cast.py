"""Who takes part in the season, and what befalls each. All invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CENTERS: Final = ("sc-01", "sc-02", "sc-03", "sc-04", "sc-05")

#: The missions of the shipped reference records, with the country of their pilgrims.
MISSIONS: Final[Mapping[str, str]] = {
    "MSN-IDN-JKT": "IDN",
    "MSN-PAK-ISB": "PAK",
    "MSN-EGY-CAI": "EGY",
    "MSN-TUR-ANK": "TUR",
    "MSN-NGA-ABJ": "NGA",
    "MSN-IND-DEL": "IND",
    "MSN-BGD-DAC": "BGD",
    "MSN-MYS-KUL": "MYS",
    "MSN-MAR-RBA": "MAR",
    "MSN-DZA-ALG": "DZA",
    "MSN-GBR-LON": "GBR",
    "MSN-USA-WAS": "USA",
}

#: Why a licensee is not activated, and how it shows: the end of its id, by which the simulators decide, or
#: what it fails to make ready itself.
OBSTACLES: Final[Mapping[str, str]] = {
    "nic": "held by the National Information Center",
    "passports": "held by Passports",
    "gosi": "its social insurance certificate has expired",
    "dues": "owes money to another body",
    "record": "suspended by the ministry itself",
    "staff": "has no administrative staff",
    "sites": "has no office in Jeddah",
    "package": "no package of its was approved",
    "plan": "one part of its plan was refused",
    "unknown": "a registry never gives a usable answer",
}
_ENDINGS: Final = {"nic": "-H1", "passports": "-H2", "gosi": "-G1", "dues": "-D1", "unknown": "-U2"}
#: Activated in the end, although the dues registry is closed at first.
_LATE: Final = "late"


@dataclass(frozen=True, slots=True)
class Licensee:
    """A company, with all that carries its number."""

    number: int
    center: str
    mission: str
    #: A key of `OBSTACLES`, `late`, or None.
    obstacle: str | None = None

    @property
    def id(self) -> str:
        ending = "-U1" if self.obstacle == _LATE else _ENDINGS.get(self.obstacle or "", "")
        return f"LIC-{6000 + self.number}{ending}"

    @property
    def agent(self) -> str:
        return f"AGT-{7000 + self.number}"

    @property
    def contract(self) -> str:
        return f"CTR-{7000 + self.number}"

    @property
    def package(self) -> str:
        return f"PKG-{8000 + self.number}"

    @property
    def group(self) -> str:
        return f"GRP-{9000 + self.number}"

    def plan(self, part: int) -> str:
        return f"PLN-{8000 + self.number}-{part}"

    @property
    def country(self) -> str:
        return MISSIONS[self.mission]

    @property
    def works(self) -> bool:
        """Whether it is activated in the end."""
        return self.obstacle in (None, _LATE)


def cast() -> tuple[Licensee, ...]:
    """Fifteen licensees that work, one of them activated late, and one for each obstacle."""
    missions = list(MISSIONS)
    obstacles: list[str | None] = [None] * 14 + [_LATE, *OBSTACLES]
    return tuple(
        Licensee(number, CENTERS[number % len(CENTERS)], missions[number % len(missions)], obstacle)
        for number, obstacle in enumerate(obstacles, 1)
    )


#: Contracts that end badly, beside those of the cast: what is wrong, and the code that says so.
BAD_CONTRACTS: Final[Mapping[str, str]] = {
    "iata": "iata_invalid",
    "bank": "bank_not_approved",
    "guarantee": "guarantee_missing",
    "mission": "rejected_by_mission",
}
