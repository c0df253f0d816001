"""How partners stand, for operators; pausing one and letting it go on."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from gateway.pipeline import partners
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.admin_answers import as_json
from gateway.web.admin_bodies import AdminBody, Because, Reason
from gateway.web.caller import operator
from gateway.web.json_body import read


class Paused(AdminBody):
    """Why nothing is sent there, and for how many seconds: until somebody resumes unless given."""

    reason: Reason
    for_s: Annotated[int, Field(ge=1, le=90 * 86_400)] | None = None


class OperatorPartners:
    """The handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/v1/admin/partners", self.partners, allow_head=False),
            web.route("POST", "/v1/admin/partners/{name}/pause", self.pause),
            web.route("POST", "/v1/admin/partners/{name}/resume", self.resume),
        ]

    async def partners(self, request: web.Request) -> web.Response:
        query.parameters(request)
        return as_json(await partners.list_partners(self._engine))

    async def pause(self, request: web.Request) -> web.Response:
        """What is under way ends as it does; nothing more is sent."""
        who = operator(request)
        query.parameters(request)
        wanted = await read(request, Paused)
        name = request.match_info["name"]
        return as_json(await partners.pause(name, who, wanted.reason, wanted.for_s, self._engine))

    async def resume(self, request: web.Request) -> web.Response:
        who = operator(request)
        query.parameters(request)
        because = await read(request, Because)
        name = request.match_info["name"]
        return as_json(await partners.resume(name, who, because.reason, self._engine))
