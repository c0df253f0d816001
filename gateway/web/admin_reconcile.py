"""A partner's own list of a day, compared with ours."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import AwareDatetime, Field, ValidationError

from gateway.errors import Refused
from gateway.pipeline.engine import Engine
from gateway.pipeline.reconcile import reconcile
from gateway.ports import Statement, StatementRow
from gateway.web import query
from gateway.web.admin_answers import as_json
from gateway.web.admin_bodies import AdminBody
from gateway.web.body import BodyLimits, check_headers, decoded
from gateway.web.caller import operator
from schemas.shapes import Shape

#: About half a million rows.
_LIMITS: Final = BodyLimits(max_bytes=128_000_000, silence_s=30.0, total_s=300.0)


class Listed(AdminBody):
    """One row."""

    request_reference: Annotated[str, Shape("[0-9A-Za-z/_.:-]{1,128}")]
    status: Literal["issued", "cancelled"]
    visa_number: Annotated[str, Shape("[0-9A-Za-z-]{1,32}")]
    passport_number: Annotated[str, Shape("[0-9A-Za-z<]{0,20}")] = ""
    issuing_state: Annotated[str, Shape("[A-Za-z]{0,3}")] = ""


class PartnersList(AdminBody):
    """What a partner says that it did on one day."""

    date: Annotated[date, Field(strict=False)]
    until: Annotated[AwareDatetime, Field(strict=False)]
    rows: list[Listed]


class Reconciling:
    """The handler."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [web.route("POST", "/v1/admin/reconcile/{destination}", self.reconcile)]

    async def reconcile(self, request: web.Request) -> web.Response:
        """Compare, and count the list towards the days that a restore has lost."""
        name = operator(request)
        query.parameters(request)
        if request.content_type != "application/json":
            raise Refused("unsupported_media_type", status=415)
        check_headers(request, _LIMITS)
        body = b"".join([piece async for piece in decoded(request, _LIMITS)])
        statement = await asyncio.to_thread(_read, body)
        return as_json(await reconcile(request.match_info["destination"], statement, name, self._engine))


def _read(body: bytes) -> Statement:
    try:
        given = PartnersList.model_validate_json(body)
    except ValidationError:  # its text may hold what was sent
        raise Refused("statement_unusable", status=422) from None
    until: datetime = given.until
    return Statement(given.date, until, tuple(StatementRow(**row.model_dump()) for row in given.rows))
