"""What machines ask of the admin listener: metrics and health. No credential is needed for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.errors import Unavailable
from gateway.observe.exposition import LedgerCollector, LedgerNumbers, counted, expose
from gateway.observe.health import readiness
from gateway.observe.processes import ProcessesCollector
from gateway.observe.stock import Stock, StockCollector
from gateway.pipeline.engine import Engine
from gateway.pipeline.stock import stock_of
from gateway.web.admin_answers import as_json


class Machines:
    """`/metrics`, `/livez` and `/readyz`."""

    def __init__(
        self,
        engine: Engine,
        intake_open: Callable[[], bool],
        details: Callable[[], Mapping[str, str]],
        exports: Callable[[], bool],
    ) -> None:
        """`details` tells how other things are that `/readyz` shows, such as the broker.

        `exports`: whether the ledger's gauges are ours to export. Of several processes one does.
        """
        self._engine = engine
        self._exports = exports
        self._intake_open = intake_open
        self._details = details
        #: What is read anew for each scrape.
        self._read = CollectorRegistry()
        self._collector = LedgerCollector(self._read)
        self._stock = StockCollector(self._read)
        ProcessesCollector(self._read)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("GET", "/metrics", self.metrics, allow_head=False),
            web.route("GET", "/livez", self.livez, allow_head=False),
            web.route("GET", "/readyz", self.readyz, allow_head=False),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        exports = self._exports()
        self._collector.numbers = await _numbers(self._engine) if exports else None
        self._stock.stock = await _stock(self._engine) if exports else None
        registries = (counted(self._engine.metrics.registry), self._read)
        body, content_type = expose(registries, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def livez(self, _request: web.Request) -> web.Response:
        return as_json({"status": "alive"})

    async def readyz(self, _request: web.Request) -> web.Response:
        pressure = self._engine.pressure
        found = await readiness(
            self._writable,
            intake_open=self._intake_open() and not self._engine.under_pressure,
            details={**self._details(), **(pressure.details() if pressure is not None else {})},
        )
        return as_json(found.document(), status=200 if found.ready else 503)

    async def _writable(self) -> bool:
        """What was found last where somebody looks all the time; else it is found out now."""
        pressure = self._engine.pressure
        return await self._engine.ledger.ready() if pressure is None else pressure.writable


async def _numbers(engine: Engine) -> LedgerNumbers | None:
    ledger = engine.ledger
    try:
        gauges, uncertain, head = await ledger.gauges(), await ledger.uncertain(), await ledger.audit_head()
        known = await ledger.partners(now=engine.now())
    except Unavailable:
        return None
    partners = [one for one in known if one.name in engine.settings.destinations]
    circuits = {one.name: one.circuit.state.value for one in partners}
    now = engine.now()
    paused = {one.name: one.pause is not None and one.pause.in_force(now) for one in partners}
    open_calls = dict.fromkeys(engine.settings.destinations, 0)
    for step, count in uncertain.items():
        if step in engine.operations:
            open_calls[engine.operations[step].destination] += count
    return LedgerNumbers(
        waiting=[(g.kind, g.state.value, g.count, g.oldest_received_at / 1_000_000) for g in gauges],
        uncertain=open_calls,
        audit_head=head,
        circuits={**dict.fromkeys(engine.settings.destinations, "closed"), **circuits},
        paused={**dict.fromkeys(engine.settings.destinations, False), **paused},
    )


async def _stock(engine: Engine) -> Stock | None:
    try:
        return await stock_of(engine)
    except Unavailable:
        return None
