"""Bodies of every kind: one with all of its fields, one with a value changed, and any valid one."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.application import record_in
from schemas.countries import Kind, countries
from schemas.kinds import KINDS, check
from schemas.kinds.record import Meaning, marks
from schemas.shapes import Part, Shape
from schemas.violation import Violation

ABSENT = object()
Place = tuple[str | int, ...]


def violations(kind: str, body: object) -> tuple[Violation, ...]:
    """What is wrong with a body; empty when it is taken."""
    found = check(kind, body)
    return found if isinstance(found, tuple) else ()


def found_at(kind: str, body: object, place: Place) -> list[tuple[str, Mapping[str, Any]]]:
    """Code and params of everything wrong at one place."""
    wanted = pointer(place)
    return [(fault.code, fault.params) for fault in violations(kind, body) if fault.pointer == wanted]


def pointer(place: Place) -> str:
    return "".join(f"/{step}" for step in place)


def changed(kind: str, place: Place, value: object) -> dict[str, Any]:
    """The full body of a kind with one value changed; `ABSENT` takes it out."""
    body = full(kind)
    inner: Any = body
    for step in place[:-1]:
        inner = inner[step]
    if value is ABSENT:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return body


def full(kind: str) -> dict[str, Any]:
    """The example with every optional field beside."""
    return _filled(KINDS[kind].model, copy.deepcopy(dict(KINDS[kind].example)))


def _filled(model: type[BaseModel], body: dict[str, Any]) -> dict[str, Any]:
    for name, field in named(model):
        record = record_in(field.annotation)
        if name not in body:
            body[name] = sample(field)
        elif record and is_list(field):
            body[name] = [_filled(record, item) for item in body[name]]
        elif record:
            body[name] = _filled(record, body[name])
    return body


def sample(field: FieldInfo) -> Any:
    """A valid value for a field."""
    record = record_in(field.annotation)
    one = _filled(record, {}) if record else _sample_leaf(field)
    return [one] if is_list(field) else one


_MEANT = {
    Meaning.DAY: "2026-12-31",
    Meaning.MOMENT: "2026-07-09T10:11:12+03:00",
    Meaning.COUNTRY: "PAK",
    Meaning.AMOUNT: "10.50",
}


def _sample_leaf(field: FieldInfo) -> Any:
    meaning, shape = next(marks(field, Meaning), None), next(marks(field, Shape), None)
    if meaning or choices(field):
        return _MEANT[meaning] if meaning else choices(field)[0]
    if shape:
        return "".join(letters(part)[0] * max(part.least, 1) for part in shape.parts)
    return {int: 2, float: 0.5, bool: True}[scalar(field)]


# --- every place of a kind --------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """A field where it stands in the full body of a kind."""

    kind: str
    place: Place
    field: FieldInfo
    #: It is an item of a list, not the list.
    item: bool = False

    def __str__(self) -> str:
        return self.kind + pointer(self.place)

    @property
    def is_record(self) -> bool:
        return record_in(self.field.annotation) is not None

    @property
    def is_list(self) -> bool:
        return is_list(self.field) and not self.item


def spots(kind: str) -> Iterator[Spot]:
    """Every field of a kind, those inside records, and the first item of each list."""
    yield from _spots(kind, KINDS[kind].model, ())


def _spots(kind: str, model: type[BaseModel], place: Place) -> Iterator[Spot]:
    for name, field in named(model):
        here = (*place, name)
        yield Spot(kind, here, field)
        if is_list(field):
            here = (*here, 0)
            yield Spot(kind, here, field, item=True)
        record = record_in(field.annotation)
        if record:
            yield from _spots(kind, record, here)


def named(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for attribute, field in model.model_fields.items():
        yield field.alias or attribute, field


def is_list(field: FieldInfo) -> bool:
    return any(get_origin(part) is list for part in (field.annotation, *get_args(field.annotation)))


def choices(field: FieldInfo) -> tuple[str, ...]:
    for part in (field.annotation, *get_args(field.annotation)):
        if get_origin(part) is Literal:
            return get_args(part)
    return ()


def scalar(field: FieldInfo) -> type:
    """What a leaf is: `str`, `int`, `float` or `bool`."""
    return str if choices(field) else next(_scalars(field.annotation))


def _scalars(annotation: Any) -> Iterator[type]:
    if annotation in (str, int, float, bool):
        yield annotation
    for part in get_args(annotation):
        yield from _scalars(part)


# --- any valid body ---------------------------------------------------------------------------------

#: ASCII, Arabic, what XML must escape, what has two bytes, three or four in UTF-8.
_CHARACTERS = "".join(map(chr, range(32, 127))) + "\nمعتمر٣ é\u200c€🕋"


def letters(part: Part) -> list[str]:
    return [letter for letter in "A7a" + _CHARACTERS if re.fullmatch(part.characters, letter)]


def texts(shape: Shape) -> st.SearchStrategy[str]:
    return st.tuples(
        *(
            st.text(letters(part), min_size=part.least, max_size=min(part.most, part.least + 12))
            for part in shape.parts
        )
    ).map("".join)


_OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MEANINGFUL: dict[Meaning, st.SearchStrategy[str]] = {
    Meaning.DAY: st.dates(date(1990, 1, 1), date(2090, 1, 1)).map(date.isoformat),
    Meaning.MOMENT: st.datetimes(timezones=_OFFSETS).map(datetime.isoformat),
    Meaning.COUNTRY: st.sampled_from(
        [code for code, country in countries().items() if country.kind is not Kind.SPECIMEN]
    ),
    Meaning.AMOUNT: st.integers(1, 10**14 - 1).map(
        lambda hundredths: f"{hundredths // 100}.{hundredths % 100:02}"
    ),
}


def values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Values that fit a field by itself."""
    record = record_in(field.annotation)
    one = records(record) if record else _leaf_values(field)
    return st.lists(one, min_size=1, max_size=3) if is_list(field) else one


def _leaf_values(field: FieldInfo) -> st.SearchStrategy[Any]:
    meaning, shape = next(marks(field, Meaning), None), next(marks(field, Shape), None)
    if meaning:
        return _MEANINGFUL[meaning]
    if choices(field) or shape:
        return st.sampled_from(choices(field)) if choices(field) else texts(shape)
    low, high = next((m.ge for m in marks(field, Ge)), 0), next((m.le for m in marks(field, Le)), 0)
    numbers: dict[type, st.SearchStrategy[Any]] = {
        int: st.integers(low, high),
        float: st.integers(0, 10_000).map(lambda parts: parts / 10_000),
        bool: st.booleans(),
    }
    return numbers[scalar(field)]


@st.composite
def records(draw: st.DrawFn, model: type[BaseModel]) -> dict[str, Any]:
    """Fields that fit, each by itself."""
    return {
        name: draw(values(field))
        for name, field in named(model)
        if field.is_required() or draw(st.booleans())
    }


@st.composite
def bodies(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Valid bodies: the example, with each field drawn anew wherever the whole stays valid."""
    body = dict(KINDS[kind].example)
    for name, field in named(KINDS[kind].model):
        drawn = {**body, name: draw(values(field))}
        if not field.is_required() and draw(st.booleans()):
            del drawn[name]
        if not violations(kind, drawn):
            body = drawn
    return body
