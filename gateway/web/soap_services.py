"""The SOAP services that partner systems call: `/soap/movements`, `/soap/capacity`, `/soap/attestations`.

One call reads as a table of contents in `_Service.answer`: body, envelope, party, call, conversion, taking.
What is refused before the message is understood, or cannot be taken now, is a `soap:Fault`; a message that
is understood and refused gets `service_error`, a normal answer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Final, Protocol

from aiohttp import web

from gateway.clock import micros, moment
from gateway.errors import Conflict, GatewayError, Misconfigured, Refused, Unavailable
from gateway.message import Micros, PartyId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.take import Arrival, take
from gateway.ports import Clock, InboundOperation, Take, Taken
from gateway.settings import Settings
from gateway.soap import Contract, SoapService, load_contract
from gateway.soap.envelope import Envelope
from gateway.soap.publish import published
from gateway.soap.security.parties import NOBODY_SIGNS, SigningParties
from gateway.soap.server import LIMITS, SoapAnswer, SoapFault, SoapServer
from gateway.soap.wsse import SECURITY_TAG, Freshness, PartySecrets, Proven, prove, read_token
from gateway.values import replace
from gateway.web.body import BodyLimits, check_headers, decoded
from gateway.web.middleware import CALLER, REQUEST_ID, expect_later
from gateway.web.places import Places
from gateway.web.problems import RateLimited, text
from gateway.web.rate_limits import count_request
from gateway.web.tls import NO_CERTIFICATES, PartyCertificates, shown_by
from gateway.web.tokens import write_secret
from schemas import catalogue
from schemas.violation import Violation

_SHORTEST_SECRET: Final = 32
_MOST_SECRETS: Final = 2
_MOST_VIOLATIONS: Final = 20
_LONGEST_TEXT: Final = 500
_FRESHNESS: Final = Freshness()
#: Bodies being read at the same time, over all services: each is whole in memory before its sender is known.
_AT_ONCE: Final = 64
#: A place in the message, as the XML schema's checker writes it.
_PLACE: Final = re.compile(r"[A-Z0-9_]{1,60} at [A-Za-z0-9_.:*/\[\]-]{1,200}")


class UseOnce(Protocol):
    """Remembers a nonce until it ends, for all processes: `Ledger.use_token`."""

    async def __call__(
        self, party: PartyId, jti: str, idempotency_key: str, *, expires_at: Micros, now: Micros
    ) -> bool:
        """False when it was used before."""


# --- secrets ---------------------------------------------------------------------------------------


def secrets_directory(data_dir: Path) -> Path:
    """Where the shared secrets of SOAP callers are: `<party>.secret`, mode 0600."""
    return data_dir / "soap"


def ensure_demo_secrets(settings: Settings, data_dir: Path, callers: Collection[str]) -> None:
    """Make the secret of each caller with `demo_key: true` that has none yet. Safe to call again."""
    for party in settings.parties:
        path = secrets_directory(data_dir) / f"{party.id}.secret"
        if party.demo_key and party.id in callers and not path.exists():
            write_secret(path, token_urlsafe(32).encode() + b"\n")


def load_secrets(settings: Settings, data_dir: Path) -> PartySecrets:
    """Read the secret files: one secret a line, two while a secret is being changed.

    Raises `Misconfigured` for a file that others can read, of nobody that is known, or too short a secret.
    """
    files = sorted(secrets_directory(data_dir).glob("*.secret"))
    return PartySecrets({path.stem: _secrets_in(path, settings) for path in files})


def _secrets_in(path: Path, settings: Settings) -> tuple[bytes, ...]:
    if settings.party(path.stem) is None:
        raise Misconfigured([f"{path}:1:1: there is no party of this name"])
    if path.stat().st_mode & 0o077:
        raise Misconfigured([f"{path}:1:1: secret file can be read by others: chmod 600 it"])
    found = tuple(line.strip() for line in path.read_bytes().splitlines() if line.strip())
    if not 0 < len(found) <= _MOST_SECRETS or min(map(len, found)) < _SHORTEST_SECRET:
        fault = f"holds one or two secrets of at least {_SHORTEST_SECRET} characters, one a line"
        raise Misconfigured([f"{path}:1:1: {fault}"])
    return found


def taking(engine: Engine) -> Take:
    """Takes messages into the engine's ledger, under the key of their kind."""

    async def take_one(party_id: PartyId, kind: str, body: Mapping[str, Any], key: str) -> Taken:
        found = await take(Arrival(party_id, kind, body, "soap"), engine)
        return Taken(found.message_id, moment(found.received_at), found.duplicate)

    return take_one


# --- services --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SoapDoor:
    """Lets partner systems in."""

    secrets: PartySecrets
    use_once: UseOnce
    clock: Clock
    freshness: Freshness = _FRESHNESS
    #: Those whose messages are signed.
    signatures: SigningParties = NOBODY_SIGNS
    #: Those that TLS client certificates prove.
    certificates: PartyCertificates = NO_CERTIFICATES

    async def party(self, request: web.Request, envelope: Envelope) -> PartyId:
        """Who sends this envelope. Raises `Refused`.

        A client certificate is enough where nothing has to be signed; a `wsse:Security` block besides it has
        to be of the same party.
        """
        now = self.clock.now()
        shown = shown_by(request)
        certified = None if shown is None else PartyId(self.certificates.party(shown, now))
        if certified is not None and not any(block.tag == SECURITY_TAG for block in envelope.headers):
            if self.signatures.must_sign(certified):
                raise Refused("signature_missing", status=401)
            return certified
        proven = self.signatures.prove(envelope, self.freshness) or self._introduced(request, envelope, now)
        party = PartyId(proven.party)
        if certified is not None and certified != party:
            raise Refused("credentials_differ", status=401)
        if proven.nonce_id is not None and not await self.use_once(
            party, proven.nonce_id, "", expires_at=micros(proven.ends_at), now=micros(now)
        ):
            raise Refused("token_replayed", status=401)
        return party

    def _introduced(self, request: web.Request, envelope: Envelope, now: datetime) -> Proven:
        """By a UsernameToken, for a party that was not told to sign."""
        token = read_token(envelope.headers, now, self.freshness)
        proven = prove(token, self.secrets, now, self.freshness, clear_allowed=_is_private(request))
        if self.signatures.must_sign(PartyId(proven.party)):
            raise Refused("signature_missing", status=401)
        return proven


def _is_private(request: web.Request) -> bool:
    """Whether nobody else can read the connection: TLS, or this machine's own loopback."""
    if request.transport is None:
        return False
    if request.transport.get_extra_info("sslcontext") is not None:
        return True
    peer = request.transport.get_extra_info("peername")
    return isinstance(peer, tuple) and _is_loopback(str(peer[0]))


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


@dataclass(slots=True)
class _InForce:
    """What another configuration replaces while calls come in."""

    take: Take
    door: SoapDoor


class _Busy(SoapFault):
    """HTTP 503: no place to read the body in."""

    def __init__(self, error: RateLimited) -> None:
        super().__init__(
            text("service_busy", "en", _params(error, error.code)), code="SERVICE_BUSY", ours=True
        )
        self.retry_after_s = error.retry_after_s


class SoapServices:
    """All services that the gateway offers. Nothing is read before `routes`."""

    def __init__(
        self,
        operations: Iterable[InboundOperation],
        services: Mapping[str, SoapService],
        take: Take,
        door: SoapDoor,
        body_limits: BodyLimits | None = None,
    ) -> None:
        """`services` by the last part of their path, as the adapters' `SERVED`."""
        self._operations = tuple(operations)
        self._services = services
        self._in_force = _InForce(take, door)
        self._made: dict[str, list[web.RouteDef]] = {}
        #: By address: who sends is told by the body only.
        self._reading = Places()
        self._limits = body_limits or BodyLimits(LIMITS.max_bytes, silence_s=10.0, total_s=30.0)

    def use(self, take: Take, door: SoapDoor) -> None:
        """Go on with another configuration; calls under way end under the one that they began with."""
        self._in_force.take, self._in_force.door = take, door

    def routes(self, base_url: str, is_open: Callable[[], bool] = lambda: True) -> list[web.RouteDef]:
        """POST for calls, GET for `?wsdl` and the schemas.

        Reads the contracts, which blocks, the first time only. `base_url` is the configured one; what a
        request says of its host is never looked at. While `is_open` says no, nothing is taken.
        """
        if base_url not in self._made:
            self._made[base_url] = [
                route
                for name, service in self._services.items()
                for route in self._routes(f"/soap/{name}", name, service, base_url, is_open)
            ]
        return self._made[base_url]

    def _routes(
        self, path: str, name: str, service: SoapService, base_url: str, is_open: Callable[[], bool]
    ) -> list[web.RouteDef]:
        own = {each.action: each for each in self._operations if each.service == name}
        served = _Service(load_contract(service), own, self._in_force, self._limits, self._reading, is_open)
        documents = published(service, base_url + path)

        async def document(request: web.Request) -> web.Response:
            asked = request.query_string
            found = documents.get("wsdl" if asked.lower() == "wsdl" else asked)
            if found is None:
                raise web.HTTPNotFound
            return web.Response(body=found, content_type="text/xml", charset="utf-8")

        return [web.route("POST", path, served.call, expect_handler=expect_later), web.get(path, document)]


class _Service:
    """One service: a WSDL, and what becomes of its calls."""

    def __init__(
        self,
        contract: Contract,
        operations: Mapping[str, InboundOperation],
        in_force: _InForce,
        limits: BodyLimits,
        reading: Places,
        is_open: Callable[[], bool],
    ) -> None:
        if set(operations) != set(contract.actions):
            raise Misconfigured([f"{contract.service.wsdl}: every action needs one inbound operation"])
        senders = {operation.sender for operation in operations.values()}
        if len(senders) != 1:
            raise Misconfigured([f"{contract.service.wsdl}: a service has one caller"])
        self._contract = contract
        self._server = SoapServer(
            contract, in_force.door.clock, understood={SECURITY_TAG}, header_required=False
        )
        self._operations = operations
        #: The only party that may call this service.
        self._sender = senders.pop()
        self._in_force = in_force
        self._limits = limits
        self._reading = reading
        self._is_open = is_open

    async def call(self, request: web.Request) -> web.Response:
        """The border: whatever goes wrong, the caller gets SOAP."""
        announced = request.headers.get("Content-Type", "")
        headers: dict[str, str] = {}
        try:
            answer = await self.answer(request, announced)
        except SoapFault as fault:
            _log(request, fault.code)
            known = self._in_force.door.signatures.answering(request.get(CALLER))
            answer = self._server.fault(fault, announced, security=known)
            if isinstance(fault, _Busy):
                answer, headers = replace(answer, status=503), {"Retry-After": str(fault.retry_after_s)}
        except Exception:
            log.exception("request_failed", action="soap", request_id=request.get(REQUEST_ID))
            answer = self._server.fault(_fault("internal_error", ours=True), announced)
        headers["Content-Type"] = answer.content_type
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def answer(self, request: web.Request, announced: str) -> SoapAnswer:
        """The answer to one call. Raises `SoapFault`."""
        take, door = self._in_force.take, self._in_force.door
        try:
            if not self._is_open():
                raise Unavailable("intake_closed")
            envelope = self._server.open(announced, await self._body(request))
            party = await door.party(request, envelope)
            request[CALLER] = party
            count_request(request, party)
            if party != self._sender:
                raise Refused("forbidden", status=403)
            call = self._server.read(envelope)
            operation = self._operations[call.action.name]
            body = operation.convert(call.values)
        except RateLimited as error:
            raise _Busy(error) from error
        except Refused as error:
            raise _fault(error.code, error) from error
        except Unavailable as error:
            raise _fault(error.code, error, ours=True) from error
        taking = take(party, operation.kind, body, _key(operation, body))
        return self._server.answer(call, await self._taken(request, taking), door.signatures.answering(party))

    async def _body(self, request: web.Request) -> bytes:
        try:
            check_headers(request, self._limits)
            with self._reading.one(request.remote or "", _AT_ONCE):
                return b"".join([piece async for piece in decoded(request, self._limits)])
        except Refused as error:
            if error.code == "batch_too_large":  # `body` speaks of batches
                limit = Violation("body_too_large", "", {"limit": self._limits.max_bytes})
                raise Refused("body_too_large", violations=(limit,)) from error
            raise

    async def _taken(self, request: web.Request, taking: Awaitable[Taken]) -> dict[str, Any]:
        """Values of the reply: `accepted`, or `service_error` for what will never be taken as it is."""
        try:
            return _accepted(await taking)
        except Refused as error:
            if isinstance(error, Conflict) and error.retry_after_s is not None:
                raise _fault(error.code, error, ours=True) from error
            _log(request, error.code)
            return self._refusal(error)
        except Unavailable as error:
            raise _fault(error.code, error, ours=True) from error

    def _refusal(self, error: Refused) -> dict[str, Any]:
        return {
            "service_error": {
                "error_type": "Business",
                **_told(error.code, _params(error, error.code)),
                "source": self._contract.service.party,
            },
            "violation": [
                {"pointer": found.pointer[:300], **_told(found.code, found.params)}
                for found in error.violations[:_MOST_VIOLATIONS]
            ],
        }


def _key(operation: InboundOperation, body: Mapping[str, Any]) -> str:
    """No part holds a slash: they are ids, days and numbers."""
    return "/".join(str(_at(body, path)) for path in operation.key)


def _at(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        value = value[name]
    return value


def _accepted(taken: Taken) -> dict[str, Any]:
    return {
        "accepted": {
            "message_id": taken.message_id,
            "received_at": taken.received_at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "duplicate": taken.duplicate,
        }
    }


def _told(code: str, params: Mapping[str, str | int]) -> dict[str, str]:
    return {
        "code": code.upper(),
        "text_en": text(code, "en", params)[:_LONGEST_TEXT],
        "text_ar": text(code, "ar", params)[:_LONGEST_TEXT],
    }


def _fault(code: str, error: GatewayError | None = None, *, ours: bool = False) -> SoapFault:
    """In words of the catalogue, with the place where the schema was broken."""
    told = code if code in catalogue.CODES else "bad_request"
    words = text(told, "en", _params(error, code) if isinstance(error, Refused) else {})
    if error is not None and _PLACE.fullmatch(error.detail):
        words = f"{words} {error.detail}"
    return SoapFault(words, code=code.upper(), ours=ours)


def _params(error: Refused, code: str) -> Mapping[str, str | int]:
    """What the text of that code has placeholders for."""
    return next((found.params for found in error.violations if found.code == code), {})


def _log(request: web.Request, code: str | None) -> None:
    log.info(
        "soap_refused",
        action="soap",
        request_id=request.get(REQUEST_ID),
        party=request.get(CALLER),
        code=code,
    )
