"""The rules that hold for several kinds: what single values mean, order, repetition, choice.

A rule judges what is there and well-formed; what is missing or malformed was told already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from pydantic import BaseModel

from schemas.application import leaves
from schemas.countries import is_known
from schemas.hijri import FIRST_DAY, LAST_DAY
from schemas.kinds.kind import Fields, Rule
from schemas.kinds.record import Meaning, marks
from schemas.structure import Location, pointer
from schemas.violation import Violation

# RFC 3339, 5.6, with capital letters; what is no time of day is left to the calendar.
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_AMOUNT: Final = re.compile(r"(?!0+(?:\.0+)?\Z)(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,2})?")

#: What is said of a value that doesn't mean what it should.
CODES: Final[Mapping[Meaning, str]] = {
    Meaning.DAY: "invalid_date",
    Meaning.MOMENT: "invalid_moment",
    Meaning.COUNTRY: "unknown_country",
    Meaning.AMOUNT: "invalid_amount",
}


# --- single values ----------------------------------------------------------------------------------


def day(text: object) -> date | None:
    """The day that `YYYY-MM-DD` names, if the calendar has it."""
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _is_moment(text: str) -> bool:
    if not _MOMENT.fullmatch(text):
        return False
    try:
        # Beyond these no time zone can carry it out of what dates can say.
        return 1900 <= datetime.fromisoformat(text).year <= 2200
    except ValueError:
        return False


_MEANS: Final[Mapping[Meaning, Callable[[str], bool]]] = {
    Meaning.DAY: lambda text: day(text) is not None,
    Meaning.MOMENT: _is_moment,
    Meaning.COUNTRY: is_known,
    Meaning.AMOUNT: lambda text: _AMOUNT.fullmatch(text) is not None,
}


def meanings(model: type[BaseModel]) -> tuple[Rule, ...]:
    """A rule for each field of `model` whose values must stand for something."""
    return tuple(
        _means(tuple(path.split(".")), meaning)
        for path, field in leaves(model)
        for meaning in marks(field, Meaning)
    )


def _means(steps: Sequence[str], meaning: Meaning) -> Rule:
    stands, code = _MEANS[meaning], CODES[meaning]

    def find(fields: Fields) -> Iterator[Violation]:
        for place, value in values_at(fields, steps):
            if not stands(value):
                yield Violation(code, pointer(place))

    return Rule((code,), f"`{'.'.join(steps)}` is a {meaning}", find)


def values_at(value: Any, steps: Sequence[str], place: Location = ()) -> Iterator[tuple[Location, Any]]:
    """What stands at a dotted path, with its place; in a list, that of each item."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from values_at(item, steps, (*place, index))
    elif not steps:
        if value is not None:
            yield place, value
    elif isinstance(value, dict):
        yield from values_at(value.get(steps[0]), steps[1:], (*place, steps[0]))


# --- values together --------------------------------------------------------------------------------


def in_order(earlier: str, later: str) -> Rule:
    """The day `later` isn't before the day `earlier`: two dotted paths into one record."""
    *record, first = earlier.split(".")
    last = later.rsplit(".", maxsplit=1)[-1]

    def find(fields: Fields) -> Iterator[Violation]:
        for place, dates in values_at(fields, record):
            begin, end = day(dates.get(first)), day(dates.get(last))
            if begin and end and end < begin:
                yield Violation("dates_not_in_order", pointer((*place, last)), {"earlier": first})

    return Rule(("dates_not_in_order",), f"`{later}` is not before `{earlier}`", find)


def in_calendar(name: str) -> Rule:
    """The day has a Hijri date as well: a partner wants both."""
    limits = {"first": FIRST_DAY.isoformat(), "last": LAST_DAY.isoformat()}

    def find(fields: Fields) -> Iterator[Violation]:
        told = day(fields.get(name))
        if told and not FIRST_DAY <= told <= LAST_DAY:
            yield Violation("date_out_of_range", pointer((name,)), limits)

    return Rule(("date_out_of_range",), f"`{name}` has a date in the Hijri calendar too", find)


def distinct(path: str, *names: str) -> Rule:
    """No two items of the list at `path` have the same values in the fields `names`, or are the same."""
    steps = path.split(".")

    def find(fields: Fields) -> Iterator[Violation]:
        seen: set[Any] = set()
        for place, item in values_at(fields, steps):
            told = tuple(item.get(name) for name in names) if names else (item,)
            if None not in told and told in seen:
                yield Violation("duplicate_item", pointer(place))
            seen.add(told)

    by = " and ".join(f"`{name}`" for name in names)
    return Rule(("duplicate_item",), f"No two of `{path}` have the same {by or 'value'}", find)


def exactly_one(*names: str) -> Rule:
    """One of the fields is given, and no other of them."""
    listed = ", ".join(names)

    def find(fields: Fields) -> Iterator[Violation]:
        given = [name for name in names if name in fields]
        if len(given) != 1:
            yield Violation("exactly_one_of", pointer(given[-1:]), {"fields": listed})

    return Rule(("exactly_one_of",), f"Exactly one of `{'`, `'.join(names)}` is given", find)


def needed_when(name: str, value: str, needed: str) -> Rule:
    """Where the field `name` says `value`, the field `needed` is given."""

    def find(fields: Fields) -> Iterator[Violation]:
        if fields.get(name) == value and needed not in fields:
            yield Violation("field_missing", pointer((needed,)))

    return Rule(("field_missing",), f"`{needed}` is given where `{name}` is `{value}`", find)
