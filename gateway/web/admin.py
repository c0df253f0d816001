"""The operators' listener: metrics, health, and everything one does to a stuck message at 3 a.m.

`/metrics`, `/livez` and `/readyz` are open to whoever reaches this listener; `/v1/admin/` needs an operator's
token, and whatever changes something needs a reason, which goes into the audit log.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import date
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.clock import SteppedClock, micros
from gateway.errors import Refused, Unavailable
from gateway.ledger.port import MessageFilter
from gateway.message import MessageId, Micros, PartyId
from gateway.observe.exposition import LedgerCollector, LedgerNumbers, expose
from gateway.observe.health import readiness
from gateway.pipeline import operate, webhook_positions
from gateway.pipeline.day import new_day
from gateway.pipeline.engine import Engine
from gateway.states import State
from gateway.web import query
from gateway.web.caller import operator
from gateway.web.json_body import read
from gateway.web.operators import OperatorTokens
from schemas.application import Date
from schemas.shapes import Shape
from schemas.violation import Violation

_DEFAULT_PAGE: Final = 100
_MOST: Final = 1_000
#: So that one call ends in seconds. The answer says when there is more.
_MOST_IN_BULK: Final = 10_000
_PRINTABLE: Final = r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"

Reason = Annotated[str, Shape(_PRINTABLE + "{1,200}")]
Word = Annotated[str, Shape("[A-Za-z0-9._-]{1,64}")]
Action = Callable[[MessageId, str, str, Engine], Awaitable[dict[str, Any]]]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Because(_Body):
    """Why something is done. Never a name or a passport number: it is kept in the audit log."""

    reason: Reason


class Decision(_Body):
    """How a review ends."""

    decision: Word
    visa_number: Word | None = None
    reason: Reason


class Wanted(_Body):
    """Which messages are meant. All given conditions hold together."""

    state: Word | None = None
    kind: Word | None = None
    party: Word | None = None
    batch_id: Word | None = None
    #: Not updated for so many seconds.
    older_than_s: Annotated[int, Field(ge=0, le=10**9)] | None = None


class Bulk(_Body):
    """One action on every message that fits."""

    filter: Wanted
    reason: Reason
    dry_run: bool = False


class Replay(_Body):
    """From which notification on a party is told again."""

    from_cursor: Annotated[str, Shape("[0-9]{1,18}")]
    reason: Reason


class BusinessDate(_Body):
    """The business date that a demonstration goes on to."""

    date: Date


class Admin:
    """The handlers of the admin listener."""

    def __init__(
        self,
        engine: Engine,
        tokens: OperatorTokens,
        intake_open: Callable[[], bool],
        details: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`details` tells how other things are that `/readyz` shows, such as the broker."""
        self._engine = engine
        self._tokens = tokens
        self._intake_open = intake_open
        self._details = details
        self._collector = LedgerCollector(engine.metrics.registry)

    def close(self) -> None:
        """Take our gauges out of the registry, so that another host may be started on the same engine."""
        self._engine.metrics.registry.unregister(self._collector)

    def routes(self) -> list[web.RouteDef]:
        """Everything on the admin listener."""
        return [
            web.route("GET", "/metrics", self.metrics, allow_head=False),
            web.route("GET", "/livez", self.livez, allow_head=False),
            web.route("GET", "/readyz", self.readyz, allow_head=False),
            web.route("GET", "/v1/admin/messages", self.messages, allow_head=False),
            web.route("GET", "/v1/admin/messages/{id}", self.show, allow_head=False),
            web.route("GET", "/v1/admin/messages/{id}/why", self.why, allow_head=False),
            web.route("POST", "/v1/admin/messages/{id}/retry", self.retry),
            web.route("POST", "/v1/admin/messages/{id}/cancel", self.cancel),
            web.route("POST", "/v1/admin/messages/{id}/resolve", self.resolve),
            web.route("POST", "/v1/admin/messages/{id}/resolve/confirm", self.confirm),
            web.route("POST", "/v1/admin/retry", self.retry_all),
            web.route("POST", "/v1/admin/cancel", self.cancel_all),
            web.route("GET", "/v1/admin/webhooks", self.webhooks, allow_head=False),
            web.route("POST", "/v1/admin/webhooks/{party}/replay", self.replay),
            web.route("PUT", "/v1/admin/business-date", self.business_date),
        ]

    # machines

    async def metrics(self, request: web.Request) -> web.Response:
        self._collector.numbers = await _numbers(self._engine)
        body, content_type = expose(self._engine.metrics.registry, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def livez(self, _request: web.Request) -> web.Response:
        return _json({"status": "alive"})

    async def readyz(self, _request: web.Request) -> web.Response:
        found = await readiness(
            self._engine.ledger.ready, intake_open=self._intake_open(), details=self._details()
        )
        return _json(found.document(), status=200 if found.ready else 503)

    # views

    async def messages(self, request: web.Request) -> web.Response:
        operator(request, self._tokens)
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
        return _json(await operate.list_messages(wanted, after, limit, self._engine))

    async def show(self, request: web.Request) -> web.Response:
        _, message_id = self._asked(request)
        return _json(await operate.show(message_id, self._engine))

    async def why(self, request: web.Request) -> web.Response:
        _, message_id = self._asked(request)
        return _json(await operate.why(message_id, self._engine))

    # actions

    async def retry(self, request: web.Request) -> web.Response:
        name, message_id = self._asked(request)
        because = await read(request, Because)
        return _json(await operate.retry(message_id, name, because.reason, self._engine))

    async def cancel(self, request: web.Request) -> web.Response:
        name, message_id = self._asked(request)
        because = await read(request, Because)
        return _json(await operate.cancel(message_id, name, because.reason, self._engine))

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
        return _json(shown)

    async def confirm(self, request: web.Request) -> web.Response:
        name, message_id = self._asked(request)
        return _json(await operate.confirm_resolution(message_id, name, self._engine))

    def _asked(self, request: web.Request) -> tuple[str, MessageId]:
        """The operator, and the message in the path."""
        name = operator(request, self._tokens)
        query.parameters(request)
        return name, MessageId(query.path_id(request))

    # webhooks

    async def webhooks(self, request: web.Request) -> web.Response:
        operator(request, self._tokens)
        query.parameters(request)
        return _json(await webhook_positions.list_webhooks(self._engine))

    async def replay(self, request: web.Request) -> web.Response:
        name = operator(request, self._tokens)
        query.parameters(request)
        asked = await read(request, Replay)
        party = PartyId(request.match_info["party"])
        return _json(
            await webhook_positions.replay(party, asked.from_cursor, name, asked.reason, self._engine)
        )

    # demonstrations

    async def business_date(self, request: web.Request) -> web.Response:
        """Where the date is set: go on to another one. The answer comes when the day's work is done."""
        operator(request, self._tokens)
        query.parameters(request)
        clock = self._engine.clock
        if not isinstance(clock, SteppedClock):
            raise Refused("not_found", status=404)
        clock.step_to(_day((await read(request, BusinessDate)).date))
        done = await new_day(self._engine)
        return _json({"date": done.today.isoformat(), "done": done.counts})

    # in bulk

    async def retry_all(self, request: web.Request) -> web.Response:
        return await self._bulk(request, operate.retry)

    async def cancel_all(self, request: web.Request) -> web.Response:
        return await self._bulk(request, operate.cancel)

    async def _bulk(self, request: web.Request, action: Action) -> web.Response:
        """One by one, each its own transaction; a message that can't be is named, and the next goes on."""
        name = operator(request, self._tokens)
        query.parameters(request)
        bulk = await read(request, Bulk)
        if not bulk.filter.model_dump(exclude_none=True):
            raise Refused("filter_missing", status=422)
        wanted = _filter(**bulk.filter.model_dump(), engine=self._engine)
        ids = [message_id async for message_id in _matching(wanted, self._engine)]
        document = {"matched": len(ids), "dry_run": bulk.dry_run, "more": len(ids) == _MOST_IN_BULK}
        if bulk.dry_run:
            return _json({**document, "sample": ids[:10]})
        failed = [await _attempt(action, message_id, name, bulk.reason, self._engine) for message_id in ids]
        left = [entry for entry in failed if entry is not None]
        return _json({**document, "done": len(ids) - len(left), "failed": left})


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        violation = Violation("invalid_date", "/date")
        raise Refused("request_invalid", violations=(violation,), status=422) from error


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
        page = await operate.list_messages(wanted, after, min(_MOST, _MOST_IN_BULK - found), engine)
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
    since = None if older_than_s is None else Micros(micros(engine.clock.now()) - older_than_s * 1_000_000)
    return MessageFilter(
        state=State(state) if state is not None else None,
        kind=kind,
        party=PartyId(party) if party is not None else None,
        batch_id=batch_id,  # type: ignore[arg-type]
        older_than=since,
    )


async def _numbers(engine: Engine) -> LedgerNumbers | None:
    ledger = engine.ledger
    try:
        gauges, uncertain, head = await ledger.gauges(), await ledger.uncertain(), await ledger.audit_head()
    except Unavailable:
        return None
    open_calls = dict.fromkeys(engine.settings.destinations, 0)
    for step, count in uncertain.items():
        if step in engine.operations:
            open_calls[engine.operations[step].destination] += count
    return LedgerNumbers(
        waiting=[(g.kind, g.state.value, g.count, g.oldest_received_at / 1_000_000) for g in gauges],
        uncertain=open_calls,
        audit_head=head,
    )


def _json(document: Mapping[str, Any], *, status: int = 200) -> web.Response:
    body = json.dumps(document, ensure_ascii=False).encode()
    return web.Response(status=status, body=body, content_type="application/json")
