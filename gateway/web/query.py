"""Query parameters and path ids: known ones only, each once, each checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from aiohttp import web

from gateway.errors import Refused

_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_WORD: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_FLAGS: Final = {"true": True, "false": False}

E = TypeVar("E", bound=StrEnum)


def parameters(request: web.Request, *known: str) -> Mapping[str, str]:
    """The query's parameters. Raises `Refused` for one that is unknown or given twice."""
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known or name in given:
            raise Refused("invalid_parameter", status=400)
        given[name] = value
    return given


def path_id(request: web.Request) -> str:
    """The `{id}` of the path. What can't be an id of ours is not found."""
    value = request.match_info["id"]
    if not _ID.fullmatch(value):
        raise Refused("not_found", status=404)
    return value


def word(given: Mapping[str, str], name: str) -> str | None:
    """An id or a name; absent is None."""
    value = given.get(name)
    if value is not None and not _WORD.fullmatch(value):
        raise Refused("invalid_parameter", status=400)
    return value


def flag(given: Mapping[str, str], name: str) -> bool:
    """`true` or `false`; absent is false."""
    value = given.get(name, "false")
    if value not in _FLAGS:
        raise Refused("invalid_parameter", status=400)
    return _FLAGS[value]


def number(given: Mapping[str, str], name: str, absent: int, *, most: int) -> int:
    """A whole number from 1 to `most`."""
    value = given.get(name, str(absent))
    if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= most:
        raise Refused("invalid_parameter", status=400)
    return int(value)


def choice(given: Mapping[str, str], name: str, kind: type[E]) -> E | None:
    """A member of `kind`; absent is None."""
    value = given.get(name)
    if value is None:
        return None
    if value not in set(kind):
        raise Refused("invalid_parameter", status=400)
    return kind(value)
