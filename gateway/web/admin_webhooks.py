"""How webhooks stand, and telling a party again."""

from __future__ import annotations

from aiohttp import web

from gateway.message import PartyId
from gateway.pipeline import webhook_positions
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.admin_answers import as_json
from gateway.web.admin_bodies import Replay
from gateway.web.caller import operator
from gateway.web.json_body import read


class OperatorWebhooks:
    """The operators' side of notifications."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/v1/admin/webhooks", self.webhooks, allow_head=False),
            web.route("POST", "/v1/admin/webhooks/{party}/replay", self.replay),
        ]

    async def webhooks(self, request: web.Request) -> web.Response:
        query.parameters(request)
        return as_json(await webhook_positions.list_webhooks(self._engine))

    async def replay(self, request: web.Request) -> web.Response:
        name = operator(request)
        query.parameters(request)
        asked = await read(request, Replay)
        party = PartyId(request.match_info["party"])
        return as_json(
            await webhook_positions.replay(party, asked.from_cursor, name, asked.reason, self._engine)
        )
