"""`PUT /v1/photos/{sha256}`: a photo once; lines of batches refer to it by its digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from aiohttp import web

from gateway.errors import Refused, Unavailable
from gateway.message import PartyId
from gateway.pipeline.engine import Engine
from gateway.pipeline.photos import keep_photo
from gateway.web import query
from gateway.web.body import BodyLimits, check_headers, decoded
from gateway.web.caller import Door, idempotency_key
from gateway.web.middleware import expect_later
from gateway.web.places import Places
from schemas.application import MAX_PHOTO_BYTES
from schemas.jpeg import is_jpeg
from schemas.violation import Violation

MEDIA_TYPE: Final = "image/jpeg"
#: Photos being received at the same time: each is whole in memory.
_AT_ONCE: Final = 64
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Photos:
    """The handler, and how many photos are being received right now."""

    def __init__(self, engine: Engine, door: Door, intake_open: Callable[[], bool]) -> None:
        self._engine = engine
        self._door = door
        self._intake_open = intake_open
        self._receiving = Places()

    def routes(self) -> list[web.RouteDef]:
        """The one call."""
        return [web.route("PUT", "/v1/photos/{sha256}", self.put, expect_handler=expect_later)]

    async def put(self, request: web.Request) -> web.Response:
        """Who, then what the headers say, then the body, then whether it is what its address says."""
        credential = self._door.center(request)
        query.parameters(request)
        sha256 = _sha256(request)
        key = idempotency_key(request, required=False)
        if request.content_type != MEDIA_TYPE:
            raise Refused("unsupported_media_type", status=415)
        limits = self._limits()
        with self._place(credential.party_id), _named_as_photo():
            check_headers(request, limits)
            await self._door.use(credential, request, key)
            jpeg = b"".join([piece async for piece in decoded(request, limits)])
            _check(jpeg, sha256)
            new = await keep_photo(credential.party_id, sha256, jpeg, self._engine)
        return _answer(sha256, len(jpeg), status=201 if new else 200)

    def _limits(self) -> BodyLimits:
        intake = self._engine.settings.gateway.intake
        return BodyLimits(MAX_PHOTO_BYTES, intake.header_timeout_s, intake.body_timeout_s)

    def _place(self, party: PartyId) -> AbstractContextManager[None]:
        """A place for a photo being received. Raises `Unavailable`, and `RateLimited` once it is entered."""
        if not self._intake_open():
            raise Unavailable("intake_closed")
        self._engine.refuse_under_pressure()
        return self._receiving.one(party, _AT_ONCE)


def _sha256(request: web.Request) -> str:
    """The digest of the path, written the one way in which lines write it."""
    value = request.match_info["sha256"]
    if not _SHA256.fullmatch(value):
        raise Refused("invalid_parameter", status=400)
    return value


@contextmanager
def _named_as_photo() -> Iterator[None]:
    """A body over the limit is a photo here, not a batch."""
    try:
        yield
    except Refused as error:
        if error.code != "batch_too_large":
            raise
        raise _refused("photo_too_large", {"limit": MAX_PHOTO_BYTES}, status=413) from error


def _check(jpeg: bytes, sha256: str) -> None:
    """Raises `Refused`."""
    if not is_jpeg(jpeg):
        raise _refused("photo_not_jpeg")
    if hashlib.sha256(jpeg).hexdigest() != sha256:
        raise _refused("photo_digest_mismatch")


def _refused(code: str, params: dict[str, str | int] | None = None, *, status: int = 422) -> Refused:
    return Refused(code, violations=(Violation(code, "", params or {}),), status=status)


def _answer(sha256: str, size_bytes: int, *, status: int) -> web.Response:
    body = json.dumps({"sha256": sha256, "size_bytes": size_bytes}).encode()
    return web.Response(status=status, body=body, content_type="application/json")
