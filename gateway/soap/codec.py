"""Values to XML and back, by the types that zeep read from a WSDL.

zeep's own serialiser costs some 0.5 ms a call. Where a type is made of plain elements only, it is compiled
once into one pass of string pieces (writing) and one walk (reading); anything else goes through zeep itself.
Neither checks what the XML schema checks: writing is followed, and reading preceded, by validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from xml.sax.saxutils import escape

import zeep.helpers
import zeep.xsd
from lxml import etree
from zeep.xsd.elements.indicators import Choice, Sequence
from zeep.xsd.types import builtins

from gateway.errors import Refused
from gateway.xml import Element

Values = dict[str, Any]


_SPECIAL: Final = re.compile("[&<>]").search


class Codec(Protocol):
    """One global element of a schema."""

    tag: str

    def write(self, values: Mapping[str, Any]) -> str:
        """The element as XML text. Raises `Refused` (`conversion_failed`) when a value can't be one."""

    def read(self, element: Element) -> Values:
        """The element's values. Raises `Refused` (`value_unreadable`) for text that Python can't hold."""


class Unsupported(Exception):
    """A construct that is not compiled."""


def codec_for(element: Any, schema: Any) -> Codec:
    """The compiled codec where the type allows it, zeep's own otherwise."""
    try:
        return CompiledCodec(element)
    except Unsupported:
        return ZeepCodec(element, schema)


class ZeepCodec:
    """Any type, by zeep's serialiser."""

    def __init__(self, element: Any, schema: Any) -> None:
        self.tag: str = element.qname.text
        self._element = element
        self._schema = schema

    def write(self, values: Mapping[str, Any]) -> str:
        parent = etree.Element("parent")
        try:
            self._element.render(parent, self._element(**values))
        except (TypeError, ValueError, zeep.exceptions.Error) as error:
            raise Refused("conversion_failed", self._element.name) from error
        return etree.tostring(parent[0], encoding="unicode")

    def read(self, element: Element) -> Values:
        try:
            parsed = self._element.parse(element, self._schema)
        except (TypeError, ValueError, zeep.exceptions.Error) as error:
            raise Refused("value_unreadable", self._element.name) from error
        values: Values = zeep.helpers.serialize_object(parsed, dict)  # type: ignore[no-untyped-call]
        return {name: value for name, value in values.items() if value is not None}


class CompiledCodec:
    """A type made of plain elements, in sequences and choices."""

    def __init__(self, element: Any) -> None:
        self.tag: str = element.qname.text
        self._name: str = element.name
        if not isinstance(element.type, zeep.xsd.ComplexType):
            raise Unsupported
        prefixes = {element.qname.namespace: ""}
        self._node = _complex(element.type, prefixes, ())
        self._open = f"<{self._name}{_declared(prefixes)}>"
        self._close = f"</{self._name}>"

    def write(self, values: Mapping[str, Any]) -> str:
        try:
            return f"{self._open}{self._node.write(values)}{self._close}"
        except (TypeError, ValueError) as error:
            raise Refused("conversion_failed", self._name) from error

    def read(self, element: Element) -> Values:
        try:
            values: Values = self._node.read(element)
        except (ArithmeticError, LookupError, ValueError) as error:
            raise Refused("value_unreadable", self._name) from error
        return values


@dataclass(frozen=True, slots=True)
class _Node:
    """How the content of one type is written and read. Both raise `TypeError` or `ValueError`."""

    write: Callable[[Any], str]
    read: Callable[[Element], Any]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    tag: str
    open: str
    close: str
    node: _Node
    many: bool


#: By namespace; the root's own has none. Grows while a type is compiled.
_Prefixes = dict[str, str]


def _declared(prefixes: _Prefixes) -> str:
    names = {namespace: f":{prefix.rstrip(':')}" if prefix else "" for namespace, prefix in prefixes.items()}
    return "".join(f' xmlns{name}="{namespace}"' for namespace, name in names.items())


def _complex(type_: Any, prefixes: _Prefixes, within: tuple[Any, ...]) -> _Node:
    if type_.attributes or type_ in within:
        raise Unsupported  # attributes, or a type inside itself
    fields = [_field(element, prefixes, (*within, type_)) for element in _flat(type_)]
    by_tag = {field.tag: field for field in fields}
    if len(by_tag) != len(fields):
        raise Unsupported  # a name that stands in two places
    return _Node(_writer(fields), _reader(by_tag))


def _flat(type_: Any) -> Iterator[Any]:
    """The elements in their order; which may stand beside which is the XML schema's business."""
    pending = [indicator for _, indicator in type_.elements_nested]
    while pending:
        item = pending.pop(0)
        if isinstance(item, Sequence | Choice) and item.max_occurs == 1:
            pending[:0] = list(item)
        elif type(item) is zeep.xsd.Element and not item.nillable:
            yield item
        else:
            raise Unsupported


def _field(element: Any, prefixes: _Prefixes, within: tuple[Any, ...]) -> _Field:
    namespace, type_ = element.qname.namespace, element.type
    if namespace is None:
        raise Unsupported  # can't be written where a default namespace is declared
    name = prefixes.setdefault(namespace, f"n{len(prefixes)}:") + element.name
    is_complex = isinstance(type_, zeep.xsd.ComplexType)
    return _Field(
        name=element.name,
        tag=element.qname.text,
        open=f"<{name}>",
        close=f"</{name}>",
        node=_complex(type_, prefixes, within) if is_complex else _leaf(type_),
        many=element.max_occurs != 1,
    )


def _writer(fields: list[_Field]) -> Callable[[Any], str]:
    known = frozenset(field.name for field in fields)
    # Plain tuples: this loop is most of what a call costs us.
    plan = tuple((field.name, field.open, field.close, field.node.write, field.many) for field in fields)

    def write(values: Any) -> str:
        if not isinstance(values, Mapping) or not known.issuperset(values):
            raise ValueError("not the values of this type")
        pieces: list[str] = []
        given = values.get
        for name, opening, closing, write_one, many in plan:
            value = given(name)
            if value is None:
                continue
            if many:
                pieces += [f"{opening}{write_one(item)}{closing}" for item in value]
            else:
                pieces.append(f"{opening}{write_one(value)}{closing}")
        return "".join(pieces)

    return write


def _reader(by_tag: Mapping[Any, _Field]) -> Callable[[Element], Values]:
    plan = {tag: (field.name, field.node.read, field.many) for tag, field in by_tag.items()}

    def read(element: Element) -> Values:
        values: Values = {}
        for child in element:
            found = plan.get(child.tag)
            if found is None:
                if isinstance(child.tag, str):
                    raise ValueError("unexpected element")
                continue  # a comment between elements
            name, read_one, many = found
            if many:
                values.setdefault(name, []).append(read_one(child))
            else:
                values[name] = read_one(child)
        return values

    return read


def _leaf(type_: Any) -> _Node:
    for base, write, read in _LEAVES:
        if isinstance(type_, base):
            return _Node(write, _reading(read))
    raise Unsupported


def _reading(convert: Callable[[str], Any]) -> Callable[[Element], Any]:
    def read(element: Element) -> Any:
        # A comment inside a value would hide a part of it.
        if len(element):
            raise ValueError("text is interrupted")
        return convert(element.text or "")

    return read


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
