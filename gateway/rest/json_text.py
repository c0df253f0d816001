"""JSON as RFC 7493 (I-JSON) wants it: what parsers let pass is refused. The caller caps the size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from gateway.errors import Refused

#: No message of ours comes near.
MAX_DEPTH: Final = 16
_MAX_DIGITS: Final = 100


def read(data: bytes) -> Any:
    """The value. Raises `Refused` with a code, and with nothing of the content.

    `encoding_not_utf8` (a lone surrogate too), `invalid_json` (a byte-order mark too), `duplicate_key`,
    `number_not_allowed` (NaN, infinite, or of absurd length), `nesting_too_deep`.
    """
    try:
        value = _DECODER.decode(data.decode())
    except UnicodeDecodeError:
        raise Refused("encoding_not_utf8") from None
    except RecursionError:
        raise Refused("nesting_too_deep") from None
    except json.JSONDecodeError:
        # The library's error holds the whole text.
        raise Refused("invalid_json") from None
    for text in _texts(value, 0):
        _check_text(text)
    return value


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Every text in it, names of members too. No deeper than `MAX_DEPTH`."""
    if depth > MAX_DEPTH:
        raise Refused("nesting_too_deep")
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for member in value.values():
            yield from _texts(member, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("encoding_not_utf8") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Refused("duplicate_key")
    return members


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise Refused("number_not_allowed")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Refused("number_not_allowed")
    return number


def _no_number(_: str) -> NoReturn:
    raise Refused("number_not_allowed")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_once_each, parse_int=_integer, parse_float=_number, parse_constant=_no_number
)
