"""The composition root: the one place where the parts of a gateway are put together.

Nothing is opened before `Gateway.start`; everything is given back by `Gateway.stop`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from adapters import foreign_affairs, interior, registries
from adapters.service_centers import READERS, WRITERS
from adapters.service_centers.message_format import read_json, read_xml
from cli.databases import database_file, ledger_of
from cli.gateway import Gateway, Replacement
from cli.leading import LeadersWork
from cli.ministry_bus import BusMetrics, broker_of, ministry_bus
from gateway.bus.hints import BrokerHints
from gateway.clock import SystemClock
from gateway.errors import Misconfigured
from gateway.http import HttpClient
from gateway.http.tls import partner_context
from gateway.ledger.key_files import root_key
from gateway.ledger.signer_file import FileSigner
from gateway.ledger.vault import Vault, buckets, open_vault
from gateway.message import Operation
from gateway.observe.metrics import Metrics
from gateway.pipeline.engine import Engine
from gateway.pipeline.hints import GroupHints, Hints
from gateway.pipeline.notary import Notary
from gateway.pipeline.pressure import Pressure
from gateway.pipeline.take import kind_named
from gateway.policies.confidentiality import NeedToKnow
from gateway.ports import Clock, Partner, WorkHints
from gateway.rest import Endpoint as RestEndpoint
from gateway.rest import RestPartner, RestService
from gateway.settings import Destination, Settings, check_operations
from gateway.soap import Endpoint, SoapPartner, SoapService, load_contract
from gateway.soap.security.loading import destination_security, ensure_demo_soap_keys, signing_parties
from gateway.soap.wsse import Freshness
from gateway.values import replace
from gateway.web.authentication import PartyKeys
from gateway.web.formats import Formats
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens, ensure_operator_tokens
from gateway.web.seat import ALONE, Seat
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


def build(settings: Settings, clock: Clock | None = None, seat: Seat = ALONE) -> Gateway:
    """A gateway of these settings, not yet started.

    Makes the data directory, its keys and tokens at the first start. Raises `Misconfigured`.
    """
    check_operations(settings, OPERATIONS)
    clock = clock or SystemClock()
    data = prepared_directory(settings)
    ledger, metrics = ledger_of(settings, clock, shared=seat.group is not None), Metrics(CollectorRegistry())
    interval_s = settings.gateway.checkpoints.interval_s
    notary = Notary(ledger, FileSigner(data / "keys"), clock, metrics, interval_s=interval_s)
    engine = Engine(
        settings=settings,
        ledger=ledger,
        vault=open_vault(data / "keys", settings.gateway.retention, clock, root_key(os.environ)),
        clock=clock,
        hints=_hints(settings, metrics, seat),
        metrics=metrics,
        need_to_know=NeedToKnow(settings.confidentiality),
        operations=OPERATIONS,
        partners=_partners(settings, clock),
        notary=notary,
        pressure=Pressure(ledger, settings.gateway.pressure, metrics),
    )
    keys = PartyKeys.load(settings, data)
    soap = SoapServices(INBOUND, SERVED, taking(engine), _soap_door(settings, data, engine))
    bus = ministry_bus(engine, lambda: gateway.engine, keys, data)

    def details() -> dict[str, str]:
        return {
            **notary.details(),
            **gateway.leadership.details(),
            **(bus.alive() if bus is not None else {}),
        }

    host = WebHost(
        engine, FORMATS, keys, OperatorTokens.load(data), soap,
        details=details, exports=lambda: gateway.leadership.leads_here, seat=seat,
    )  # fmt: skip
    webhooks = Webhooks(engine, load_webhook_secrets(settings, data))
    gateway = Gateway(engine, host, soap, notary, LeadersWork(lambda: gateway.engine, webhooks, bus), seat)
    return gateway


def prepared_directory(settings: Settings) -> Path:
    """The data directory with everything in it that the first start makes. Safe to call again."""
    data = data_directory(settings)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    ensure_demo_keys(settings, data)
    ensure_webhook_secrets(settings, data)
    ensure_demo_soap_keys(settings, data)
    ensure_operator_tokens(data, settings.gateway.operators)
    ensure_demo_secrets(settings, data, {operation.sender for operation in INBOUND})
    return data


def _hints(settings: Settings, metrics: Metrics, seat: Seat) -> WorkHints:
    """To all processes at the ledger over the broker, if there is one; else to those of our own group."""
    gateway, hints = settings.gateway, Hints()
    share, carries = gateway.carrying.claim_size, seat.role.carries
    if gateway.broker_url is not None and database_file(settings) is None:
        connected = BusMetrics(metrics).connected
        return BrokerHints(hints, broker_of(settings), share=share, carries=carries, on_connected=connected)
    return hints if seat.hints is None else GroupHints(hints, seat.hints, share=share, carries=carries)


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
            vault=Vault(engine.vault.keys, buckets(retention, today)),
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
    )


def data_directory(settings: Settings) -> Path:
    """Where the ledger, keys and tokens are."""
    return Path(settings.gateway.data_directory)
