"""The composition root: the one place where the parts of a gateway are put together.

Nothing is opened before `Gateway.start`; everything is given back by `Gateway.stop`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from adapters import foreign_affairs, interior, registries
from adapters.service_centers import READERS, WRITERS
from adapters.service_centers.message_format import read_json, read_xml
from cli.databases import ledger_of
from cli.ministry_bus import ministry_bus
from cli.reference import initial_differs, load_initial
from gateway.bus.bus import Bus
from gateway.clock import SystemClock
from gateway.errors import Misconfigured
from gateway.http import HttpClient
from gateway.http.tls import partner_context
from gateway.ledger.key_files import root_key
from gateway.ledger.signer_file import FileSigner
from gateway.ledger.vault import Vault, open_vault
from gateway.message import Operation, PartyId
from gateway.observe.log import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.day import keep_date
from gateway.pipeline.engine import Engine
from gateway.pipeline.notary import Notary, note_configuration
from gateway.pipeline.take import kind_named
from gateway.pipeline.worker import Hints, Worker
from gateway.policies.confidentiality import NeedToKnow
from gateway.ports import Clock, Partner
from gateway.rest import Endpoint as RestEndpoint
from gateway.rest import RestPartner, RestService
from gateway.settings import Destination, Settings, check_operations
from gateway.settings.certificates import expiries
from gateway.soap import Endpoint, SoapPartner, SoapService, load_contract
from gateway.soap.security.loading import destination_security, ensure_demo_soap_keys, signing_parties
from gateway.soap.wsse import Freshness
from gateway.web.authentication import PartyKeys
from gateway.web.formats import Formats
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens, ensure_operator_tokens
from gateway.web.soap_services import (
    SoapDoor,
    SoapServices,
    ensure_demo_secrets,
    load_secrets,
    taking,
)
from gateway.web.tls import PartyCertificates
from gateway.web.tokens import ensure_demo_keys
from gateway.webhooks import Webhooks, ensure_webhook_secrets, load_webhook_secrets

#: Everything that the gateway can ask of a partner, by name.
OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        operation.name: operation
        for operation in (*interior.OPERATIONS, *foreign_affairs.OPERATIONS, *registries.OPERATIONS)
    }
)
#: Each partner's contract, by destination.
SERVICES: Mapping[str, SoapService | RestService] = MappingProxyType(
    {**interior.SERVICES, **foreign_affairs.SERVICES, **registries.SERVICES}
)

#: What partner systems may send us, and the services by which they do.
INBOUND = (*interior.INBOUND, *foreign_affairs.INBOUND)
SERVED: Mapping[str, SoapService] = MappingProxyType({**interior.SERVED, **foreign_affairs.SERVED})

#: The formats of batches, results and single messages.
FORMATS = Formats(
    batches=READERS,
    results=WRITERS,
    messages={
        "application/json": lambda body, _kind: read_json(body),
        "application/xml": lambda body, kind: read_xml(body, kind_named(kind)),
    },
)


@dataclass(slots=True)
class Gateway:
    """A whole gateway in one process: web host, worker and ledger."""

    engine: Engine
    host: WebHost
    worker: Worker
    soap: SoapServices
    webhooks: Webhooks
    #: Signs the audit log.
    notary: Notary
    #: The ministry's network; None without a broker.
    bus: Bus | None = None
    _carrying: asyncio.Task[None] | None = None
    #: Workers of earlier configurations, carrying what they claimed to its rest.
    _retiring: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Open the ledger, load the reference records, listen, carry."""
        engine = self.engine
        await engine.ledger.open()
        try:
            await keep_date(engine)
            await load_initial(engine.settings, engine.ledger, engine.clock.today())
            await note_configuration(engine.settings, engine.ledger, engine.now())
            await _start(engine.partners.values())
            await self.notary.start()
            await self.host.start()
        except BaseException:
            await self.notary.stop()
            await engine.ledger.close()
            raise
        tell_expiries(engine)
        await self.webhooks.start()
        if self.bus is not None:
            await self.bus.start()
        self._carrying = asyncio.create_task(self.worker.run())
        log.info("started", action="start", address=self.host.public_url)

    async def until(self, stopping: asyncio.Event) -> None:
        """Return when told to stop. Raises what ended the worker, should it end by itself."""
        told = asyncio.ensure_future(stopping.wait())
        while not told.done():
            carrying = self._started()
            await asyncio.wait({told, carrying}, return_when=asyncio.FIRST_COMPLETED)
            if carrying.done() and carrying is self._carrying:
                told.cancel()
                return carrying.result()
        return None

    async def use(self, replacement: Replacement) -> None:
        """Go on with another configuration.

        What is under way, requests and messages, ends under the one it began with; only then are its
        partners closed. Raises `Unavailable` when the ledger can't write; nothing is changed then.
        """
        engine = replacement.engine
        if initial_differs(engine.settings, self.engine.settings):
            await load_initial(engine.settings, engine.ledger, engine.clock.today())
        await _start(replacement.opens)
        await note_configuration(engine.settings, engine.ledger, engine.now())
        self.notary.interval_s = engine.settings.gateway.checkpoints.interval_s
        # From here to the end nothing waits, so nobody sees half of each.
        try:
            self.host.use(engine, replacement.keys, replacement.operators)
        except Misconfigured:
            await note_configuration(self.engine.settings, engine.ledger, engine.now())
            raise
        self.soap.use(taking(engine), replacement.soap_door)
        if self.bus is not None:
            self.bus.use(replacement.keys)
        self.worker.drain()
        retired = asyncio.create_task(_retire(self._started(), replacement.closes))
        told = asyncio.create_task(self.webhooks.use(engine, replacement.webhook_secrets))
        for task in (retired, told):
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        tell_expiries(engine)
        self.engine, self.worker = engine, Worker(engine)
        self._carrying = asyncio.create_task(self.worker.run())

    async def stop(self) -> None:
        """Drain: take nothing more in, let what is carried come to rest, close everything."""
        log.info("draining", action="drain")
        await self.host.stop()
        self.worker.drain()
        if self._carrying is not None:
            await asyncio.wait({self._carrying, *self._retiring})
        await self.webhooks.drain()
        if self.bus is not None:
            await self.bus.stop()
        for partner in self.engine.partners.values():
            await partner.close()
        await self.notary.stop()
        await self.engine.ledger.close()
        log.info("stopped", action="stop")

    def _started(self) -> asyncio.Task[None]:
        if self._carrying is None:
            raise AssertionError("not started")
        return self._carrying


def tell_expiries(engine: Engine) -> None:
    """Until when certificates hold, for the metric. Reads a few small files."""
    gauge = engine.metrics.certificate_expiry
    gauge.clear()
    for party, ends in expiries(engine.settings).items():
        gauge.labels(party).set(ends.timestamp())


async def _start(partners: Iterable[Partner]) -> None:
    for partner in partners:
        if isinstance(partner, SoapPartner | RestPartner):
            await partner.start()


async def _retire(carrying: asyncio.Task[None], partners: Iterable[Partner]) -> None:
    """Close an earlier configuration's partners once nothing is carried under it any more."""
    await asyncio.wait({carrying})
    for partner in partners:
        await partner.close()
    if error := carrying.exception():
        log.error("worker_failed", action="retire", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class Replacement:
    """What another configuration comes to, made beside the one in force."""

    engine: Engine
    keys: PartyKeys
    operators: OperatorTokens
    soap_door: SoapDoor
    webhook_secrets: Mapping[PartyId, tuple[bytes, ...]]
    #: Partners that are new, and those that they replace.
    opens: tuple[Partner, ...]
    closes: tuple[Partner, ...]


def build(settings: Settings, clock: Clock | None = None) -> Gateway:
    """A gateway of these settings, not yet started.

    Makes the data directory, its keys and tokens at the first start. Raises `Misconfigured`.
    """
    check_operations(settings, OPERATIONS)
    clock = clock or SystemClock()
    data = data_directory(settings)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    ensure_demo_keys(settings, data)
    ensure_webhook_secrets(settings, data)
    ensure_demo_soap_keys(settings, data)
    ensure_operator_tokens(data, settings.gateway.operators)
    ledger, metrics = ledger_of(settings, clock), Metrics(CollectorRegistry())
    interval_s = settings.gateway.checkpoints.interval_s
    notary = Notary(ledger, FileSigner(data / "keys"), clock, metrics, interval_s=interval_s)
    engine = Engine(
        settings=settings,
        ledger=ledger,
        vault=open_vault(data / "keys", settings.gateway.retention, clock, root_key(os.environ)),
        clock=clock,
        hints=Hints(),
        metrics=metrics,
        need_to_know=NeedToKnow(settings.confidentiality),
        operations=OPERATIONS,
        partners=_partners(settings, clock),
        notary=notary,
    )
    keys = PartyKeys.load(settings, data)
    ensure_demo_secrets(settings, data, {operation.sender for operation in INBOUND})
    soap = SoapServices(INBOUND, SERVED, taking(engine), _soap_door(settings, data, engine))
    bus = ministry_bus(engine, lambda: gateway.engine, keys, data)

    def details() -> dict[str, str]:
        return {**notary.details(), **(bus.alive() if bus is not None else {})}

    host = WebHost(engine, FORMATS, keys, OperatorTokens.load(data), soap, details=details)
    webhooks = Webhooks(engine, load_webhook_secrets(settings, data))
    gateway = Gateway(engine, host, Worker(engine), soap, webhooks, notary, bus)
    return gateway


def _soap_door(settings: Settings, data: Path, engine: Engine) -> SoapDoor:
    tokens = settings.gateway.tokens
    freshness = Freshness(timedelta(seconds=tokens.max_age_s), timedelta(seconds=tokens.leeway_s))
    secrets, signatures = load_secrets(settings, data), signing_parties(settings, data, engine.clock)
    certificates = PartyCertificates.load(settings)
    return SoapDoor(secrets, engine.ledger.use_token, engine.clock, freshness, signatures, certificates)


def rebuild(settings: Settings, engine: Engine) -> Replacement:
    """The parts of a running gateway that depend on its settings, made anew. Raises `Misconfigured`."""
    check_operations(settings, OPERATIONS)
    data = data_directory(settings)
    ensure_demo_keys(settings, data)
    ensure_webhook_secrets(settings, data)
    ensure_demo_soap_keys(settings, data)
    ensure_demo_secrets(settings, data, {operation.sender for operation in INBOUND})
    partners = _partners(settings, engine.clock, engine)
    retention, today = settings.gateway.retention, engine.clock.today
    return Replacement(
        engine=replace(
            engine,
            settings=settings,
            vault=Vault(engine.vault.keys, lambda kind: retention.bucket(kind, today())),
            need_to_know=NeedToKnow(settings.confidentiality),
            partners=partners,
        ),
        keys=PartyKeys.load(settings, data),
        operators=OperatorTokens.load(data),
        soap_door=_soap_door(settings, data, engine),
        webhook_secrets=load_webhook_secrets(settings, data),
        opens=tuple(new for new in partners.values() if new not in engine.partners.values()),
        closes=tuple(old for old in engine.partners.values() if old not in partners.values()),
    )


def _partners(settings: Settings, clock: Clock, running: Engine | None = None) -> dict[str, Partner]:
    """A partner for each destination: the running engine's own where nothing of the destination changed."""
    return {
        name: _kept(name, destination, running) or _partner(SERVICES[name], destination, settings, clock)
        for name, destination in settings.destinations.items()
        if name in SERVICES
    }


def _kept(name: str, destination: Destination, running: Engine | None) -> Partner | None:
    """With TLS or WS-Security a file may have changed under the same name: the partner is made anew."""
    if running is None or destination.tls is not None or destination.soap_security.policy != "none":
        return None
    same = running.settings.destinations.get(name) == destination
    return running.partners.get(name) if same else None


def _partner(
    service: SoapService | RestService, destination: Destination, settings: Settings, clock: Clock
) -> Partner:
    client = _client(destination, settings, clock)
    if isinstance(service, RestService):
        if destination.soap_security.policy != "none":
            raise Misconfigured(["destinations.yaml:1:1: soap_security: that partner does not speak SOAP"])
        return RestPartner(service, _rest_endpoint(destination), client)
    endpoint = Endpoint(
        url=destination.url,
        deadline_s=destination.deadline_s,
        connect_timeout_s=destination.connect_timeout_s,
        concurrency=destination.concurrency,
    )
    security = destination_security(destination, settings, data_directory(settings), clock)
    return SoapPartner(load_contract(service), endpoint, client, clock, security)


def _client(destination: Destination, settings: Settings, clock: Clock) -> HttpClient:
    tls = destination.tls
    context = partner_context(tls, settings.directory) if destination.url.startswith("https://") else None
    return HttpClient(clock, idle_s=destination.idle_s, tls=context, pins=tls.pins if tls else ())


def _rest_endpoint(destination: Destination) -> RestEndpoint:
    return RestEndpoint(
        url=destination.url,
        deadline_s=destination.deadline_s,
        connect_timeout_s=destination.connect_timeout_s,
        concurrency=destination.concurrency,
    )


def data_directory(settings: Settings) -> Path:
    """Where the ledger, keys and tokens are."""
    return Path(settings.gateway.data_directory)
