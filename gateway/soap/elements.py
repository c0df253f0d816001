"""The types of a WSDL that are made of plain elements only, as a tree: what codecs are compiled from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape

import zeep.xsd
from zeep.xsd.elements.indicators import Choice, Sequence
from zeep.xsd.types import builtins

_SPECIAL: Final = re.compile("[&<>]").search


class Unsupported(Exception):
    """A construct that is not compiled."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A simple type.

    Both functions raise `TypeError`, `ValueError`, `LookupError` or `ArithmeticError` for what can't be one.
    """

    write: Callable[[Any], str]
    read: Callable[[str], Any]
    #: An expression for texts that are valid for certain (`simple_types`); None where only the schema knows.
    certain: str | None
    #: Its values are given as text.
    is_text: bool


@dataclass(frozen=True, slots=True)
class Field:
    """An element of a complex type."""

    name: str
    tag: str
    open: str
    close: str
    node: Leaf | Branch
    required: bool
    many: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """A complex type."""

    #: In their order.
    fields: tuple[Field, ...]
    #: All of them stand in this order, and which must is told by each alone.
    plain: bool


#: By namespace; the root's own has none. Grows while a type is read.
Prefixes = dict[str, str]


def branch(
    type_: Any, prefixes: Prefixes, certain: Mapping[str, str], within: tuple[Any, ...] = ()
) -> Branch:
    """A complex type of zeep's; `certain`: expressions by the names of simple types. Raises `Unsupported`."""
    if not isinstance(type_, zeep.xsd.ComplexType) or type_.attributes or type_ in within:
        raise Unsupported  # attributes, or a type inside itself
    indicators = [indicator for _, indicator in type_.elements_nested]
    fields = [_field(element, prefixes, certain, (*within, type_)) for element in _flat(indicators)]
    if len({field.tag for field in fields}) != len(fields):
        raise Unsupported  # a name that stands in two places
    return Branch(tuple(fields), plain=not any(map(_has_choice, indicators)))


def _flat(indicators: list[Any]) -> Iterator[Any]:
    """The elements in their order; which may stand beside which is the XML schema's business."""
    pending = list(indicators)
    while pending:
        item = pending.pop(0)
        if isinstance(item, Sequence | Choice) and item.max_occurs == 1:
            pending[:0] = list(item)
        elif type(item) is zeep.xsd.Element and not item.nillable:
            yield item
        else:
            raise Unsupported


def _has_choice(item: Any) -> bool:
    return isinstance(item, Choice) or (isinstance(item, Sequence) and any(map(_has_choice, item)))


def _field(element: Any, prefixes: Prefixes, certain: Mapping[str, str], within: tuple[Any, ...]) -> Field:
    namespace, type_ = element.qname.namespace, element.type
    if namespace is None:
        raise Unsupported  # can't be written where a default namespace is declared
    name = prefixes.setdefault(namespace, f"n{len(prefixes)}:") + element.name
    is_complex = isinstance(type_, zeep.xsd.ComplexType)
    return Field(
        name=element.name,
        tag=element.qname.text,
        open=f"<{name}>",
        close=f"</{name}>",
        node=branch(type_, prefixes, certain, within) if is_complex else _leaf(type_, certain),
        required=element.min_occurs > 0,
        many=element.max_occurs != 1,
    )


def _leaf(type_: Any, certain: Mapping[str, str]) -> Leaf:
    for base, write, read in _LEAVES:
        if isinstance(type_, base):
            name = getattr(type_, "qname", None)
            expression = None if name is None else certain.get(name.text)
            return Leaf(write, read, expression, write in (_write_text, _write_date))
    raise Unsupported


def _write_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return escape(value) if _SPECIAL(value) else value


def _write_boolean(value: Any) -> str:
    if not isinstance(value, bool):
        raise TypeError("not a boolean")
    return "true" if value else "false"


def _write_number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("not a number")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _write_date(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else _write_text(value)


def _read_boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.strip()]


#: In the order in which they are tried: a subclass before its base.
_LEAVES: Final[tuple[tuple[Any, Callable[[Any], str], Callable[[str], Any]], ...]] = (
    (builtins.Boolean, _write_boolean, _read_boolean),
    (builtins.Integer, _write_number, int),
    (builtins.Decimal, _write_number, Decimal),
    (builtins.Date, _write_date, lambda text: date.fromisoformat(text.strip())),
    (builtins.DateTime, _write_date, lambda text: datetime.fromisoformat(text.strip())),
    (builtins.String, _write_text, str),
)
