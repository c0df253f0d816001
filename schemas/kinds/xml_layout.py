"""How the body of a message lies in XML, for parties that don't write JSON.

    <message xmlns="urn:umrah:messages:v1" kind="package.decision">
      <package_id>PKG-3001</package_id><revision>1</revision><decision>approved</decision>
    </message>

Fields are elements named as in JSON, records hold their fields, a list is its element repeated, and an
absent field has no element. Numbers are written in digits, booleans as `true` or `false`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

NAMESPACE: Final = "urn:umrah:messages:v1"
ROOT: Final = "message"
_ENTITIES: Final = {"\r": "&#13;"}


def named_root(kind: str) -> str:
    """The other name of the root element: the kind's own, with hyphens for its dots."""
    return kind.replace(".", "-")


def to_xml(kind: str, body: Mapping[str, Any]) -> str:
    """A canonical body as a document, one element a line."""
    lines = [f"<{ROOT} xmlns={quoteattr(NAMESPACE)} kind={quoteattr(kind)}>"]
    for name, value in body.items():
        lines += _elements(name, value, "  ")
    return "\n".join([*lines, f"</{ROOT}>", ""])


def _elements(name: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, list):
        return [line for item in value for line in _elements(name, item, indent)]
    if isinstance(value, Mapping):
        inner = [line for key, member in value.items() for line in _elements(key, member, indent + "  ")]
        return [f"{indent}<{name}>", *inner, f"{indent}</{name}>"]
    return [f"{indent}<{name}>{escape(_text(value), _ENTITIES)}</{name}>"]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    # Never with an exponent.
    return format(Decimal(str(value)), "f") if isinstance(value, float) else str(value)
