"""Values to XML and back, by the types that zeep read from a WSDL.

zeep's own serialiser costs some 0.5 ms a call. Where a type is made of plain elements only, it is compiled
once into one pass of string pieces (writing) and one walk (reading); anything else goes through zeep itself.
Neither checks what the XML schema checks: writing is followed, and reading preceded, by validation; but for
`write_certain`, which writes what is valid beyond doubt, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import count
from typing import Any, Final, Protocol

import zeep.helpers
import zeep.xsd
from lxml import etree

from gateway.errors import Refused
from gateway.soap.elements import Branch, Leaf, Prefixes, Unsupported, branch
from gateway.xml import Element

Values = dict[str, Any]

_NOTHING: Final[Mapping[str, str]] = {}


class Codec(Protocol):
    """One global element of a schema."""

    tag: str

    def write(self, values: Mapping[str, Any]) -> str:
        """The element as XML text. Raises `Refused` (`conversion_failed`) when a value can't be one."""

    def write_certain(self, values: Mapping[str, Any]) -> str | None:
        """What `write` writes, if that is certain to be valid by the schema; None when it has to be asked."""

    def read(self, element: Element) -> Values:
        """The element's values. Raises `Refused` (`value_unreadable`) for text that Python can't hold."""


def codec_for(element: Any, schema: Any, certain: Mapping[str, str] = _NOTHING) -> Codec:
    """The compiled codec where the type allows it, zeep's own otherwise.

    `certain`: what `simple_types` tells of the schema.
    """
    try:
        return CompiledCodec(element, certain)
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

    def write_certain(self, values: Mapping[str, Any]) -> str | None:
        return None

    def read(self, element: Element) -> Values:
        try:
            parsed = self._element.parse(element, self._schema)
        except (TypeError, ValueError, zeep.exceptions.Error) as error:
            raise Refused("value_unreadable", self._element.name) from error
        values: Values = zeep.helpers.serialize_object(parsed, dict)  # type: ignore[no-untyped-call]
        return {name: value for name, value in values.items() if value is not None}


class CompiledCodec:
    """A type made of plain elements, in sequences and choices."""

    def __init__(self, element: Any, certain: Mapping[str, str] = _NOTHING) -> None:
        self.tag: str = element.qname.text
        self._name: str = element.name
        prefixes: Prefixes = {element.qname.namespace: ""}
        self.branch = branch(element.type, prefixes, certain)
        self._write = _writer(self.branch)
        self._read = _reader(self.branch)
        self._open = f"<{self._name}{_declared(prefixes)}>"
        self._close = f"</{self._name}>"
        try:
            self._certain: _CertainWriter | None = _CertainWriter(self.branch, self._open, self._close)
        except Unsupported:
            self._certain = None

    def write(self, values: Mapping[str, Any]) -> str:
        try:
            return f"{self._open}{self._write(values)}{self._close}"
        except (TypeError, ValueError) as error:
            raise Refused("conversion_failed", self._name) from error

    def write_certain(self, values: Mapping[str, Any]) -> str | None:
        if self._certain is None:
            return None
        try:
            return self._certain.write(values)
        except _Doubtful:
            return None

    def read(self, element: Element) -> Values:
        try:
            return self._read(element)
        except (ArithmeticError, LookupError, ValueError) as error:
            raise Refused("value_unreadable", self._name) from error


def _declared(prefixes: Prefixes) -> str:
    names = {namespace: f":{prefix.rstrip(':')}" if prefix else "" for namespace, prefix in prefixes.items()}
    return "".join(f' xmlns{name}="{namespace}"' for namespace, name in names.items())


# --- writing ---------------------------------------------------------------------------------------------


def _writer(node: Branch) -> Callable[[Any], str]:
    known = frozenset(field.name for field in node.fields)
    # Plain tuples: this loop is most of what a call costs us.
    plan = tuple(
        (field.name, field.open, field.close, _write_of(field.node), field.many) for field in node.fields
    )

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


def _write_of(node: Leaf | Branch) -> Callable[[Any], str]:
    return node.write if isinstance(node, Leaf) else _writer(node)


class _Doubtful(Exception):
    """It may be valid or not: the schema knows."""


#: Of one element with the same fields absent: its text with `%s` for each value, and whether such values,
#: with a `<` between them, are valid. No expression takes a `<`, so none reaches into another's value.
_Form = tuple[str, Callable[[str], object]]
#: Adds the values of the fields that are there, in their order, and the numbers of those that are not.
_Gatherer = Callable[[Any, list[Any], list[int]], None]
#: Kept of one element: some fields may be absent, and only so many combinations are met.
_MOST_FORMS: Final = 64


class _CertainWriter:
    """Writes an element by a form that is made once, where one match tells that all its values are valid."""

    def __init__(self, node: Branch, opening: str, closing: str) -> None:
        """Raises `Unsupported` where everything would be doubtful."""
        self._node, self._opening, self._closing = node, opening, closing
        self._gather = _gatherer(node, count())
        self._forms: dict[tuple[int, ...], _Form] = {}

    def write(self, values: Any) -> str:
        """Raises `_Doubtful` for whatever is not certain to be valid."""
        texts: list[Any] = []
        absent: list[int] = []
        self._gather(values, texts, absent)
        template, matches = self._form(tuple(absent))
        try:
            valid = matches("<".join(texts))
        except TypeError:
            raise _Doubtful from None  # not a text
        if not valid:
            raise _Doubtful
        return template % tuple(texts)

    def _form(self, absent: tuple[int, ...]) -> _Form:
        found = self._forms.get(absent)
        if found is None:
            if len(self._forms) >= _MOST_FORMS:
                raise _Doubtful
            template: list[str] = []
            expressions: list[str] = []
            _add_form(self._node, count(), absent, template, expressions)
            whole = f"{_literal(self._opening)}{''.join(template)}{_literal(self._closing)}"
            found = self._forms[absent] = whole, re.compile("<".join(expressions)).fullmatch
        return found


def _gatherer(node: Branch, numbers: Iterator[int]) -> _Gatherer:
    """Fields are numbered through the whole tree, each before what is inside it."""
    if not node.plain or any(field.many for field in node.fields):
        raise Unsupported
    plan = tuple(
        (next(numbers), field.name, field.required, _gather_inside(field.node, numbers))
        for field in node.fields
    )
    known = frozenset(field.name for field in node.fields)

    def gather(values: Any, texts: list[Any], absent: list[int]) -> None:
        if not isinstance(values, dict) or not known.issuperset(values):
            raise _Doubtful
        given = values.get
        for number, name, required, gather_inside in plan:
            value = given(name)
            if value is None:
                if required:
                    raise _Doubtful
                absent.append(number)
            elif gather_inside is None:
                texts.append(value)
            else:
                gather_inside(value, texts, absent)

    return gather


def _gather_inside(node: Leaf | Branch, numbers: Iterator[int]) -> _Gatherer | None:
    if isinstance(node, Branch):
        return _gatherer(node, numbers)
    if node.certain is None or not node.is_text:
        raise Unsupported
    return None


def _add_form(
    node: Branch, numbers: Iterator[int], absent: Collection[int], template: list[str], texts: list[str]
) -> None:
    for field in node.fields:
        there = next(numbers) not in absent
        # What is inside is numbered also where it is left out.
        part, expressions = ([], []) if not there else (template, texts)
        part.append(_literal(field.open))
        if isinstance(field.node, Branch):
            _add_form(field.node, numbers, absent, part, expressions)
        else:
            part.append("%s")
            expressions.append(f"(?:{field.node.certain})")
        part.append(_literal(field.close))


def _literal(text: str) -> str:
    """As it stands in a template."""
    return text.replace("%", "%%")


# --- reading ---------------------------------------------------------------------------------------------


def _reader(node: Branch) -> Callable[[Element], Values]:
    plan: dict[Any, Any] = {
        field.tag: (field.name, _read_of(field.node), field.many) for field in node.fields
    }

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


def _read_of(node: Leaf | Branch) -> Callable[[Element], Any]:
    if isinstance(node, Branch):
        return _reader(node)
    convert = node.read

    def read(element: Element) -> Any:
        # A comment inside a value would hide a part of it.
        if len(element):
            raise ValueError("text is interrupted")
        return convert(element.text or "")

    return read
