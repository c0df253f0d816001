"""What one does to a stuck message at 3 a.m.: find it, see what it waits for, free it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from gateway.errors import Refused
from gateway.ledger.port import MessageFilter
from gateway.message import MessageId, Micros, PartyId
from gateway.pipeline import operate, views
from gateway.pipeline.engine import Engine
from gateway.states import State
from gateway.web import query
from gateway.web.admin_answers import as_json
from gateway.web.admin_bodies import Because, Bulk, Decision
from gateway.web.caller import operator
from gateway.web.json_body import read
from schemas.violation import Violation

_DEFAULT_PAGE: Final = 100
_MOST: Final = 1_000
#: So that one call ends in seconds. The answer says when there is more.
_MOST_IN_BULK: Final = 10_000

Action = Callable[[MessageId, str, str, Engine], Awaitable[dict[str, Any]]]


class OperatorMessages:
    """Views and actions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/v1/admin/messages", self.messages, allow_head=False),
            web.route("GET", "/v1/admin/messages/{id}", self.show, allow_head=False),
            web.route("GET", "/v1/admin/messages/{id}/why", self.why, allow_head=False),
            web.route("POST", "/v1/admin/messages/{id}/retry", self.retry),
            web.route("POST", "/v1/admin/messages/{id}/cancel", self.cancel),
            web.route("POST", "/v1/admin/messages/{id}/resolve", self.resolve),
            web.route("POST", "/v1/admin/messages/{id}/resolve/confirm", self.confirm),
            web.route("POST", "/v1/admin/retry", self.retry_all),
            web.route("POST", "/v1/admin/cancel", self.cancel_all),
        ]

    # views

    async def messages(self, request: web.Request) -> web.Response:
        given = query.parameters(
            request, "state", "kind", "party", "batch_id", "older_than_s", "after", "limit"
        )
        older_than_s = query.number(given, "older_than_s", 1, most=10**9) if "older_than_s" in given else None
        wanted = _filter(
            state=query.word(given, "state"),
            kind=query.word(given, "kind"),
            party=query.word(given, "party"),
            batch_id=query.word(given, "batch_id"),
            older_than_s=older_than_s,
            engine=self._engine,
        )
        limit = query.number(given, "limit", _DEFAULT_PAGE, most=_MOST)
        after = query.word(given, "after") or ""
        return as_json(await views.list_messages(wanted, after, limit, self._engine))

    async def show(self, request: web.Request) -> web.Response:
        _, message_id = self._asked(request)
        return as_json(await views.show(message_id, self._engine))

    async def why(self, request: web.Request) -> web.Response:
        _, message_id = self._asked(request)
        return as_json(await views.why(message_id, self._engine))

    # actions

    async def retry(self, request: web.Request) -> web.Response:
        name, message_id = self._asked(request)
        because = await read(request, Because)
        return as_json(await operate.retry(message_id, name, because.reason, self._engine))

    async def cancel(self, request: web.Request) -> web.Response:
        name, message_id = self._asked(request)
        because = await read(request, Because)
        return as_json(await operate.cancel(message_id, name, because.reason, self._engine))

    async def resolve(self, request: web.Request) -> web.Response:
        name, message_id = self._asked(request)
        put = await read(request, Decision)
        if put.visa_number is not None and put.decision != "issued":
            raise Refused("invalid_visa_number", status=400)
        shown = await operate.propose_resolution(
            message_id,
            name,
            decision=put.decision,
            visa_number=put.visa_number,
            reason=put.reason,
            engine=self._engine,
        )
        return as_json(shown)

    async def confirm(self, request: web.Request) -> web.Response:
        name, message_id = self._asked(request)
        return as_json(await operate.confirm_resolution(message_id, name, self._engine))

    def _asked(self, request: web.Request) -> tuple[str, MessageId]:
        """The operator, and the message in the path."""
        name = operator(request)
        query.parameters(request)
        return name, MessageId(query.path_id(request))

    # in bulk

    async def retry_all(self, request: web.Request) -> web.Response:
        return await self._bulk(request, operate.retry)

    async def cancel_all(self, request: web.Request) -> web.Response:
        return await self._bulk(request, operate.cancel)

    async def _bulk(self, request: web.Request, action: Action) -> web.Response:
        """One by one, each its own transaction; a message that can't be is named, and the next goes on."""
        name = operator(request)
        query.parameters(request)
        bulk = await read(request, Bulk)
        if not bulk.filter.model_dump(exclude_none=True):
            raise Refused("filter_missing", status=422)
        wanted = _filter(**bulk.filter.model_dump(), engine=self._engine)
        ids = [message_id async for message_id in _matching(wanted, self._engine)]
        document = {"matched": len(ids), "dry_run": bulk.dry_run, "more": len(ids) == _MOST_IN_BULK}
        if bulk.dry_run:
            return as_json({**document, "sample": ids[:10]})
        failed = [await _attempt(action, message_id, name, bulk.reason, self._engine) for message_id in ids]
        left = [entry for entry in failed if entry is not None]
        return as_json({**document, "done": len(ids) - len(left), "failed": left})


async def _attempt(
    action: Action, message_id: MessageId, name: str, reason: str, engine: Engine
) -> dict[str, str] | None:
    try:
        await action(message_id, name, reason, engine)
    except Refused as refused:
        return {"id": message_id, "code": refused.code}
    return None


async def _matching(wanted: MessageFilter, engine: Engine) -> AsyncIterator[MessageId]:
    """The ids first, all of them: an action may move a message into or out of the filter."""
    after, found = "", 0
    while found < _MOST_IN_BULK:
        page = await views.list_messages(wanted, after, min(_MOST, _MOST_IN_BULK - found), engine)
        for message in page["messages"]:
            found += 1
            yield MessageId(message["id"])
        if page["next"] is None:
            return
        after = page["next"]


def _filter(
    *,
    state: str | None,
    kind: str | None,
    party: str | None,
    batch_id: str | None,
    older_than_s: int | None,
    engine: Engine,
) -> MessageFilter:
    if state is not None and state not in set(State):
        raise Refused("request_invalid", violations=(Violation("invalid_parameter", "/state"),), status=400)
    since = None if older_than_s is None else Micros(engine.clock.now_us() - older_than_s * 1_000_000)
    return MessageFilter(
        state=State(state) if state is not None else None,
        kind=kind,
        party=PartyId(party) if party is not None else None,
        batch_id=batch_id,  # type: ignore[arg-type]
        older_than=since,
    )
