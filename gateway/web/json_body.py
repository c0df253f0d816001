"""Small JSON bodies, such as an operator's reason: strict, bounded, checked against a model."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel

from gateway.errors import Refused
from gateway.web.body import BodyLimits, check_headers, decoded
from schemas.structure import examine

_LIMITS: Final = BodyLimits(max_bytes=65_536, silence_s=5.0, total_s=10.0)

Record = TypeVar("Record", bound=BaseModel)


async def read(request: web.Request, model: type[Record]) -> Record:
    """The body as `model` has it. Raises `Refused` with every fault."""
    if request.content_type != "application/json":
        raise Refused("unsupported_media_type", status=415)
    check_headers(request, _LIMITS)
    record, faults = examine(model, _parse(b"".join([piece async for piece in decoded(request, _LIMITS)])))
    if record is None:
        raise Refused("request_invalid", violations=tuple(faults.values()), status=422)
    return record


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data.decode(), object_pairs_hook=_once_each, parse_constant=_no_number)
    # A decoding error is a ValueError too.
    except (ValueError, RecursionError) as error:
        raise Refused("invalid_json", status=400) from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Refused("duplicate_key", status=400)
    return fields


def _no_number(_name: str) -> NoReturn:
    raise Refused("number_not_allowed", status=400)
