"""Replies of a shape that is known, read in one match instead of being parsed, checked and walked.

What an XML document means depends on its markup and its texts. Of a reply that was found good in the long way
(`reply`) the shape is kept: every byte of its markup, and for each text what its type allows. A later reply
that fits is good as well: what was checked of the markup holds for it too, and its texts are valid for
certain. One that fits no shape goes the long way, so nothing is ever refused here.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.soap.codec import Codec, CompiledCodec, Values
from gateway.soap.elements import Branch
from gateway.soap.envelope import Envelope
from gateway.xml import Element

_TAG: Final = re.compile("(<[^<>]*>)")
#: The text of a header block that nobody here reads: what stands for itself (`simple_types.CHARACTER`). By
#: what does not, it is compiled seven times as fast. No text that was decoded holds a surrogate.
_ANY: Final = "[^\\x00-\\x08\\x0b-\\x1f&<>\ufffe\uffff]{0,1000}"
#: To keep a shape, its expression is compiled, in the event loop: of no more than this.
_MOST_CHARACTERS: Final = 16_384
_MOST_TEXTS: Final = 100
#: Kept of one action. The one that fitted last is tried first.
_MOST_SHAPES: Final = 8
#: By name: how the text of a group is read and the group's number, or None and the plan of what is inside.
_Plan = tuple[tuple[str, Callable[[str], Any] | None, Any], ...]


class Shapes:
    """Those of one partner's good replies, as they come. For one thread at a time."""

    def __init__(self) -> None:
        self._known: defaultdict[str, list[_Shape]] = defaultdict(list)
        self._unknown: Counter[str] = Counter()

    def read(self, action: str, body: bytes, correlation_id: str) -> Values | None:
        """The values of a good reply to the message of that id; None when the long way has to tell."""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return None
        known = self._known[action]
        for place, shape in enumerate(known):
            groups = shape.match(text)
            if groups is not None:
                if place:
                    known.insert(0, known.pop(place))
                return shape.values(groups) if shape.correlation_id(groups) == correlation_id else None
        return None

    def keep(
        self, action: str, body: bytes, envelope: Envelope, codecs: tuple[Codec, Codec], values: Values
    ) -> None:
        """The shape of a reply that was found good: its header and content are read by these codecs.

        A new one costs as much as a hundred replies, so a partner that writes no two replies alike is soon
        asked rarely: at the first, second, fourth, eighth … that fits none.
        """
        self._unknown[action] += 1
        if self._unknown[action].bit_count() > 1:
            return
        try:
            text = body.decode()
            shape = _Shape(text, envelope, *codecs)
        except (UnicodeDecodeError, _Shapeless):
            return
        groups = shape.match(text)
        if groups is not None and shape.values(groups) == values:
            self._known[action] = [shape, *self._known[action][: _MOST_SHAPES - 1]]


class _Shapeless(Exception):
    """Something in a reply whose meaning is not in its texts alone."""


class _Shape:
    """One way in which a good reply was written."""

    def __init__(self, text: str, envelope: Envelope, header: Codec, reply: Codec) -> None:
        """Raises `_Shapeless`."""
        block, content = envelope.message_header, envelope.content
        if block is None or not isinstance(header, CompiledCodec) or not isinstance(reply, CompiledCodec):
            raise _Shapeless
        if any(element.attrib for whole in (block, content) for element in whole.iter()):
            raise _Shapeless  # such as `xsi:type`, by which another type counts
        groups: dict[Element, str] = {}
        about = _plan(block, header.branch, groups)
        self._plan = _plan(content, reply.branch, groups)
        self._correlation = next(number for name, _, number in about if name == "correlation_id")
        others = {
            element: _ANY for other in envelope.headers if other is not block for element in other.iter()
        }
        texts = {**groups, **others}
        if len(text) > _MOST_CHARACTERS or len(texts) > _MOST_TEXTS:
            raise _Shapeless
        root = content.getroottree().getroot()
        self._match = re.compile(_expression(text, root, texts)).fullmatch

    def match(self, text: str) -> Sequence[str] | None:
        """The texts of a reply of this shape, in their order; None for another shape."""
        found = self._match(text)
        return None if found is None else found.groups()

    def correlation_id(self, groups: Sequence[str]) -> str:
        found: str = groups[self._correlation]
        return found

    def values(self, groups: Sequence[str]) -> Values:
        return _values(self._plan, groups)


def _plan(element: Element, branch: Branch, groups: dict[Element, str]) -> _Plan:
    """How an element's values are made of the texts inside it, each a new one of the `groups`."""
    fields = {field.tag: field for field in branch.fields}
    plan: list[tuple[str, Callable[[str], Any] | None, Any]] = []
    for child in element:
        field = fields.get(str(child.tag))
        if field is None or field.many:
            raise _Shapeless
        if isinstance(field.node, Branch):
            plan.append((field.name, None, _plan(child, field.node, groups)))
        elif field.node.certain is None or len(child):
            raise _Shapeless
        else:
            plan.append((field.name, field.node.read, len(groups)))
            groups[child] = f"({field.node.certain})"
    return tuple(plan)


def _expression(text: str, root: Element, texts: dict[Element, str]) -> str:
    """The document with an expression in place of each of these elements' texts."""
    before, *rest = _TAG.split(text)
    if "<" in before:
        raise _Shapeless  # such as a broken declaration, which the parser forgives
    pieces = [re.escape(before)]
    elements = root.iter()
    for place, (tag, after) in enumerate(zip(rest[::2], rest[1::2], strict=True)):
        # Inside a comment or the like, tags are none; it is met as a whole, or by its beginning alone.
        if "<" in after or (tag[1] in "!?" and not (place == 0 and tag.startswith("<?xml "))):
            raise _Shapeless
        element = None if tag[1] in "/?" else next(elements)
        expression = None if element is None else texts.get(element)
        if expression is not None and tag.endswith("/>"):
            raise _Shapeless
        # A tag that is cut by a `>` in an attribute leaves one behind, which no expression takes.
        pieces += [re.escape(tag), re.escape(after) if expression is None else expression]
    return "".join(pieces)


def _values(plan: _Plan, groups: Sequence[str]) -> Values:
    return {name: _values(part, groups) if read is None else read(groups[part]) for name, read, part in plan}
