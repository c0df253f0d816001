"""JSON as RFC 8259 and RFC 7493 (I-JSON) want it: what parsers usually let pass is a fault here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from adapters.service_centers.push_parser import MAX_DEPTH
from schemas.violation import Violation

#: I-JSON's exact integers have 16 digits; more are refused before they are converted.
_MAX_DIGITS: Final = 19
#: Brackets in one value; a full application has about 20.
_MAX_BRACKETS: Final = 2_500
_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_FLAT: Final = rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+'
#: To the next quote or bracket that matters; whole objects and lists that hold no other are passed over.
_TO_BRACKET: Final = re.compile(
    rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"|[{\[]' + _FLAT + rb"[}\]])*+", re.DOTALL
)
_TO_QUOTE: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_BARE: Final = re.compile(rb"[^,\]}\s]*+")
# A name that a party made up is shown back only when it reads like a field's name: it might hold a value.
_PLAIN_NAME: Final = re.compile(r"(?=.{1,40}\Z)[A-Za-z_-]+[0-9]{0,2}")

_QUOTE, _BACKSLASH = b'"\\'
_OPENING: Final = frozenset(b"{[")


class JsonError(ValueError):
    """A piece of JSON that can't be taken."""

    def __init__(self, code: str, pointer: str = "", **params: str | int) -> None:
        super().__init__(code)
        self.violation = Violation(code, pointer, params)


class ValueScanner:
    """Finds the end of one JSON value in bytes that are still arriving, looking at each byte once.

    Balances brackets and quotes only; whether the value is JSON is `StrictDecoder`'s to say. The
    caller may drop `position` bytes from the front of its buffer if it resets `position` to 0.
    """

    __slots__ = ("_bare", "_brackets", "_depth", "_quoted", "_started", "deepest", "position")

    def __init__(self) -> None:
        #: Where scanning goes on.
        self.position = 0
        #: The deepest nesting met, or one less.
        self.deepest = 0
        self._brackets = self._depth = 0
        self._started = self._quoted = self._bare = False

    def scan(self, buffer: bytearray | bytes) -> int | None:
        """The index just past the value, or None when the buffer ends before it does.

        Raises `JsonError` at so many brackets that following them would be the harm intended.
        """
        if not self._started and buffer:
            self._start(buffer[0])
        if self._bare:
            self.position = _end(_BARE, buffer, self.position)
            return self.position if self.position < len(buffer) else None
        while self.position < len(buffer):
            if not self._step(buffer):
                return None
            if not self._depth and not self._quoted:
                return self.position
        return None

    def _start(self, first: int) -> None:
        self._started = True
        self._quoted = first == _QUOTE
        self._bare = not self._quoted and first not in _OPENING
        self._depth = self.deepest = int(first in _OPENING)
        self.position = int(not self._bare)

    def _step(self, buffer: bytearray | bytes) -> bool:
        """Pass the next quote or bracket; False when the buffer ends before one."""
        pattern = _TO_QUOTE if self._quoted else _TO_BRACKET
        self.position = position = _end(pattern, buffer, self.position)
        if position == len(buffer) or buffer[position] == _BACKSLASH:
            return False
        self.position += 1
        if buffer[position] == _QUOTE:
            self._quoted = not self._quoted
        else:
            self._bracket(opening=buffer[position] in _OPENING)
        return True

    def _bracket(self, *, opening: bool) -> None:
        self._brackets += 1
        self._depth += 1 if opening else -1
        self.deepest = max(self.deepest, self._depth)
        if self._brackets > _MAX_BRACKETS:
            self.check_depth()
            raise JsonError("too_many_elements", limit=_MAX_BRACKETS)

    def check_depth(self) -> None:
        """Raise `JsonError` if what was scanned is nested deeper than the decoder may go."""
        if self.deepest > MAX_DEPTH:
            raise JsonError("nesting_too_deep", limit=MAX_DEPTH)


def _end(pattern: re.Pattern[bytes], buffer: bytearray | bytes, position: int) -> int:
    # The match object pins the buffer: it must be gone before the buffer is resized.
    match = pattern.match(buffer, position)
    return match.end() if match else position


@dataclass(frozen=True, slots=True)
class _Marker:
    """Stands in the decoded value where a fault was found, so that the fault's place can be told."""

    code: str
    name: str = ""


class StrictDecoder:
    """Decodes one JSON text at a time. Not thread-safe."""

    def __init__(self) -> None:
        self._marked = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=self._float,
            parse_int=self._int,
            parse_constant=lambda _: self._mark("number_not_allowed"),
        )

    def decode(self, raw: bytes) -> Any:
        """The value of `raw`. Raises `JsonError` with code, pointer and position, never the content."""
        _check_nesting(raw)
        self._marked = False
        try:
            value = self._decoder.decode(raw.decode())
        except UnicodeDecodeError as error:
            raise JsonError("encoding_not_utf8", column=error.start + 1) from error
        except json.JSONDecodeError as error:
            raise JsonError("invalid_json", column=error.pos + 1) from error
        if self._marked or _ESCAPED_SURROGATE.search(raw):
            _raise_first_fault(value)
        return value

    def _mark(self, code: str, name: str = "") -> _Marker:
        self._marked = True
        return _Marker(code, name)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Marker:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        return self._mark("duplicate_key", _first_repeated(name for name, _ in pairs))

    def _float(self, digits: str) -> float | _Marker:
        number = float(digits)
        return number if math.isfinite(number) else self._mark("number_not_allowed")

    def _int(self, digits: str) -> int | _Marker:
        return int(digits) if len(digits) <= _MAX_DIGITS else self._mark("number_not_allowed")


def step_into(pointer: str, name: str | int) -> str:
    """`pointer` one level deeper (RFC 6901). A name that is no plain field name isn't repeated."""
    shown = isinstance(name, int) or _PLAIN_NAME.fullmatch(name)
    return f"{pointer}/{name}" if shown else pointer


def _first_repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("called for a repeated name")


def _check_nesting(raw: bytes) -> None:
    """Raise `JsonError` before the decoder would recurse too deep."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    scanner = ValueScanner()
    scanner.scan(raw.lstrip())
    scanner.check_depth()


def _raise_first_fault(value: Any, pointer: str = "") -> None:
    if isinstance(value, _Marker):
        raise JsonError(value.code, step_into(pointer, value.name))
    if isinstance(value, str) and (surrogate := _SURROGATE.search(value)):
        raise JsonError("invalid_format", pointer, position=surrogate.start() + 1)
    if isinstance(value, dict):
        for name, member in value.items():
            _raise_first_fault(name, pointer)
            _raise_first_fault(member, step_into(pointer, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _raise_first_fault(member, step_into(pointer, index))
