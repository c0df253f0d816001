"""From a request to who may do what it asks: parties on the public listener, operators on the admin one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.errors import Refused
from gateway.message import Micros, PartyId
from gateway.pipeline.engine import Engine
from gateway.settings import Settings
from gateway.settings.access import Role
from gateway.web.authentication import Credential, PartyKeys, Unauthenticated, bearer, use_once, verify
from gateway.web.middleware import CALLER
from gateway.web.operators import OperatorTokens
from gateway.web.rate_limits import RateLimits, count_request
from gateway.web.tls import shown_by
from schemas.violation import Violation

_LONGEST_KEY: Final = 255
_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{_LONGEST_KEY}}}")


@dataclass(frozen=True, slots=True)
class Door:
    """Lets parties in, at their rate."""

    engine: Engine
    keys: PartyKeys
    #: None: whatever they ask for.
    limits: RateLimits | None = None

    def center(self, request: web.Request) -> Credential:
        """A service center that reads. Raises `Unauthenticated`, and `Refused` (403) for another kind."""
        credential = self.party(request)
        if credential.party.kind != "service_center":
            raise Refused("forbidden", status=403)
        return credential

    def party(self, request: web.Request) -> Credential:
        """Any party that can prove itself. Raises `Unauthenticated`, and `RateLimited` over its rate.

        A token and a certificate must be of the same party; a certificate that proves nobody refuses the
        request, whatever token comes with it.
        """
        by_certificate = self._by_certificate(request)
        authorization = _only(request, "Authorization")
        if by_certificate is not None and authorization is None:
            credential = by_certificate
        else:
            now = self.engine.clock.now()
            credential = verify(bearer(authorization), self.keys, self.engine.settings, now)
            if by_certificate is not None and by_certificate.party.id != credential.party.id:
                raise Unauthenticated("credentials_differ")
        request[CALLER] = credential.party.id
        count_request(request, credential.party.id)
        return credential

    def _by_certificate(self, request: web.Request) -> Credential | None:
        """The party of the certificate that was shown; None: none was shown."""
        shown = shown_by(request)
        if shown is None:
            return None
        try:
            party = self.engine.settings.party(self.keys.certificates.party(shown, self.engine.clock.now()))
        except Refused as error:
            raise Unauthenticated(error.code) from error
        if party is None:
            raise Unauthenticated("certificate_unknown")
        return Credential(party, None, Micros(round(shown.ends.timestamp() * 1_000_000)), by_certificate=True)

    def may_send_batch(self, party: PartyId) -> None:
        """Before a batch is read. Raises `RateLimited` while the lines of earlier ones are waited for."""
        if self.limits is not None:
            self.limits.batch(party)

    def count_lines(self, party: PartyId, count: int) -> None:
        """After a batch was read: so many lines it had."""
        if self.limits is not None:
            self.limits.lines(party, count)

    async def center_once(self, request: web.Request, idempotency_key: str | None) -> PartyId:
        """A service center that changes something: its token is used up.

        The same token may come again on the same path with the same idempotency key (a lost answer).
        """
        credential = self.center(request)
        await self.use(credential, request, idempotency_key)
        return credential.party_id

    async def use(self, credential: Credential, request: web.Request, idempotency_key: str | None) -> None:
        """Use up the token of a credential. Raises `Unauthenticated` (`token_replayed`)."""
        purpose = f"{request.path} {idempotency_key}" if idempotency_key else ""
        await use_once(credential, purpose, self.engine.ledger, self.engine.now())


def idempotency_key(request: web.Request, *, required: bool) -> str | None:
    """1 to 255 visible ASCII characters. Raises `Refused`."""
    key = _only(request, "Idempotency-Key")
    if key is None:
        if required:
            raise Refused("idempotency_key_missing", status=400)
        return None
    if not _KEY.fullmatch(key):
        limit = Violation("idempotency_key_invalid", "", {"limit": _LONGEST_KEY})
        raise Refused("idempotency_key_invalid", violations=(limit,), status=400)
    return key


def _only(request: web.Request, header: str) -> str | None:
    """The header's one value: two of them may mean different things to two readers."""
    values = request.headers.getall(header, [])
    if len(values) > 1:
        raise Refused("bad_request", status=400)
    return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Operator:
    """Who works at the gateway. Without a place in the configuration an operator has no role."""

    name: str
    roles: tuple[Role, ...]


#: Whom the admin listener let in.
OPERATOR: Final = web.RequestKey("operator", Operator)


def admit(request: web.Request, tokens: OperatorTokens, settings: Settings) -> Operator:
    """The operator whose token this is, remembered with the request. Raises `Unauthenticated`."""
    name = tokens.operator(bearer(_only(request, "Authorization")))
    if name is None:
        raise Unauthenticated
    found = Operator(name, settings.gateway.operators.get(name, ()))
    request[CALLER], request[OPERATOR] = name, found
    return found


def operator(request: web.Request) -> str:
    """The name of the operator that was let in."""
    return request[OPERATOR].name
