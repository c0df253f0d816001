"""States and other issuers of travel documents.

The table holds all of ISO 3166-1 (alpha-3), the codes that ICAO Doc 9303-3, section 5 adds for
organisations, stateless persons and British nationals, and `UTO`, which stands on specimens only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from schemas.codes import rows


class Kind(StrEnum):
    """Where a code comes from."""

    ISO = "iso"
    ICAO = "icao"
    SPECIMEN = "specimen"


@dataclass(frozen=True, slots=True)
class Country:
    """One entry. `alpha2` is None for whatever ISO 3166-1 does not list."""

    alpha3: str
    alpha2: str | None
    kind: Kind
    en: str
    ar: str


@cache
def countries() -> Mapping[str, Country]:
    """Every entry by its three-letter code."""
    return MappingProxyType(
        {
            row["alpha3"]: Country(
                row["alpha3"], row["alpha2"] or None, Kind(row["kind"]), row["en"], row["ar"]
            )
            for row in rows("countries")
        }
    )


def is_known(code: str, *, specimens: bool = False) -> bool:
    """Whether `code` may stand in a field. `UTO` only with `specimens`."""
    return code in _known(specimens)


@cache
def _known(specimens: bool) -> frozenset[str]:
    return frozenset(
        code for code, country in countries().items() if specimens or country.kind is not Kind.SPECIMEN
    )


def from_mrz(code: str) -> str:
    """The field value for the three characters of a machine readable zone: `D<<` is `DEU`."""
    return "DEU" if code == "D<<" else code


def to_mrz(code: str) -> str:
    """The three characters in a machine readable zone for a field value: `DEU` is `D<<`."""
    return "D<<" if code == "DEU" else code
