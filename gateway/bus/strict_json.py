"""JSON as RFC 8259 wants it, of at most a megabyte or so: what Python's parser lets pass is a fault here."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from gateway.errors import Refused
from schemas.violation import Violation

MAX_DEPTH: Final = 32
#: I-JSON's exact integers have 16 digits.
_MAX_DIGITS: Final = 19
# A name that a sender made up is shown back only when it reads like a field's name: it might hold a value.
_PLAIN_NAME: Final = re.compile(r"(?=.{1,40}\Z)[A-Za-z_-]+[0-9]{0,2}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parse(raw: bytes) -> Any:
    """The value. Raises `Refused` with a code and a position, never the content."""
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise refusal("encoding_not_utf8", column=error.start + 1) from error
    except json.JSONDecodeError as error:
        raise refusal("invalid_json", column=error.pos + 1) from error
    except RecursionError as error:
        raise refusal("nesting_too_deep", limit=MAX_DEPTH) from error
    _check(value, "", 0)
    return value


def refusal(code: str, pointer: str = "", **params: str | int) -> Refused:
    """A refusal for one place."""
    return Refused(code, violations=(Violation(code, pointer, params),))


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise refusal("duplicate_key")
    return fields


def _no_number(_name: str) -> NoReturn:
    raise refusal("number_not_allowed")


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_DIGITS else _no_number(digits)


def _fraction(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_once_each, parse_int=_integer, parse_float=_fraction, parse_constant=_no_number
)


def _check(value: Any, pointer: str, depth: int) -> None:
    """Depth, and lone surrogates: they are valid escapes, and no text that can be stored."""
    if depth > MAX_DEPTH:
        raise refusal("nesting_too_deep", limit=MAX_DEPTH)
    if isinstance(value, str) and (found := _SURROGATE.search(value)):
        raise refusal("invalid_format", pointer, position=found.start() + 1)
    if isinstance(value, dict):
        for name, member in value.items():
            _check(name, pointer, depth)
            _check(member, _into(pointer, name), depth + 1)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _check(member, f"{pointer}/{index}", depth + 1)


def _into(pointer: str, name: str) -> str:
    return f"{pointer}/{name}" if _PLAIN_NAME.fullmatch(name) else pointer
