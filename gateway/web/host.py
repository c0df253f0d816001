"""The two HTTP listeners: the service centers' side and the operators' side, as separate applications."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import Misconfigured
from gateway.observe.metrics import bound
from gateway.pipeline.engine import Engine
from gateway.settings.gateway import Listener
from gateway.web.acceptor import Acceptor
from gateway.web.admin import Admin
from gateway.web.authentication import PartyKeys
from gateway.web.batches import Batches
from gateway.web.caller import Door
from gateway.web.checkpoints import Checkpoints
from gateway.web.connection import connections
from gateway.web.documents import Documents
from gateway.web.formats import Formats
from gateway.web.messages import Messages
from gateway.web.middleware import Count, UnderWay, answer_always, protect
from gateway.web.operators import OperatorTokens
from gateway.web.photos import Photos
from gateway.web.rate_limits import RATE_LIMITS, RateLimits
from gateway.web.reports import Reports
from gateway.web.seat import ALONE, Role, Seat
from gateway.web.soap_services import SoapServices
from gateway.web.tls import listener_context

#: How long requests under way may go on once the host stops.
_GRACE_S: Final = 10.0
#: For the last answers to be written, once nothing is under way.
_CLOSING_S: Final = 1.0
#: For callers to come with their next request, where others go on listening.
_LEAVE_S: Final = 1.0
_BACKLOG: Final = 512

T = TypeVar("T")
#: By method and path pattern.
Handlers = Mapping[tuple[str, str], Handler]


class Switch:
    """The handlers in force on a listener: a request is answered to its end by those it began with."""

    def __init__(self, routes: list[web.RouteDef]) -> None:
        self._handlers: Handlers = _by_path(routes)
        self.routes = [
            web.RouteDef(route.method, route.path, self._current(route), route.kwargs) for route in routes
        ]

    def turn(self, routes: list[web.RouteDef]) -> None:
        """Answer what comes from now on with these. They have the same paths."""
        self._handlers = _by_path(routes)

    def _current(self, route: web.RouteDef) -> Handler:
        place = (route.method, route.path)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handlers[place](request)

        return handle


def _by_path(routes: list[web.RouteDef]) -> Handlers:
    return {(route.method, route.path): route.handler for route in routes}


@dataclass(frozen=True, slots=True)
class _Listening:
    """A listener that is up."""

    acceptor: Acceptor
    runner: web.AppRunner
    under_way: UnderWay
    switch: Switch
    url: str
    #: As parties reach it: written into answers.
    base_url: str

    def take_leave(self) -> None:
        """Take no more connections, and close each after its next answer."""
        self.acceptor.turn_away()
        self.under_way.leaving = True

    async def end(self, grace_s: float) -> None:
        """Take no more connections; requests under way may go on for `grace_s`.

        aiohttp's own shutdown takes no more bytes of a body: it comes only when no body is awaited.
        """
        self.acceptor.close()
        await self.under_way.ended(grace_s)
        await self.runner.cleanup()


class WebHost:
    """Serves one engine. Nothing is opened before `start`."""

    def __init__(
        self,
        engine: Engine,
        formats: Formats,
        keys: PartyKeys,
        operators: OperatorTokens,
        soap: SoapServices | None = None,
        *,
        details: Callable[[], Mapping[str, str]] = dict,
        exports: Callable[[], bool] = lambda: True,
        seat: Seat = ALONE,
        grace_s: float = _GRACE_S,
    ) -> None:
        """Without `soap` partner systems are offered no services. `details` are for `/readyz`.

        `exports` tells whether the ledger's gauges are ours to export.
        """
        self._details = details
        self._exports = exports
        self._seat = seat
        self._engine = engine
        self._formats = formats
        self._limits = RateLimits(engine.settings, engine.metrics)
        self._door = Door(engine, keys, self._limits)
        self._operators = operators
        self._soap = soap
        self._soap_routes: list[web.RouteDef] = []
        self._grace_s = grace_s
        self._public: _Listening | None = None
        self._admin: _Listening | None = None
        self._intake_open = False

    async def start(self) -> None:
        """Listen on both. Raises `Misconfigured` when an address is taken or a key file does not fit."""
        listeners = self._engine.settings.gateway.listeners
        try:
            self._admin = await self._listen(listeners.admin, self._admin_routes, public=False)
            if self._seat.role is not Role.WORKER:
                self._public = await self._listen(listeners.public, self._public_routes, public=True)
        except BaseException:
            await self.stop()
            raise
        self._intake_open = True

    async def stop(self) -> None:
        """Take no more requests, and let those under way end within the grace. Safe to call again."""
        if self._seat.shares_listeners:
            await self._take_leave()
        self._intake_open = False
        public, admin = self._public, self._admin
        self._public = self._admin = None
        # The operators' side last: probes see that intake is closed while batches end.
        for listening in (public, admin):
            if listening is not None:
                await listening.end(self._grace_s)

    async def _take_leave(self) -> None:
        """Others go on listening on our sockets: whoever is connected to us is answered once more."""
        for listening in self._listening():
            listening.take_leave()
        await asyncio.sleep(_LEAVE_S)

    def use(self, engine: Engine, keys: PartyKeys, operators: OperatorTokens) -> None:
        """Serve what comes from now on with another engine; requests under way end with the one before.

        What was fixed by listening stays: addresses, the base URL, the names of TLS files. Certificates, keys
        and authorities that were renewed in their files are used from now on, for new connections; the others
        go on. Raises `Misconfigured`; nothing is changed then.
        """
        public, admin = self._public, _up(self._admin)
        listeners = engine.settings.gateway.listeners
        admin_tls = listener_context(listeners.admin, engine.settings, public=False)
        if public is not None:
            public.acceptor.tls = listener_context(listeners.public, engine.settings, public=True)
        admin.acceptor.tls = admin_tls
        for listening in self._listening():
            listening.acceptor.most_per_address = engine.settings.gateway.connections.max_per_address
        self._limits.use(engine.settings)
        self._engine, self._operators, self._door = engine, operators, Door(engine, keys, self._limits)
        admin.switch.turn(self._admin_routes(admin.base_url))
        if public is not None:
            public.switch.turn(self._public_routes(public.base_url))

    def _listening(self) -> Sequence[_Listening]:
        return [each for each in (self._public, self._admin) if each is not None]

    @property
    def public_url(self) -> str:
        """Where the public listener can be reached, such as `http://127.0.0.1:8080`."""
        return _up(self._public).url

    @property
    def admin_url(self) -> str:
        """Where the admin listener can be reached."""
        return _up(self._admin).url

    def _public_routes(self, base_url: str) -> list[web.RouteDef]:
        batches = Batches(
            self._engine,
            self._door,
            self._formats.batches,
            self._formats.results,
            base_url,
            lambda: self._intake_open,
        )
        messages = Messages(self._engine, self._door, self._formats.messages, lambda: self._intake_open)
        photos = Photos(self._engine, self._door, lambda: self._intake_open)
        reports = Reports(self._engine, self._door)
        documents = Documents(base_url, self._engine.clock.today(), self._formats.results)
        if self._soap is not None and not self._soap_routes:  # they go on with another configuration
            self._soap_routes = self._soap.routes(base_url, self._takes_in)
        checkpoints = Checkpoints(self._engine, self._door)
        parts = (batches, messages, photos, reports, checkpoints, documents)
        return [*(route for part in parts for route in part.routes()), *self._soap_routes]

    def _takes_in(self) -> bool:
        return self._intake_open and not self._engine.under_pressure

    def _admin_routes(self, _base_url: str) -> list[web.RouteDef]:
        admin = Admin(self._engine, self._operators, lambda: self._intake_open, self._details, self._exports)
        return admin.routes()

    async def _listen(
        self, listener: Listener, routes: Callable[[str], list[web.RouteDef]], *, public: bool
    ) -> _Listening:
        """Take the address first: its port is written into answers."""
        settings = self._engine.settings
        context = listener_context(listener, settings, public=public)
        given = self._seat.public if public else self._seat.admin
        taken = given or listening_socket(listener)
        try:
            url = _url(listener, taken, context)
            base_url = settings.gateway.base_url if listener.port else url
            under_way = UnderWay()
            switch = Switch(routes(base_url))
            limits, count = (self._limits, self._tell_answered) if public else (None, None)
            runner = _runner(base_url, switch.routes, under_way, limits, count)
            await runner.setup()
            acceptor = Acceptor(
                taken,
                connections(_up(runner.server), base_url, settings.gateway.intake.header_timeout_s),
                context,
                most_per_address=settings.gateway.connections.max_per_address,
                on_refused=self._tell_connection_refused,
            )
            acceptor.start()
        except BaseException:
            taken.close()
            raise
        return _Listening(acceptor, runner, under_way, switch, url, base_url)

    def _tell_answered(self, interface: str, status: str) -> None:
        bound(self._engine.metrics.answers, interface, status).inc()

    def _tell_connection_refused(self) -> None:
        """A number only: whoever opens so many must not fill the log as well."""
        self._engine.metrics.rejected.labels("", "connection", "too_many_connections").inc()


def _up(found: T | None) -> T:
    if found is None:
        raise RuntimeError("the host is not started")
    return found


def listening_socket(listener: Listener) -> socket.socket:
    """The listener's address, bound and listened on. Raises `Misconfigured` when somebody else has it."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        return socket.create_server((listener.host, listener.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        where = f"{listener.host}:{listener.port}"
        raise Misconfigured([f"gateway.yaml:1:1: cannot listen on {where}: {error.strerror}"]) from error


def _url(listener: Listener, taken: socket.socket, context: ssl.SSLContext | None) -> str:
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"{'https' if context else 'http'}://{host}:{taken.getsockname()[1]}"


def _runner(
    base_url: str,
    routes: list[web.RouteDef],
    under_way: UnderWay,
    limits: RateLimits | None,
    count: Count | None,
) -> web.AppRunner:
    app = web.Application(middlewares=[answer_always(base_url, under_way, count)])
    if limits is not None:
        app[RATE_LIMITS] = limits
    app.on_response_prepare.append(protect)
    app.add_routes(routes)
    return web.AppRunner(app, shutdown_timeout=_CLOSING_S)
