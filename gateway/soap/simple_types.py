"""What a schema's simple types allow, as regular expressions.

Each is for certain: what it matches is valid by the schema. The reverse is not promised: where a type says
more than is translated here, it has no expression, or a narrower one, and the schema itself is asked. An
expression never matches what has to be escaped, so it can be looked for in XML text as well as in a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lxml import etree

from gateway.xml import Element

_XS: Final = "http://www.w3.org/2001/XMLSchema"
#: A character of XML 1.0 (section 2.2) that stands for itself. A carriage return does not: parsers change it.
CHARACTER: Final = "[\\t\\n\\x20-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
#: The 29th of February is left to the schema, and so is the hour 24.
_DATE: Final = (
    "[12][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    "|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_TIME: Final = r"(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,6})?"
_BASES: Final = MappingProxyType(
    {
        f"{{{_XS}}}string": f"{CHARACTER}*",
        f"{{{_XS}}}date": _DATE,
        f"{{{_XS}}}dateTime": f"{_DATE}T{_TIME}(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])?",
    }
)
#: The part of XML Schema's patterns that means the same to Python: plain characters, classes of them, groups,
#: alternatives, and numbers of times.
_SAME: Final = re.compile(
    r"(?:[A-Za-z0-9_:/ '@,-]|\\[-.+]|\[(?:[A-Za-z0-9_:/ '@,.+-]|\\[-.+])+\]|[()|?]|\{[0-9]+(?:,[0-9]+)?\})+"
).fullmatch
_PLAIN: Final = re.compile(r"[A-Za-z0-9_. -]+").fullmatch
#: At the end of a value, be it in XML text or alone.
_END: Final = "(?![^<])"
#: A range of numbers that is written out.
_MOST_NUMBERS: Final = 100
#: What says more of an element than its type does; and types without a name, called after their elements.
_BEYOND_TYPES: Final = etree.XPath(
    "boolean(//xs:include | //xs:redefine | //xs:unique | //xs:key | //xs:keyref"
    " | //@fixed | //@substitutionGroup | //xs:simpleType[not(@name)])",
    namespaces={"xs": _XS},
)


def simple_types(wsdl: Path) -> Mapping[str, str]:
    """By `{namespace}name`: an expression for values that are valid for certain.

    Types of the WSDL's schema and of those that it imports. Raises `OSError`, `etree.LxmlError`.
    """
    found = dict(_BASES)
    for document in _documents(wsdl, set()):
        if _BEYOND_TYPES(document):
            return {}
        for type_ in document.iterfind(f"{{{_XS}}}simpleType[@name]"):
            expression = _expression(type_)
            if expression is not None:
                found[f"{{{document.get('targetNamespace')}}}{type_.get('name')}"] = expression
    return found


def _documents(path: Path, seen: set[Path]) -> Iterator[Element]:
    """The schemas in a file, and those that they import."""
    if path in seen:
        return
    seen.add(path)
    for schema in etree.parse(path, etree.XMLParser(no_network=True)).iter(f"{{{_XS}}}schema"):
        yield schema
        for one in schema.iterfind(f"{{{_XS}}}import"):
            yield from _documents((path.parent / one.get("schemaLocation", "")).resolve(), seen)


def _expression(type_: Element) -> str | None:
    restriction = type_.find(f"{{{_XS}}}restriction")
    if restriction is None:
        return None
    facets: dict[str, list[str]] = {}
    for facet in restriction:
        if isinstance(facet.tag, str):
            facets.setdefault(etree.QName(facet).localname, []).append(facet.get("value", ""))
    base = _resolved(restriction.get("base", ""), restriction)
    known = _FACETS.get((base, frozenset(facets)))
    return None if known is None else known(facets, base)


def _resolved(name: str, element: Element) -> str:
    prefix, _, local = name.rpartition(":")
    return f"{{{element.nsmap.get(prefix or None)}}}{local}"


def _patterns(facets: Mapping[str, list[str]], base: str) -> str | None:
    """A value of the base that matches one of the patterns, each of which is for the whole value."""
    if not all(_SAME(pattern) for pattern in facets["pattern"]):
        return None
    either = "|".join(facets["pattern"]).replace("(", "(?:")
    return f"(?:{either})" if base == f"{{{_XS}}}string" else f"(?=(?:{either}){_END}){_BASES[base]}"


def _enumerated(facets: Mapping[str, list[str]], _: str) -> str | None:
    values = facets["enumeration"]
    return f"(?:{'|'.join(map(re.escape, values))})" if all(map(_PLAIN, values)) else None


def _lengths(facets: Mapping[str, list[str]], _: str) -> str:
    least, most = (facets.get(name, [""])[0] for name in ("minLength", "maxLength"))
    return f"{CHARACTER}{{{least or 0},{most}}}"


def _range(facets: Mapping[str, list[str]], _: str) -> str | None:
    least, most = int(facets["minInclusive"][0]), int(facets["maxInclusive"][0])
    if not 0 <= least <= most < least + _MOST_NUMBERS:
        return None
    return f"(?:{'|'.join(map(str, range(least, most + 1)))})"


_Facets = Callable[[Mapping[str, list[str]], str], str | None]
#: By the base and the kinds of facets that are there; any other combination is left to the schema.
_FACETS: Final[Mapping[tuple[str, frozenset[str]], _Facets]] = {
    **{(base, frozenset({"pattern"})): _patterns for base in _BASES},
    (f"{{{_XS}}}string", frozenset({"enumeration"})): _enumerated,
    (f"{{{_XS}}}string", frozenset({"minLength"})): _lengths,
    (f"{{{_XS}}}string", frozenset({"maxLength"})): _lengths,
    (f"{{{_XS}}}string", frozenset({"minLength", "maxLength"})): _lengths,
    (f"{{{_XS}}}int", frozenset({"minInclusive", "maxInclusive"})): _range,
}
