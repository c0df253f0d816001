"""Who may do what on the admin listener: every route with the roles that may use it, in one table.

A route that is not in the table is closed to everybody. What is refused is noted in the journal: who, which
route and why, though not more often than once a minute for each of them, so that a flood fills nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import Refused, Unavailable
from gateway.ledger.journal import Entry
from gateway.message import Micros
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.settings.access import Role
from gateway.web.authentication import Unauthenticated
from gateway.web.caller import OPERATOR, admit
from gateway.web.operators import OperatorTokens

_ANY: Final = frozenset[Role](("viewer", "operator", "auditor", "administrator"))
_OPERATOR: Final = frozenset[Role](("operator",))
_AUDITOR: Final = frozenset[Role](("auditor",))
_ADMINISTRATOR: Final = frozenset[Role](("administrator",))
#: Auditors see how long things are kept, and may stop that something is destroyed.
_WHO_KEEPS: Final = frozenset[Role](("administrator", "auditor"))
_WHO_REVEALS: Final = frozenset[Role](("operator", "auditor"))

#: By method and path pattern.
ROLES: Mapping[tuple[str, str], frozenset[Role]] = MappingProxyType(
    {
        ("GET", "/v1/admin/messages"): _ANY,
        ("GET", "/v1/admin/messages/{id}"): _ANY,
        ("GET", "/v1/admin/messages/{id}/why"): _ANY,
        ("POST", "/v1/admin/messages/{id}/reveal"): _WHO_REVEALS,
        ("POST", "/v1/admin/messages/{id}/retry"): _OPERATOR,
        ("POST", "/v1/admin/messages/{id}/cancel"): _OPERATOR,
        ("POST", "/v1/admin/messages/{id}/resolve"): _OPERATOR,
        ("POST", "/v1/admin/messages/{id}/resolve/confirm"): _OPERATOR,
        ("POST", "/v1/admin/retry"): _OPERATOR,
        ("POST", "/v1/admin/cancel"): _OPERATOR,
        ("GET", "/v1/admin/partners"): _ANY,
        ("POST", "/v1/admin/partners/{name}/pause"): _OPERATOR,
        ("POST", "/v1/admin/partners/{name}/resume"): _OPERATOR,
        ("GET", "/v1/admin/webhooks"): _ANY,
        ("POST", "/v1/admin/webhooks/{party}/replay"): _OPERATOR,
        ("GET", "/v1/admin/census"): _ANY,
        ("GET", "/v1/admin/quotas"): _ANY,
        ("GET", "/v1/admin/reports/visa-flow"): _ANY,
        ("GET", "/v1/admin/reports/season"): _ANY,
        ("PUT", "/v1/admin/business-date"): _OPERATOR,
        ("POST", "/v1/admin/disclosures"): _AUDITOR,
        ("GET", "/v1/admin/audit/entries"): _AUDITOR,
        ("POST", "/v1/admin/audit/entries"): _AUDITOR,
        ("GET", "/v1/admin/audit/export"): _AUDITOR,
        ("POST", "/v1/admin/reconcile/{destination}"): _OPERATOR,
        ("POST", "/v1/admin/backup"): _ADMINISTRATOR,
        ("GET", "/v1/admin/keys"): _WHO_KEEPS,
        ("POST", "/v1/admin/keys/rotate"): _ADMINISTRATOR,
        ("GET", "/v1/admin/keys/rotation"): _WHO_KEEPS,
        ("GET", "/v1/admin/retention"): _WHO_KEEPS,
        ("POST", "/v1/admin/retention/run"): _ADMINISTRATOR,
        ("POST", "/v1/admin/retention/holds"): _WHO_KEEPS,
        ("POST", "/v1/admin/retention/holds/{id}/release"): _ADMINISTRATOR,
    }
)
#: For machines: metrics and health.
OPEN: Final = frozenset({"/metrics", "/livez", "/readyz"})
#: Other refusals that are noted: each was an attempt at something that the operator may not do.
NOTED: Final = frozenset({"field_not_granted", "same_operator"})
_APART: Final = Micros(60_000_000)
#: Whoever has no valid token.
_NOBODY: Final = "unknown"


@dataclass(slots=True)
class _Told:
    """The last entry of its sort, and how many refusals followed that were not noted."""

    at: Micros
    unnoted: int = 0


@dataclass(slots=True)
class Guard:
    """Lets operators in where one of their roles may, and notes whom it refused."""

    engine: Engine
    tokens: OperatorTokens
    #: By who, route and code: of unknown callers there is one, so this can't grow beyond the configuration.
    _told: dict[tuple[str, str, str], _Told] = field(default_factory=dict)

    def guarded(self, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """The same routes, each behind its line of the table."""
        return [route if route.path in OPEN else self._behind(route) for route in routes]

    def _behind(self, route: web.RouteDef) -> web.RouteDef:
        roles = ROLES.get((route.method, route.path), frozenset())
        name = f"{route.method} {route.path}"

        async def handle(request: web.Request) -> web.StreamResponse:
            await self._let_in(request, roles, name)
            return await self._passed_on(request, route.handler, name)

        return web.RouteDef(route.method, route.path, handle, route.kwargs)

    async def _let_in(self, request: web.Request, roles: frozenset[Role], route: str) -> None:
        try:
            operator = admit(request, self.tokens, self.engine.settings)
        except Unauthenticated as error:
            await self._note(_NOBODY, route, error.code)
            raise
        if roles.isdisjoint(operator.roles):
            await self._note(operator.name, route, "role_missing")
            raise Refused("role_missing", status=403)

    async def _passed_on(self, request: web.Request, handler: Handler, route: str) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            if refused.code in NOTED:
                await self._note(request[OPERATOR].name, route, refused.code)
            raise

    async def _note(self, who: str, route: str, code: str) -> None:
        """A refusal stands, whether or not it can be written down."""
        now = self.engine.now()
        told = self._told.get((who, route, code))
        if told is not None and now - told.at < _APART:
            told.unnoted += 1
            return
        before = told.unnoted if told else 0
        self._told[who, route, code] = _Told(now)
        detail = {"route": route, **({"unnoted_before": before} if before else {})}
        try:
            await self.engine.ledger.note(Entry(now, "refused", who, code=code, detail=detail))
        except Unavailable:
            log.error("refusal_not_noted", action="refuse", operator=who, code=code)
