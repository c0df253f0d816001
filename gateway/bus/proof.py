"""Who sent this command? A token signed with the party's key, over the hash of the body, tells.

The AMQP header `authorization` holds `Bearer` and a JWT (RFC 7519) with `iss` (the party), `aud`, `iat` and
`sha256`, the base64url SHA-256 of the body. A command may lie in the queue while the gateway is being mended,
so `iat` may be days old and `exp` is not looked at. That is safe: the token is good for these very bytes and
no others, and the same command again gets the first answer, by its CloudEvents id. Senders leave `exp` out,
and their token is then worth nothing over HTTP, where it is required.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.types import Options

from gateway.bus.port import PartyKeys, SigningKey
from gateway.errors import Refused
from gateway.message import PartyId

_LONGEST_TOKEN: Final = 4_096
_END_OF_TIME: Final = 10**11
_DECODING: Final[Options] = {
    "require": ["iss", "aud", "iat", "sha256"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


@dataclass(frozen=True, slots=True)
class ProofRules:
    """What a command's token must say."""

    audience: str = "umrah-gateway"
    #: How long ago a command may have been signed: the longest it may wait in the queue.
    max_age_s: float = 7 * 86_400
    #: Allowed difference between a party's clock and ours.
    leeway_s: float = 5


class KeysInForce:
    """The parties' keys as they are now: replaced whole when the configuration changes."""

    def __init__(self, keys: PartyKeys) -> None:
        #: Set on the gateway's loop, read on the consumer's thread.
        self.keys = keys

    def of(self, party: str) -> Sequence[SigningKey]:
        """The party's keys in force."""
        return self.keys.of(party)


def sign_command(
    key: Ed25519PrivateKey | EllipticCurvePrivateKey, party: str, audience: str, body: bytes, now: datetime
) -> str:
    """The value of the header `authorization` for `body`."""
    claims = {"iss": party, "aud": audience, "iat": int(now.timestamp()), "sha256": body_digest(body)}
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
    return f"Bearer {jwt.encode(claims, key, algorithm=algorithm)}"


def prove_sender(
    authorization: object, body: bytes, keys: PartyKeys, rules: ProofRules, now: datetime
) -> PartyId:
    """The party that signed `body`.

    Raises `Refused`: `unauthenticated` (whatever is wrong with token or key), `body_not_signed`,
    `command_too_old`.
    """
    token = _bearer(authorization)
    party = _claimed_party(token)
    claims = _proven_claims(token, keys.of(party), rules.audience)
    signed = str(claims["sha256"]).encode(errors="replace")  # JSON may hold what is no text
    if not hmac.compare_digest(signed, body_digest(body).encode()):
        raise Refused("body_not_signed")
    _check_age(claims, rules, now.timestamp())
    return PartyId(party)


def body_digest(body: bytes) -> str:
    """Base64url of SHA-256, without padding."""
    return urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def _bearer(authorization: object) -> str:
    scheme, _, token = authorization.partition(" ") if isinstance(authorization, str) else ("", "", "")
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_TOKEN or not token.isascii():
        raise Refused("unauthenticated")
    return token


def _claimed_party(token: str) -> str:
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Refused("unauthenticated") from error
    return str(claims.get("iss", ""))


def _proven_claims(token: str, keys: Sequence[SigningKey], audience: str) -> dict[str, Any]:
    """The algorithm is the key's own, never the token's choice."""
    for key in keys:
        try:
            return jwt.decode(token, key, algorithms=[_algorithm(key)], audience=audience, options=_DECODING)
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
            continue
        except (jwt.PyJWTError, ValueError) as error:
            raise Refused("unauthenticated") from error
    raise Refused("unauthenticated")


def _algorithm(key: SigningKey) -> str:
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    raise Refused("unauthenticated")


def _check_age(claims: dict[str, Any], rules: ProofRules, now_s: float) -> None:
    issued = claims["iat"]
    if isinstance(issued, bool) or not isinstance(issued, int | float) or not 0 <= issued < _END_OF_TIME:
        raise Refused("unauthenticated")
    if issued > now_s + rules.leeway_s:
        raise Refused("unauthenticated")
    if now_s - issued > rules.max_age_s:
        raise Refused("command_too_old")
