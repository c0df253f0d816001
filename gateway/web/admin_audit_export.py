"""The whole audit log for auditors, as a file that is verified without us."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.pipeline.audit_export import export
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.caller import operator
from gateway.web.streaming import stream

#: Lines of UTF-8, not one JSON document (docs/audit-log.md).
MEDIA_TYPE: Final = "text/plain"


class AuditExport:
    """The handler."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [web.route("GET", "/v1/admin/audit/export", self.export, allow_head=False)]

    async def export(self, request: web.Request) -> web.StreamResponse:
        name = operator(request)
        query.parameters(request)
        return await stream(request, MEDIA_TYPE, export(name, self._engine))
