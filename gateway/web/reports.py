"""Reports for the ministry's departments, and for operators what has passed through."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from aiohttp import web

from gateway.errors import Refused
from gateway.message import PartyId
from gateway.pipeline import reports
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.caller import Door
from schemas.hijri import season

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: A row for each licensee, mission and day: one answer must stay a size that a screen or sheet can take.
MOST_DAYS: Final = 92


class Reports:
    """The departments' side."""

    def __init__(self, engine: Engine, door: Door) -> None:
        self._engine = engine
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/v1/reports/visa-flow", self.visa_flow, allow_head=False),
            web.route("GET", "/v1/reports/season", self.season, allow_head=False),
        ]

    async def visa_flow(self, request: web.Request) -> web.Response:
        party = self._subscriber(request, reports.VISA_FLOW)
        return self._granted(party, reports.VISA_FLOW, await visa_flow(request, self._engine))

    async def season(self, request: web.Request) -> web.Response:
        party = self._subscriber(request, reports.SEASON)
        return self._granted(party, reports.SEASON, await season_report(request, self._engine))

    def _subscriber(self, request: web.Request, kind: str) -> PartyId:
        """A party that is told of this report anyway. Raises `Unauthenticated`, and `Refused` (403)."""
        party = self._door.party(request).party_id
        if not self._engine.need_to_know.receives(party, kind):
            raise Refused("forbidden", status=403)
        return party

    def _granted(self, party: PartyId, kind: str, body: Mapping[str, Any]) -> web.Response:
        """As much of the report as would be published to the party."""
        return web.json_response(self._engine.need_to_know.event(party, "", kind, body))


class OperatorReports:
    """The operators' side."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/v1/admin/census", self.census, allow_head=False),
            web.route("GET", "/v1/admin/quotas", self.quotas, allow_head=False),
            web.route("GET", "/v1/admin/reports/visa-flow", self.visa_flow, allow_head=False),
            web.route("GET", "/v1/admin/reports/season", self.season, allow_head=False),
        ]

    async def census(self, request: web.Request) -> web.Response:
        """Everything that passed through, by sort, each with a message as an example."""
        query.parameters(request)
        found = await self._engine.ledger.census()
        sorts = [
            {"what": t.what, "name": t.name, "detail": t.detail, "count": t.count, "example": t.example}
            for t in found
        ]
        return web.json_response({"census": sorts})

    async def quotas(self, request: web.Request) -> web.Response:
        """Every ceiling, with what is taken."""
        query.parameters(request)
        found = await self._engine.ledger.quotas()
        quotas = [
            {"control": q.quota.control, "scope": q.quota.scope, "ceiling": q.ceiling, "taken": q.taken}
            for q in found
        ]
        return web.json_response({"quotas": quotas})

    async def visa_flow(self, request: web.Request) -> web.Response:
        return web.json_response(await visa_flow(request, self._engine))

    async def season(self, request: web.Request) -> web.Response:
        return web.json_response(await season_report(request, self._engine))


async def visa_flow(request: web.Request, engine: Engine) -> dict[str, Any]:
    """`from` and `until` are business days, both included; today unless given."""
    given = query.parameters(request, "from", "until")
    today = engine.clock.today()
    until = _day(given, "until", today)
    since = _day(given, "from", until)
    if not timedelta(0) <= until - since <= timedelta(days=MOST_DAYS - 1):
        raise Refused("invalid_parameter", status=400)
    return await reports.visa_flow(since, until, engine)


async def season_report(request: web.Request, engine: Engine) -> dict[str, Any]:
    """`season` is a Hijri year; that of today unless given."""
    given = query.parameters(request, "season")
    year = query.number(given, "season", season(engine.clock.today()), most=1500)
    return await reports.season_report(year, engine)


def _day(given: Mapping[str, str], name: str, absent: date) -> date:
    text = given.get(name)
    if text is None:
        return absent
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("invalid_parameter", status=400) from None
