"""Single messages in, and what is meant for a party out: centers, departments, the committee.

A message has two idempotency keys. That of its kind (`schemas.kinds`), such as id and version, is in its body
and always holds; one in the header `Idempotency-Key` may be given besides, and then stands for this message.
Under either, the same body gets the first answer again, and another one 409.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from aiohttp import web

from gateway.errors import Refused, Unavailable
from gateway.ledger.records import Taken
from gateway.message import MessageId, PartyId
from gateway.pipeline import notify, report
from gateway.pipeline.engine import Engine
from gateway.pipeline.take import Arrival, counting_refusals, may_send, take
from gateway.web import query
from gateway.web.authentication import Credential
from gateway.web.body import BodyLimits, check_headers, decoded
from gateway.web.caller import Door, idempotency_key
from gateway.web.formats import MessageReader
from gateway.web.middleware import expect_later
from gateway.web.places import Places
from schemas.violation import Violation

MAX_BYTES: Final = 1_048_576
#: Messages being received at the same time: each is whole in memory.
_AT_ONCE: Final = 64
#: How long one may be on its way, where the configuration does not allow less.
_BODY_S: Final = 30
#: A larger body is read in a thread of its own, so that others go on meanwhile.
_READ_ASIDE_BYTES: Final = 65_536
_DEFAULT_PAGE: Final = 100
#: How long a request for notifications may be kept waiting for the next one.
MAX_WAIT_S: Final = 30
_LOOK_EVERY_S: Final = 0.5
#: Requests that wait at the same time.
_MOST_WAITING: Final = 256


class Messages:
    """The handlers."""

    def __init__(
        self,
        engine: Engine,
        door: Door,
        readers: Mapping[str, MessageReader],
        intake_open: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._door = door
        self._readers = readers
        self._intake_open = intake_open
        self._receiving = Places()
        self._waiting = Places()

    def routes(self) -> list[web.RouteDef]:
        """Everything that any party can call."""
        return [
            web.route("POST", "/v1/messages/{kind}", self.submit, expect_handler=expect_later),
            web.route("GET", "/v1/messages/{id}", self.message, allow_head=False),
            web.route("GET", "/v1/notifications", self.notifications, allow_head=False),
            web.route("POST", "/v1/notifications/confirm", self.confirm),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        """202 once the message is durably recorded; 200 for one that was before.

        Who, then what path and headers say, then the body: nothing is read for a request that is refused.
        """
        credential = self._door.party(request)
        query.parameters(request)
        kind = request.match_info["kind"]
        with counting_refusals(credential.party_id, kind, self._engine):
            may_send(credential.party_id, kind, self._engine)
            key = idempotency_key(request, required=False)
            media = self._media_type(request)
            with self._place(credential.party_id):
                fields = await self._fields(request, credential, key, media)
        arrival = Arrival(credential.party_id, kind, fields, "http", key)
        return _taken(kind, await take(arrival, self._engine))

    def _media_type(self, request: web.Request) -> str:
        media = request.content_type
        if media not in self._readers:
            raise Refused("unsupported_media_type", status=415)
        if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
            raise Refused("encoding_not_utf8", status=415)
        return media

    def _place(self, party: PartyId) -> AbstractContextManager[None]:
        if not self._intake_open():
            raise Unavailable("intake_closed")
        self._engine.refuse_under_pressure()
        return self._receiving.one(party, _AT_ONCE)

    async def _fields(self, request: web.Request, credential: Credential, key: str | None, media: str) -> Any:
        intake = self._engine.settings.gateway.intake
        limits = BodyLimits(MAX_BYTES, intake.header_timeout_s, min(intake.body_timeout_s, _BODY_S))
        kind, read = request.match_info["kind"], self._readers[media]
        with _named_as_document():
            check_headers(request, limits)
            await self._door.use(credential, request, key)
            body = b"".join([piece async for piece in decoded(request, limits)])
        if len(body) <= _READ_ASIDE_BYTES:
            return read(body, kind)
        return await asyncio.to_thread(read, body, kind)

    async def message(self, request: web.Request) -> web.Response:
        """One message's state, as its sender may see it."""
        party = self._door.party(request).party_id
        query.parameters(request)
        return web.json_response(await report.message(party, MessageId(query.path_id(request)), self._engine))

    async def notifications(self, request: web.Request) -> web.Response:
        """A page; with `wait`, the answer comes once there is something, or when that time is over."""
        party = self._door.party(request).party_id
        given = query.parameters(request, "cursor", "limit", "wait")
        limit = query.number(given, "limit", _DEFAULT_PAGE, most=notify.MAX_LIMIT)
        wait_s = query.number(given, "wait", 1, most=MAX_WAIT_S) if "wait" in given else None
        cursor = given.get("cursor")
        page = await notify.notifications(party, self._engine, cursor=cursor, limit=limit)
        if wait_s is not None and not page["notifications"]:
            with self._waiting.one(party, _MOST_WAITING):
                await self._until_told(request, party, int(page["cursor"]), wait_s)
            page = await notify.notifications(party, self._engine, cursor=cursor, limit=limit)
        return web.json_response(page)

    async def _until_told(self, request: web.Request, party: PartyId, after: int, wait_s: float) -> None:
        """Until there is something, the time is over, the host stops, or nobody listens any more."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while self._intake_open() and _listens(request) and loop.time() < until:
            if await self._engine.ledger.events(party, after=after, limit=1):
                return
            await asyncio.sleep(min(_LOOK_EVERY_S, until - loop.time()))

    async def confirm(self, request: web.Request) -> web.Response:
        """Everything up to a cursor has arrived."""
        credential = self._door.party(request)
        given = query.parameters(request, "cursor")
        await self._door.use(credential, request, idempotency_key(request, required=False))
        if "cursor" not in given:
            raise Refused("invalid_cursor", status=400)
        return web.json_response(await notify.confirm(credential.party_id, given["cursor"], self._engine))


def _taken(kind: str, taken: Taken) -> web.Response:
    return web.json_response(
        {"message_id": taken.message_id, "kind": kind, "duplicate": taken.duplicate},
        status=200 if taken.duplicate else 202,
        headers={"Location": f"/v1/messages/{taken.message_id}"},
    )


def _listens(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


@contextmanager
def _named_as_document() -> Iterator[None]:
    """A body over the limit is no batch here."""
    try:
        yield
    except Refused as error:
        if error.code != "batch_too_large":
            raise
        limit = Violation("body_too_large", "", {"limit": MAX_BYTES})
        raise Refused("body_too_large", violations=(limit,), status=413) from error
