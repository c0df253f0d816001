"""Keys and retention, for administrators: rotate, list, hold, shred what is due."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.errors import Refused
from gateway.message import MessageId
from gateway.pipeline import rotate, shred
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.admin_answers import as_json
from gateway.web.admin_bodies import AdminBody, Because, Passport, Reason, Word
from gateway.web.caller import operator
from gateway.web.json_body import read

_LONGEST_ID: Final = 18


class WantedHold(AdminBody):
    """What may not be shredded: exactly one of these."""

    everything: bool = False
    bucket: Word | None = None
    message_id: Word | None = None
    passport: Passport | None = None
    reason: Reason


class OperatorKeys:
    """The handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/v1/admin/keys", self.keys, allow_head=False),
            web.route("POST", "/v1/admin/keys/rotate", self.rotate),
            web.route("GET", "/v1/admin/keys/rotation", self.rotation, allow_head=False),
            web.route("GET", "/v1/admin/retention", self.retention, allow_head=False),
            web.route("POST", "/v1/admin/retention/run", self.run),
            web.route("POST", "/v1/admin/retention/holds", self.hold),
            web.route("POST", "/v1/admin/retention/holds/{id}/release", self.release),
        ]

    async def keys(self, request: web.Request) -> web.Response:
        """`count=true` also tells what each is used for, and reads everything for that."""
        given = query.parameters(request, "count")
        return as_json(await rotate.list_keys(self._engine, count=query.flag(given, "count")))

    async def rotate(self, request: web.Request) -> web.Response:
        """New keys from now on; the worker wraps everything anew in its own time."""
        name = operator(request)
        query.parameters(request)
        because = await read(request, Because)
        return as_json(await rotate.begin_rotation(name, because.reason, self._engine), status=202)

    async def rotation(self, request: web.Request) -> web.Response:
        query.parameters(request)
        return as_json(await rotate.progress(self._engine))

    async def retention(self, request: web.Request) -> web.Response:
        query.parameters(request)
        return as_json(await shred.overview(self._engine))

    async def run(self, request: web.Request) -> web.Response:
        """Begin what is due, without waiting for the next day."""
        name = operator(request)
        query.parameters(request)
        because = await read(request, Because)
        return as_json(await shred.run(name, because.reason, self._engine), status=202)

    async def hold(self, request: web.Request) -> web.Response:
        name = operator(request)
        query.parameters(request)
        wanted = await read(request, WantedHold)
        return as_json(await shred.place_hold(_held(wanted), name, wanted.reason, self._engine), status=201)

    async def release(self, request: web.Request) -> web.Response:
        name = operator(request)
        query.parameters(request)
        because = await read(request, Because)
        hold = query.path_id(request)
        if not (hold.isascii() and hold.isdigit() and len(hold) <= _LONGEST_ID):
            raise Refused("not_found", status=404)
        return as_json(await shred.release_hold(int(hold), name, because.reason, self._engine))


def _held(wanted: WantedHold) -> shred.Held:
    """Raises `Refused` (`hold_unclear`) unless one thing is named."""
    named = [wanted.everything or None, wanted.bucket, wanted.message_id, wanted.passport]
    if sum(one is not None for one in named) != 1:
        raise Refused("hold_unclear", status=422)
    if wanted.bucket is not None:
        return shred.Held("bucket", bucket=wanted.bucket)
    if wanted.message_id is not None:
        return shred.Held("message", message_id=MessageId(wanted.message_id))
    if wanted.passport is not None:
        number = wanted.passport.number.upper().replace("<", "")
        return shred.Held("person", passport=(number, wanted.passport.issuing_state.upper()))
    return shred.Held("all")
