"""The composition root: the one place where the parts of a gateway are put together.

Nothing is opened before `Gateway.start`; everything is given back by `Gateway.stop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from adapters import foreign_affairs, interior
from adapters.service_centers import READERS, WRITERS
from cli.reference import records
from gateway.clock import SystemClock
from gateway.errors import Misconfigured
from gateway.http import HttpClient
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.ledger.vault import open_vault
from gateway.message import Operation
from gateway.observe.log import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.engine import Engine
from gateway.pipeline.worker import Hints, Worker
from gateway.policies.confidentiality import NeedToKnow
from gateway.ports import Clock, Partner
from gateway.settings import Destination, Settings, check_operations
from gateway.soap import Endpoint, SoapPartner, SoapService, load_contract
from gateway.web.authentication import PartyKeys
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens, ensure_operator_tokens
from gateway.web.tokens import ensure_demo_keys

#: Everything that the gateway can ask of a partner, by name.
OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {operation.name: operation for operation in (*interior.OPERATIONS, *foreign_affairs.OPERATIONS)}
)
#: Each partner's contract, by destination.
SERVICES: Mapping[str, SoapService] = MappingProxyType({**interior.SERVICES, **foreign_affairs.SERVICES})

_SQLITE = "sqlite:///"


@dataclass(slots=True)
class Gateway:
    """A whole gateway in one process: web host, worker and ledger."""

    engine: Engine
    host: WebHost
    worker: Worker
    _carrying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the ledger, load the reference records, listen, carry."""
        engine = self.engine
        await engine.ledger.open()
        try:
            await engine.ledger.put_reference(records(engine.settings.reference))
            for partner in engine.partners.values():
                if isinstance(partner, SoapPartner):
                    await partner.start()
            await self.host.start()
        except BaseException:
            await engine.ledger.close()
            raise
        self._carrying = asyncio.create_task(self.worker.run())
        log.info("started", action="start", address=self.host.public_url)

    async def until(self, stopping: asyncio.Event) -> None:
        """Return when told to stop. Raises what ended the worker, should it end by itself."""
        if self._carrying is None:
            raise AssertionError("not started")
        told = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({told, self._carrying}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if self._carrying.done():
            self._carrying.result()

    async def stop(self) -> None:
        """Drain: take nothing more in, let what is carried come to rest, close everything."""
        log.info("draining", action="drain")
        await self.host.stop()
        self.worker.drain()
        if self._carrying is not None:
            await asyncio.wait({self._carrying})
        for partner in self.engine.partners.values():
            await partner.close()
        await self.engine.ledger.close()
        log.info("stopped", action="stop")


def build(settings: Settings, clock: Clock | None = None) -> Gateway:
    """A gateway of these settings, not yet started.

    Makes the data directory, its keys and tokens at the first start. Raises `Misconfigured`.
    """
    check_operations(settings, OPERATIONS)
    clock = clock or SystemClock()
    data = data_directory(settings)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    ensure_demo_keys(settings, data)
    ensure_operator_tokens(data)
    engine = Engine(
        settings=settings,
        ledger=SqliteLedger(database_file(settings), clock),
        vault=open_vault(data / "keys"),
        clock=clock,
        hints=Hints(),
        metrics=Metrics(CollectorRegistry()),
        need_to_know=NeedToKnow(settings.confidentiality),
        operations=OPERATIONS,
        partners=_partners(settings, clock),
    )
    keys = PartyKeys.load(settings, data)
    host = WebHost(engine, READERS, WRITERS, keys, OperatorTokens.load(data))
    return Gateway(engine, host, Worker(engine))


def _partners(settings: Settings, clock: Clock) -> dict[str, Partner]:
    return {
        name: _partner(SERVICES[name], destination, clock)
        for name, destination in settings.destinations.items()
        if name in SERVICES
    }


def _partner(service: SoapService, destination: Destination, clock: Clock) -> SoapPartner:
    endpoint = Endpoint(
        url=destination.url,
        deadline_s=destination.deadline_s,
        connect_timeout_s=destination.connect_timeout_s,
        concurrency=destination.concurrency,
    )
    return SoapPartner(load_contract(service), endpoint, HttpClient(clock, idle_s=destination.idle_s), clock)


def data_directory(settings: Settings) -> Path:
    """Where the ledger, keys and tokens are."""
    return Path(settings.gateway.data_directory)


def database_file(settings: Settings) -> Path:
    """The embedded ledger's file. Raises `Misconfigured` for a database that this version does not serve."""
    url = settings.gateway.database_url
    if not url.startswith(_SQLITE):
        raise Misconfigured(["gateway.yaml:1:1: database_url: only sqlite:/// is served by this version"])
    return Path(url.removeprefix(_SQLITE))
