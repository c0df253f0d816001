"""XML: `schemas/xsd/service_centers/visa-batch-v1.xsd`. The header's elements come before `applications`.

Fields are elements named as in the model; an attribute is as unknown as a misspelt field, so `xsi:nil`
and `xsi:type` change nothing unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final
from xml.sax.saxutils import escape

from adapters.service_centers.layout import LIST_ITEMS, containers
from adapters.service_centers.push_parser import Limits, PushParser, Steps, refusal, refusal_for
from adapters.service_centers.strict_json import step_into
from adapters.service_centers.xml_events import SEPARATOR, XmlEvents
from gateway.ports import ReadHeader, ReadItem, ReadLine
from schemas.violation import Violation

BATCH_NAMESPACE: Final = "urn:umrah:service-centers:visa-batch:v1"
RESULTS_NAMESPACE: Final = "urn:umrah:service-centers:visa-results:v1"

_IN_NAMESPACE: Final = BATCH_NAMESPACE + SEPARATOR
_ROOT, _LINES, _LINE = (_IN_NAMESPACE + name for name in ("visa_batch", "applications", "application"))
#: Elements in one application or header; a full one has about 60.
_MAX_ELEMENTS: Final = 500
#: Elements and comments at which an application is no mistake any more, but meant to cost.
_MAX_EVENTS: Final = 5_000
#: Expat reads an unfinished token again with every piece: few pieces, however small the chunks.
_PIECE_BYTES: Final = 16_384
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA_LOCATION: Final = f"{_XSI}{SEPARATOR}schemaLocation"


class XmlReader:
    """Opens parsers for XML bodies."""

    media_types: tuple[str, ...] = ("application/xml", "text/xml")

    def open(self, *, max_line_bytes: int, max_lines: int) -> XmlParser:
        """A parser for one new body."""
        return XmlParser(Limits(max_line_bytes, max_lines))


class _Stage(Enum):
    HEADER = auto()
    #: In `applications`, between two of them.
    LINES = auto()
    LINE = auto()
    AFTER_LINES = auto()


class XmlParser(PushParser):
    """One XML body."""

    cut_short = "invalid_xml"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._events = XmlEvents(self)
        self._items: list[ReadItem] = []
        self._stage = _Stage.HEADER
        self._depth = 0
        self._record = _Record()
        self._began_at = self._row = 0

    def _read(self) -> Steps:
        while not self._ended or len(self._buffer) > _PIECE_BYTES:
            if len(self._buffer) < _PIECE_BYTES:
                yield None
            else:
                yield from self._parse(_PIECE_BYTES)
        yield from self._parse(len(self._buffer), last=True)

    def _parse(self, count: int, *, last: bool = False) -> Steps:
        piece = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._events.feed(piece, last=last)
        items, self._items = self._items, []
        yield from items

    def start(self, name: str, attributes: Sequence[str]) -> None:
        """An element opens; see `xml_events.Handler`."""
        depth, self._depth = self._depth, self._depth + 1
        if not depth:
            self._begin_batch(name, attributes)
        elif self._stage is _Stage.AFTER_LINES:
            raise refusal("header_after_lines", row=self._events.row)
        elif self._stage is _Stage.LINES:
            self._begin_line(name, attributes)
        elif depth == 1 and name == _LINES:
            self._begin_lines(attributes)
        else:
            self._check_events()
            self._record.start(name, attributes)

    def text(self, text: str) -> None:
        """Characters; see `xml_events.Handler`."""
        if self._stage in (_Stage.HEADER, _Stage.LINE):
            self._check_size()
            self._record.text(text)
        elif not text.isspace():
            raise refusal("invalid_xml", row=self._events.row)

    def interrupt(self) -> None:
        """A comment or processing instruction; see `xml_events.Handler`."""
        self._check_events()
        self._record.interrupt()

    def end(self) -> None:
        """The innermost element closes; see `xml_events.Handler`."""
        self._depth -= 1
        self._check_size()
        if self._stage is _Stage.LINE and self._depth == 2:
            self._end_line()
        elif self._stage is _Stage.LINES:
            self._stage = _Stage.AFTER_LINES
        elif self._stage is _Stage.HEADER and not self._depth:
            raise refusal("field_missing", "/applications")
        elif self._stage is not _Stage.AFTER_LINES:
            self._record.end()

    def _begin_batch(self, name: str, attributes: Sequence[str]) -> None:
        if name != _ROOT or any(attribute != _SCHEMA_LOCATION for attribute in attributes[::2]):
            raise refusal("invalid_xml", row=self._events.row)

    def _begin_lines(self, attributes: Sequence[str]) -> None:
        fields, fault = self._record.finish()
        if attributes:
            fault = fault or Violation("unknown_field", "/applications")
        if fault:
            raise refusal_for(fault)
        self._items.append(ReadHeader(fields))
        self._stage = _Stage.LINES

    def _begin_line(self, name: str, attributes: Sequence[str]) -> None:
        if name != _LINE:
            raise refusal("unknown_field", "/applications", row=self._events.row)
        self._count_line()
        self._stage = _Stage.LINE
        self._row, self._began_at = self._events.row, self._events.position
        self._record = _Record()
        if attributes:
            self._record.give_up("unknown_field")

    def _end_line(self) -> None:
        fields, fault = self._record.finish()
        self._items.append(ReadLine(self._line, None if fault else fields, fault, self._row))
        self._stage = _Stage.LINES

    def _check_size(self) -> None:
        """Measure the header or the line up to the present event."""
        limit = self._limits.max_line_bytes
        if self._events.position - self._began_at <= limit:
            return
        if self._stage is _Stage.HEADER:
            raise refusal("line_too_long", limit=limit)
        if self._stage is _Stage.LINE:
            self._record.give_up("line_too_long", limit=limit)

    def _check_events(self) -> None:
        if self._record.events >= _MAX_EVENTS:
            raise refusal("too_many_elements", row=self._events.row, limit=_MAX_EVENTS)


class _Element:
    """An element that is open, inside a record."""

    __slots__ = ("children", "interrupted", "name", "path", "texts")

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.texts: list[str] = []
        #: A comment or processing instruction stands in it.
        self.interrupted = False
        self.children: dict[str, Any] | list[Any] | None = None
        if path in LIST_ITEMS:
            self.children = []
        elif path in containers():
            self.children = {}

    def fault_of_child(self, name: str) -> str | None:
        """The code of the fault that a child `name` is here, if it is one."""
        if isinstance(self.children, list):
            return None if name == LIST_ITEMS[self.path] else "unknown_field"
        return "duplicate_key" if self.children and name in self.children else None

    def open_child(self, name: str) -> _Element:
        if isinstance(self.children, list):
            return _Element(str(len(self.children)), f"{self.path}.")
        if self.children is None:
            self.children = {}
        return _Element(name, f"{self.path}.{name}" if self.path else name)

    def take(self, child: _Element) -> None:
        value = "".join(child.texts) if child.children is None else child.children
        if isinstance(self.children, list):
            self.children.append(value)
        elif self.children is not None:
            self.children[child.name] = value

    def mixes(self) -> bool:
        """Text beside elements, or text that is split: what it says as a whole is not clear."""
        if self.children is None:
            return self.interrupted
        return bool(self.texts) and any(not text.isspace() for text in self.texts)


class _Record:
    """Builds nested fields from the events inside one element, and keeps the first fault."""

    def __init__(self) -> None:
        self._open = [_Element("", "")]
        self._open[0].children = {}
        #: Elements, comments and processing instructions so far.
        self.events = 0
        self._skipped = 0
        self._fault: Violation | None = None

    def start(self, name: str, attributes: Sequence[str]) -> None:
        self.events += 1
        parent, local = self._open[-1], name.removeprefix(_IN_NAMESPACE)
        if local is name or attributes:
            self._fail("unknown_field", self._pointer(local))
        elif fault := parent.fault_of_child(local):
            self._fail(fault, self._pointer(local))
        elif self.events > _MAX_ELEMENTS:
            self._fail("too_many_elements", limit=_MAX_ELEMENTS)
        if self._fault:
            self._skipped += 1
        else:
            self._open.append(parent.open_child(local))

    def text(self, text: str) -> None:
        if not self._fault:
            self._open[-1].texts.append(text)

    def interrupt(self) -> None:
        self.events += 1
        self._open[-1].interrupted = True

    def end(self) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        if self._open[-1].mixes():
            self._fail("invalid_xml", self._pointer())
        element = self._open.pop()
        self._open[-1].take(element)

    def finish(self) -> tuple[dict[str, Any], Violation | None]:
        """The fields and the first fault; the record's own element has ended."""
        root = self._open[0]
        if root.mixes():
            self._fail("invalid_xml")
        return (root.children if isinstance(root.children, dict) else {}), self._fault

    def give_up(self, code: str, **params: str | int) -> None:
        """Keep nothing more of this record."""
        self._fail(code, "", **params)
        for element in self._open:
            element.texts.clear()

    def _pointer(self, *further: str) -> str:
        pointer = ""
        for name in (*(element.name for element in self._open[1:]), *further):
            pointer = step_into(pointer, int(name) if name.isdecimal() else name)
        return pointer

    def _fail(self, code: str, pointer: str = "", **params: str | int) -> None:
        if self._fault is None:
            self._fault = Violation(code, pointer, params)


_NOT_A_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTITIES: Final = {"\r": "&#13;", '"': "&quot;"}


class XmlResultWriter:
    """`<visa_results><batch>…</batch><results><result>…</result>…</results></visa_results>`.

    Names are those of the JSON; a list `errors` holds `error` elements; an absent value has no element.
    """

    media_type = "application/xml"

    def head(self, batch: Mapping[str, Any]) -> bytes:
        """Declaration, the batch's status and the opening of the list."""
        opening = f'<?xml version="1.0" encoding="UTF-8"?>\n<visa_results xmlns="{RESULTS_NAMESPACE}">'
        return f"{opening}{to_xml('batch', batch)}<results>\n".encode()

    def line(self, result: Mapping[str, Any]) -> bytes:
        """One `result` element."""
        return f"{to_xml('result', result)}\n".encode()

    def tail(self) -> bytes:
        """The end of the list and of the document."""
        return b"</results></visa_results>\n"


def to_xml(name: str, value: Any, path: str = "") -> str:
    """An element. A character that XML can't hold becomes U+FFFD: results stay readable whatever was sent."""
    if value is None:
        return ""
    return f"<{name}>{_content(value, path)}</{name}>"


def _content(value: Any, path: str) -> str:
    if isinstance(value, Mapping):
        return "".join(
            to_xml(name, member, f"{path}.{name}" if path else name) for name, member in value.items()
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        item = LIST_ITEMS.get(path) or path.rpartition(".")[2].removesuffix("s")
        return "".join(to_xml(item, member, f"{path}.") for member in value)
    if isinstance(value, bool):
        return str(value).lower()
    return escape(_NOT_A_CHARACTER.sub("\ufffd", str(value)), _ENTITIES)
