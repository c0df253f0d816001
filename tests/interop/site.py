"""The SOAP services alone, on a real socket: adapters, contracts and authentication as in the gateway; the
desk that takes messages is a working double."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from adapters.foreign_affairs import inbound as foreign_affairs
from adapters.interior import inbound as interior
from gateway.clock import SystemClock
from gateway.errors import Conflict, GatewayError
from gateway.message import Micros, PartyId, new_id
from gateway.ports import Clock, Taken
from gateway.soap.wsse import PartySecrets
from gateway.web.body import BodyLimits
from gateway.web.soap_services import SoapDoor, SoapServices

OPERATIONS = (*interior.INBOUND, *foreign_affairs.INBOUND)
SERVICES = {**interior.SERVED, **foreign_affairs.SERVED}
#: By party. Not for anywhere but tests.
SECRETS = {"passports": b"p" * 32, "foreign-affairs": b"f" * 32, "nic": b"n" * 32}
_SECRETS = PartySecrets({party: [secret] for party, secret in SECRETS.items()})


@dataclass
class Desk:
    """Takes messages, each once, and remembers them."""

    clock: Clock
    taken: dict[tuple[str, str, str], tuple[Mapping[str, Any], Taken]] = field(default_factory=dict)
    #: Raised instead of taking.
    refuses: GatewayError | Exception | None = None

    async def __call__(self, party_id: PartyId, kind: str, body: Mapping[str, Any], key: str) -> Taken:
        if self.refuses is not None:
            raise self.refuses
        known = self.taken.get((party_id, kind, key))
        if known is None:
            taken = Taken(new_id(), self.clock.now(), duplicate=False)  # type: ignore[arg-type]
            self.taken[party_id, kind, key] = (body, taken)
            return taken
        if known[0] != body:
            raise Conflict("idempotency_key_reused")
        return Taken(known[1].message_id, known[1].received_at, duplicate=True)

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        return [body for body, _ in self.taken.values()]


class Nonces:
    """Remembers nonces as the ledger does."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Micros] = {}

    async def __call__(
        self, party: PartyId, jti: str, idempotency_key: str, *, expires_at: Micros, now: Micros
    ) -> bool:
        assert idempotency_key == ""
        if self.seen.get((party, jti), -1) >= now:
            return False
        self.seen[party, jti] = expires_at
        return True


@dataclass
class Site:
    """Services that listen."""

    url: str
    services: SoapServices
    desk: Desk
    nonces: Nonces
    open: bool = True
    #: Of every call, in the order in which they came: which SOAP version was on the wire.
    media_types: list[str] = field(default_factory=list)


@asynccontextmanager
async def open_site(clock: Clock | None = None, limits: BodyLimits | None = None) -> AsyncIterator[Site]:
    """Listens on a free port of this machine; its WSDLs name that address."""
    clock = clock or SystemClock()
    desk, nonces = Desk(clock), Nonces()
    services = SoapServices(OPERATIONS, SERVICES, desk, SoapDoor(_SECRETS, nonces, clock), limits)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site = Site(f"http://127.0.0.1:{taken.getsockname()[1]}", services, desk, nonces)
        runner = web.AppRunner(
            _application(site), access_log=None, shutdown_timeout=0.1, auto_decompress=False
        )
        await runner.setup()
        await web.SockSite(runner, taken).start()
        try:
            yield site
        finally:
            await runner.cleanup()


def _application(site: Site) -> web.Application:
    @web.middleware
    async def noting(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "POST":
            site.media_types.append(request.content_type)
        return await handler(request)

    app = web.Application(middlewares=[noting])
    app.add_routes(site.services.routes(site.url, lambda: site.open))
    return app
