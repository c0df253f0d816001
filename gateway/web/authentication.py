"""Which party is calling? A bearer token (RFC 6750, RFC 7519) signed with the party's own key tells.

The party comes from the credential only. An unknown party and a bad signature get the same answer. A client
certificate that is bound to a party (`gateway.web.tls`) proves it as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.types import Options

from gateway.errors import GatewayError, Misconfigured
from gateway.ledger.port import Ledger
from gateway.message import Micros, PartyId
from gateway.settings import Party, Settings
from gateway.settings.gateway import Tokens
from gateway.web.tls import NO_CERTIFICATES, PartyCertificates
from gateway.web.tokens import demo_public_key_path

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

_LONGEST_TOKEN: Final = 4_096
#: How many proven tokens are remembered: a center asks for the status of a batch again and again with one.
_REMEMBERED: Final = 256
_END_OF_TIME: Final = 10**11
_JTI: Final = re.compile(r"[\x21-\x7e]{1,128}")
#: Everything about time is checked here, by our own clock.
_DECODING: Final[Options] = {
    "require": ["iss", "aud", "exp"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class Unauthenticated(GatewayError):
    """401. Says no more than whether the token was right once: `unauthenticated` or a `token_…` code.

    Of a client certificate it says more (`certificate_…`): whoever shows one holds its key.
    """

    def __init__(self, code: str = "unauthenticated") -> None:
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Credential:
    """A token that was proven to be the party's, or the proof of its certificate."""

    party: Party
    jti: str | None
    #: When it will no longer be accepted, leeway included.
    ends_at: Micros
    #: Nothing of it is used up: a connection can't be replayed.
    by_certificate: bool = False

    @property
    def party_id(self) -> PartyId:
        return PartyId(self.party.id)


class PartyKeys:
    """The public keys of every party, and the certificates that are bound to them."""

    def __init__(
        self, keys: Mapping[str, tuple[PublicKey, ...]], certificates: PartyCertificates = NO_CERTIFICATES
    ) -> None:
        self._keys = dict(keys)
        self.certificates = certificates
        # So that an unknown party costs as much time as a known one.
        self._nobodys = (Ed25519PrivateKey.generate().public_key(),)
        #: Whose a token is, and its claims. Remembered for as long as these keys are in force; whether it is
        #: still valid is for its caller to look at, each time. Raises `Unauthenticated`, and forgets that.
        self.proven = lru_cache(_REMEMBERED)(self._proven)

    @classmethod
    def load(cls, settings: Settings, data_dir: Path) -> PartyKeys:
        """Read the key files; demo keys must have been made. Raises `Misconfigured`."""
        keys = {party.id: _party_keys(party, settings, data_dir) for party in settings.parties}
        return cls(keys, PartyCertificates.load(settings))

    def of(self, party: str) -> tuple[PublicKey, ...]:
        """The party's keys (more than one while they are being changed), never none."""
        return self._keys.get(party) or self._nobodys

    def _proven(self, token: str, audience: str) -> tuple[str, Mapping[str, Any]]:
        claimed = _claimed_party(token)
        return claimed, _proven_claims(token, self.of(claimed), audience)


def _party_keys(party: Party, settings: Settings, data_dir: Path) -> tuple[PublicKey, ...]:
    if party.demo_key:
        return (_public_key(demo_public_key_path(data_dir, party.id)),)
    return tuple(_public_key(settings.file(key.file)) for key in party.keys)


def _public_key(path: Path) -> PublicKey:
    try:
        pem = path.read_bytes()
        private = b"PRIVATE KEY-----" in pem
        key = load_pem_private_key(pem, None).public_key() if private else load_pem_public_key(pem)
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured([f"{path}:1:1: cannot be read as a key"]) from error
    if _algorithm(key) is None:
        raise Misconfigured([f"{path}:1:1: is neither an Ed25519 nor a P-256 key"])
    return key  # type: ignore[return-value]


def _algorithm(key: object) -> str | None:
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    return None


def bearer(authorization: str | None) -> str:
    """The token of an `Authorization` header. Raises `Unauthenticated`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_TOKEN or not token.isascii():
        raise Unauthenticated
    return token


def verify(token: str, keys: PartyKeys, settings: Settings, now: datetime) -> Credential:
    """The credential that `token` is. Raises `Unauthenticated`."""
    claimed, claims = keys.proven(token, settings.gateway.tokens.audience)
    if "sha256" in claims:  # the proof of one command on the bus, which many may have read
        raise Unauthenticated
    party = settings.party(claimed)
    if party is None:
        raise Unauthenticated
    ends_at = _ends_at(claims, settings.gateway.tokens, now.timestamp())
    return Credential(party, _jti(claims), ends_at)


def _claimed_party(token: str) -> str:
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Unauthenticated from error
    return str(claims.get("iss", ""))


def _proven_claims(token: str, keys: tuple[PublicKey, ...], audience: str) -> dict[str, Any]:
    """The algorithm is the key's own, never the token's choice."""
    for key in keys:
        try:
            return jwt.decode(
                token, key, algorithms=[_algorithm(key) or ""], audience=audience, options=_DECODING
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
            continue
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated from error
    raise Unauthenticated


def _ends_at(claims: Mapping[str, Any], limits: Tokens, now_s: float) -> Micros:
    expires = _seconds(claims, "exp")
    issued = _seconds(claims, "iat", expires - limits.max_age_s)
    begins = max(issued, _seconds(claims, "nbf", issued))
    is_now = begins <= now_s + limits.leeway_s and now_s < expires + limits.leeway_s
    if not is_now or expires - issued > limits.max_age_s:
        raise Unauthenticated("token_expired")
    return Micros(round((expires + limits.leeway_s) * 1_000_000))


def _seconds(claims: Mapping[str, Any], name: str, absent: float = 0) -> float:
    """A NumericDate (RFC 7519, 2). Not NaN, and not an integer too large for a float."""
    value = claims.get(name, absent)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _END_OF_TIME:
        raise Unauthenticated
    return value


def _jti(claims: Mapping[str, Any]) -> str | None:
    jti = claims.get("jti")
    return jti if isinstance(jti, str) and _JTI.fullmatch(jti) else None


async def use_once(credential: Credential, purpose: str, ledger: Ledger, now: Micros) -> None:
    """Take the token for one changing request; the same `purpose` may come again, "" never.

    Raises `Unauthenticated` (`token_replayed`; `token_expired` when it ended while the request stood in line;
    `unauthenticated` without a `jti`), `Unavailable`.
    """
    if credential.by_certificate:
        return
    if credential.jti is None:
        raise Unauthenticated
    if now >= credential.ends_at:  # its use may be forgotten by now, and it would pass for a fresh one
        raise Unauthenticated("token_expired")
    fresh = await ledger.use_token(
        credential.party_id, credential.jti, purpose, expires_at=credential.ends_at, now=now
    )
    if not fresh:
        raise Unauthenticated("token_replayed")
