"""What machines ask of the admin listener: metrics and health. No credential is needed for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from gateway.errors import Unavailable
from gateway.observe.exposition import LedgerCollector, LedgerNumbers, expose
from gateway.observe.health import readiness
from gateway.pipeline.engine import Engine
from gateway.web.admin_answers import as_json


class Machines:
    """`/metrics`, `/livez` and `/readyz`."""

    def __init__(
        self, engine: Engine, intake_open: Callable[[], bool], details: Callable[[], Mapping[str, str]]
    ) -> None:
        """`details` tells how other things are that `/readyz` shows, such as the broker."""
        self._engine = engine
        self._intake_open = intake_open
        self._details = details
        self._collector = LedgerCollector(engine.metrics.registry)

    def close(self) -> None:
        """Take our gauges out of the registry, so that another host may be started on the same engine."""
        self._engine.metrics.registry.unregister(self._collector)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/metrics", self.metrics, allow_head=False),
            web.route("GET", "/livez", self.livez, allow_head=False),
            web.route("GET", "/readyz", self.readyz, allow_head=False),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        self._collector.numbers = await _numbers(self._engine)
        body, content_type = expose(self._engine.metrics.registry, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def livez(self, _request: web.Request) -> web.Response:
        return as_json({"status": "alive"})

    async def readyz(self, _request: web.Request) -> web.Response:
        found = await readiness(
            self._engine.ledger.ready, intake_open=self._intake_open(), details=self._details()
        )
        return as_json(found.document(), status=200 if found.ready else 503)


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
