"""The pieces that the messages are built of: types of fields, each with what its values mean.

A field is `Annotated[TYPE, CLASS, Field(description=...)]`: how it looks, how widely it may be known, and
what it says. What can't be told from looks alone (does the date exist, is the country one) is a `Meaning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import Field

from schemas.application import (
    PRINTABLE,
    PUBLIC,
    RESTRICTED,
    SECRET,
    CountryCode,
    Date,
    Flight,
    LongText,
    PartyReference,
    PortCode,
    Record,
    ShortText,
)
from schemas.shapes import Shape

__all__ = [
    "MAX_COUNT",
    "PUBLIC",
    "RESTRICTED",
    "SECRET",
    "Amount",
    "BorderNumber",
    "City",
    "Code",
    "Count",
    "Country",
    "Currency",
    "Day",
    "DecidedRevision",
    "DecidedVersion",
    "Flight",
    "IataNumber",
    "Id",
    "LongText",
    "Meaning",
    "Moment",
    "PartnerText",
    "PortCode",
    "Prose",
    "Ratio",
    "Record",
    "Revision",
    "Season",
    "ShortText",
    "Status",
    "Version",
    "VisaNumber",
    "Window",
    "marks",
]


class Meaning(StrEnum):
    """What a text must stand for, beyond its shape."""

    #: A day of the Gregorian calendar.
    DAY = "day"
    #: A moment with its distance from UTC (RFC 3339).
    MOMENT = "moment"
    #: A state or other issuer in `schemas.countries`.
    COUNTRY = "country"
    #: A positive decimal number.
    AMOUNT = "amount"


#: The largest version, revision or count: 32 bits, as `xs:int` has them.
MAX_COUNT: Final = 2**31 - 1
# Several lines, and nothing else that isn't printed or that turns the direction of what follows it.
_PROSE: Final = r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]"

Id = PartyReference
Day = Annotated[Date, Meaning.DAY]
Moment = Annotated[
    str,
    Shape(
        *("[0-9]{4}", "-", "[0-9]{2}", "-", "[0-9]{2}", "T", "[0-9]{2}", ":", "[0-9]{2}", ":", "[0-9]{2}"),
        *("[.]{0,1}", "[0-9]{0,6}", "[Z+-]", "[0-9]{0,2}", "[:]{0,1}", "[0-9]{0,2}"),
    ),
    Meaning.MOMENT,
]
Country = Annotated[CountryCode, Meaning.COUNTRY]
Amount = Annotated[str, Shape("[0-9]{1,12}", "[.]{0,1}", "[0-9]{0,2}"), Meaning.AMOUNT]
Currency = Annotated[str, Shape("[A-Z]{3}")]
Code = Annotated[str, Shape("[A-Za-z]", "[A-Za-z0-9_-]{0,39}")]
#: What another system wrote, for us without further meaning.
PartnerText = Annotated[str, Shape(PRINTABLE + "{1,100}")]
Prose = Annotated[str, Shape(_PROSE + "{1,2000}")]
IataNumber = Annotated[str, Shape("[0-9]{7,8}")]
VisaNumber = Annotated[str, Shape("[0-9]{10}")]
BorderNumber = Annotated[str, Shape("[0-9]{10}")]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
City = Literal["makkah", "madinah", "jeddah"]
Status = Literal["active", "suspended", "unlicensed"]

_ORDINAL: Final = "Counts from 1; a later one replaces the earlier."
Version = Annotated[int, Field(ge=1, le=MAX_COUNT, description=f"Version. {_ORDINAL}"), PUBLIC]
Revision = Annotated[int, Field(ge=1, le=MAX_COUNT, description=f"Revision. {_ORDINAL}"), PUBLIC]
_DECIDED: Final = "that was decided on."
DecidedVersion = Annotated[int, Field(ge=1, le=MAX_COUNT, description=f"The version {_DECIDED}"), PUBLIC]
DecidedRevision = Annotated[int, Field(ge=1, le=MAX_COUNT, description=f"The revision {_DECIDED}"), PUBLIC]
Season = Annotated[int, Field(ge=1343, le=1500, description="Hijri year."), PUBLIC]


class Window(Record):
    """Days on which something is open, both included."""

    opens: Annotated[Day, PUBLIC, Field(description="First day.")]
    closes: Annotated[Day, PUBLIC, Field(description="Last day.")]


Mark = TypeVar("Mark")


def marks(annotation: Any, kind: type[Mark]) -> Iterator[Mark]:
    """Every mark of one kind on a field, on what it may be, and on the items of its list."""
    for metadata in ("metadata", "__metadata__"):
        yield from (entry for entry in getattr(annotation, metadata, ()) if isinstance(entry, kind))
    for part in (getattr(annotation, "annotation", None), *get_args(annotation)):
        if part is not None and not isinstance(part, kind):
            yield from marks(part, kind)
