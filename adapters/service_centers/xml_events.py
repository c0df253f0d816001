"""XML as events, from bytes that are still arriving, with everything dangerous refused.

Expat rather than a tree: a body of 100,000 lines is never held, a doctype stops the body at its first
characters, and each event knows its row and its place in bytes.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Final, Protocol
from xml.parsers import expat

from adapters.service_centers.push_parser import MAX_DEPTH, refusal

#: Stands between namespace and local name.
SEPARATOR: Final = " "
#: Bytes without an event: more can only be one huge tag or comment, which expat would keep whole.
_MAX_TOKEN_BYTES: Final = 65_536
_ENCODINGS: Final = frozenset({"utf-8", "utf-16"})
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class Handler(Protocol):
    """Takes the events. May raise `Refused`."""

    def start(self, name: str, attributes: Sequence[str]) -> None:
        """An element opens. `name` is `namespace local-name`; `attributes` are names and values in turn."""

    def text(self, text: str) -> None:
        """Characters, perhaps in several pieces."""

    def interrupt(self) -> None:
        """A comment or a processing instruction, which splits the text around it."""

    def end(self) -> None:
        """The innermost element closes."""


class XmlEvents:
    """Reads one document. Not thread-safe."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._expat: expat.XMLParserType | None = None
        self._check: codecs.IncrementalDecoder | None = None
        self._depth = self._fed = self._event_at = 0

    @property
    def row(self) -> int:
        """1-based row of the present event."""
        return self._expat.CurrentLineNumber if self._expat else 1

    @property
    def position(self) -> int:
        """Bytes before the present event."""
        return self._event_at

    def feed(self, piece: bytes, *, last: bool = False) -> None:
        """Handle the events in `piece`, whose first is at least two bytes long. Raises `Refused`."""
        if self._expat is None:
            self._begin(piece)
        assert self._expat and self._check  # noqa: S101 made by _begin
        self._fed += len(piece)
        try:
            self._check.decode(piece, last)
            self._expat.Parse(piece, last)
        except UnicodeDecodeError as error:
            raise refusal("encoding_not_utf8") from error
        except expat.ExpatError as error:
            raise refusal("invalid_xml", row=error.lineno, column=error.offset + 1) from error
        if self._fed - self._event_at > _MAX_TOKEN_BYTES:
            raise refusal("invalid_xml", row=self.row)

    def _begin(self, first: bytes) -> None:
        encoding = "utf-16" if first.startswith(_UTF16_MARKS) else "utf-8"
        self._check = codecs.getincrementaldecoder(encoding)()
        parser = expat.ParserCreate(namespace_separator=SEPARATOR)
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = parser.ProcessingInstructionHandler = self._interrupt
        self._expat = parser

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise refusal("encoding_not_utf8")

    def _doctype(self, *_: object) -> None:
        raise refusal("doctype_forbidden", row=self.row)

    def _start(self, name: str, attributes: list[str]) -> None:
        self._mark()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise refusal("nesting_too_deep", row=self.row, limit=MAX_DEPTH)
        self._handler.start(name, attributes)

    def _end(self, _name: str) -> None:
        self._mark()
        self._depth -= 1
        self._handler.end()

    def _text(self, text: str) -> None:
        self._mark()
        self._handler.text(text)

    def _interrupt(self, *_: str) -> None:
        self._mark()
        self._handler.interrupt()

    def _mark(self) -> None:
        if self._expat:
            self._event_at = self._expat.CurrentByteIndex
