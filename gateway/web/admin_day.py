"""The date of a demonstration, set by an operator."""

from __future__ import annotations

from datetime import date

from aiohttp import web

from gateway.clock import SteppedClock
from gateway.errors import Refused
from gateway.pipeline.day import new_day
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.admin_answers import as_json
from gateway.web.admin_bodies import BusinessDate
from gateway.web.json_body import read
from schemas.violation import Violation


class BusinessDay:
    """There only where the clock is one that steps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [web.route("PUT", "/v1/admin/business-date", self.business_date)]

    async def business_date(self, request: web.Request) -> web.Response:
        """Where the date is set: go on to another one. The answer comes when the day's work is done."""
        query.parameters(request)
        clock = self._engine.clock
        if not isinstance(clock, SteppedClock):
            raise Refused("not_found", status=404)
        clock.step_to(_day((await read(request, BusinessDate)).date))
        done = await new_day(self._engine)
        return as_json({"date": done.today.isoformat(), "done": done.counts})


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        violation = Violation("invalid_date", "/date")
        raise Refused("request_invalid", violations=(violation,), status=422) from error
