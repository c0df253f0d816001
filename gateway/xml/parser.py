"""The one way in which a whole XML document from outside becomes a tree.

What costs little is checked on the bytes, before the parser sees them; what only the tree shows, after.
Nothing is ever fetched, expanded or guessed.
"""

from __future__ import annotations

import codecs
import re
import threading
from functools import lru_cache
from typing import Any, Final

from lxml import etree
from msgspec import Struct

from gateway.errors import Refused
from schemas.violation import Violation

Element = etree._Element


class Limits(Struct, frozen=True):
    """What one document may cost."""

    max_bytes: int = 1_048_576
    #: Elements inside one another. The parser itself stops at 256.
    max_depth: int = 32
    max_elements: int = 10_000
    #: Of one element, namespace declarations included.
    max_attributes: int = 32


_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DECLARATION: Final = re.compile(rb"\A<\?xml\s[^>]{0,200}?\?>")
_ENCODING: Final = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_TAG: Final = re.compile(rb"""(?:[^>"']++|"[^"]*+"|'[^']*+')*+""")
_QUOTED: Final = re.compile(rb""""[^"]*+"|'[^']*+'""")
#: Nothing fetched, nothing expanded, nothing repaired.
_SAFE: Final[dict[str, Any]] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "attribute_defaults": False,
    "huge_tree": False,
    "recover": False,
    "remove_comments": False,
    "remove_pis": False,
    "collect_ids": False,
    "decompress": False,
}
#: libxml2: a limit of its own was passed, here the depth.
_XML_ERR_RESOURCE_LIMIT: Final = 114


def parse(data: bytes, limits: Limits) -> Element:
    """The root element of a document in UTF-8 or UTF-16.

    Comments and processing instructions stay in the tree, so that they cannot join two texts into one
    unnoticed. Raises `Refused` with `body_too_large`, `encoding_not_utf8`, `doctype_forbidden`,
    `too_many_elements`, `too_many_attributes`, `nesting_too_deep` or `invalid_xml`.
    """
    if len(data) > limits.max_bytes:
        raise _refusal("body_too_large", limit=limits.max_bytes)
    text = _as_utf8(data)
    starts = _check_bytes(text, limits)
    root = _parsed(text, limits)
    if starts > limits.max_depth and _deeper_than(limits.max_depth)(root):
        raise _refusal("nesting_too_deep", limit=limits.max_depth)
    return root


def _as_utf8(data: bytes) -> bytes:
    """The document in UTF-8 without a declaration, so that no other encoding can be meant."""
    utf16 = data.startswith(_UTF16_MARKS)
    try:
        text = data.decode("utf-16").encode() if utf16 else data.removeprefix(codecs.BOM_UTF8)
        text.decode()
    except UnicodeError as error:
        raise _refusal("encoding_not_utf8") from error
    declaration = _DECLARATION.match(text)
    if declaration is None:
        return text
    encoding = _ENCODING.search(declaration[0])
    if encoding and encoding[1].lower() not in ((b"utf-16",) if utf16 else (b"utf-8",)):
        raise _refusal("encoding_not_utf8")
    # Blank, not gone: places in error messages stay right.
    return b" " * len(declaration[0]) + text[declaration.end() :]


def _check_bytes(text: bytes, limits: Limits) -> int:
    """How many elements there are at most: every `<` but those of end tags."""
    # Case matters in XML. Inside CDATA or a comment it would be harmless, and is refused all the same.
    if b"<!DOCTYPE" in text:
        raise _refusal("doctype_forbidden")
    starts = text.count(b"<") - text.count(b"</")
    if starts > limits.max_elements:
        raise _refusal("too_many_elements", limit=limits.max_elements)
    if text.count(b"=") > limits.max_attributes and _has_more_attributes(text, limits.max_attributes):
        raise _refusal("too_many_attributes", limit=limits.max_attributes)
    return starts


def _has_more_attributes(text: bytes, limit: int) -> bool:
    # `<` cannot stand inside an attribute's value, so each piece holds one tag at most.
    return any(_attributes(piece) > limit for piece in text.split(b"<") if piece.count(b"=") > limit)


def _attributes(piece: bytes) -> int:
    tag = _TAG.match(piece)
    return len(_QUOTED.findall(tag[0])) if tag else 0


def _parsed(text: bytes, limits: Limits) -> Element:
    try:
        return etree.fromstring(text, _PARSERS.parser)
    except etree.XMLSyntaxError as error:
        if error.code == _XML_ERR_RESOURCE_LIMIT:
            raise _refusal("nesting_too_deep", limit=limits.max_depth) from None
        row, column = error.position
        # The parser's own text may quote the document.
        raise _refusal("invalid_xml", row=row, column=column) from None


class _Parsers(threading.local):
    """One parser a thread: making one costs half as much as parsing a reply, and sharing one waits."""

    def __init__(self) -> None:
        self.parser: etree.XMLParser[Element] = etree.XMLParser(**_SAFE)


_PARSERS: Final = _Parsers()


@lru_cache(maxsize=16)
def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


def _refusal(code: str, **params: int) -> Refused:
    return Refused(code, violations=(Violation(code, "", params),), status=400)
