"""The latest checkpoint of the audit log, for parties to keep: by it a log that was cut short is exposed."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from gateway.ledger.checkpoints import shown
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.caller import Door


def latest_checkpoint(engine: Engine) -> Mapping[str, str] | None:
    """As it is given with receipts; None while nothing was ever signed."""
    latest = None if engine.notary is None else engine.notary.latest
    return None if latest is None else shown(latest)


class Checkpoints:
    """The handler."""

    def __init__(self, engine: Engine, door: Door) -> None:
        self._engine = engine
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        return [web.route("GET", "/v1/checkpoint", self.checkpoint, allow_head=False)]

    async def checkpoint(self, request: web.Request) -> web.Response:
        """The same for every party: it says how far the log is, and nothing of what is in it."""
        self._door.party(request)
        query.parameters(request)
        return web.json_response({"checkpoint": latest_checkpoint(self._engine)})
