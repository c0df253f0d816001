"""Who sends this? WS-Security's UsernameToken (OASIS UsernameToken Profile 1.1.1), and nothing else of it.

    read_token   the one wsse:Security block of an envelope, taken apart
    prove        the party that knows the secret, or `Refused`

A digest proves the secret without showing it, once: its nonce is remembered by the caller. A password in
clear is taken only over a connection that nobody else can read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.errors import Refused
from gateway.xml import Element

_OASIS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
WSSE: Final = f"{_OASIS}-wssecurity-secext-1.0.xsd"
WSU: Final = f"{_OASIS}-wssecurity-utility-1.0.xsd"
PASSWORD_TEXT: Final = f"{_OASIS}-username-token-profile-1.0#PasswordText"
PASSWORD_DIGEST: Final = f"{_OASIS}-username-token-profile-1.0#PasswordDigest"
BASE64: Final = f"{_OASIS}-soap-message-security-1.0#Base64Binary"
SECURITY_TAG: Final = f"{{{WSSE}}}Security"
TIMESTAMP_TAG: Final = f"{{{WSU}}}Timestamp"
CREATED_TAG: Final = f"{{{WSU}}}Created"
EXPIRES_TAG: Final = f"{{{WSU}}}Expires"

_TOKEN: Final = f"{{{WSSE}}}UsernameToken"
_USERNAME, _PASSWORD, _NONCE = (f"{{{WSSE}}}{name}" for name in ("Username", "Password", "Nonce"))
_MOMENT: Final = re.compile(
    r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_LONGEST_TEXT: Final = 512
#: Of a nonce, in bytes: fewer could be met twice by chance.
_NONCE_BYTES: Final = range(8, 129)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a token may be, and how far a party's clock may be from ours."""

    max_age: timedelta = timedelta(minutes=5)
    leeway: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, repr=False)
class UsernameToken:
    """What a caller says of itself. Nothing of it is proven."""

    username: str
    password: str
    is_digest: bool
    nonce: bytes | None
    #: As written: the digest is over the text.
    created_text: str
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Proven:
    """A party that knows its secret."""

    party: str
    #: To be used once; None when the token has none.
    nonce_id: str | None
    #: From when on the token is too old anyway.
    ends_at: datetime


class PartySecrets:
    """The shared secrets of parties: more than one of a party while they are being changed."""

    def __init__(self, by_party: Mapping[str, Sequence[bytes]]) -> None:
        self._by_party = {party: tuple(known) for party, known in by_party.items()}
        # So that an unknown party costs as much time as a known one.
        self._nobodys = (secrets.token_bytes(32),)

    def of(self, party: str) -> tuple[bytes, ...]:
        """Never none."""
        return self._by_party.get(party) or self._nobodys


def read_token(headers: Sequence[Element], now: datetime, freshness: Freshness) -> UsernameToken:
    """The token in an envelope's header blocks.

    Raises `Refused`: `unauthenticated` when there is not exactly one, well made; `security_unsupported` for
    anything else inside the block, which we must not pass over in silence; `token_expired`.
    """
    blocks = [block for block in headers if block.tag == SECURITY_TAG]
    if len(blocks) != 1:
        raise _unproven()
    parts = children_once(blocks[0], {_TOKEN, TIMESTAMP_TAG})
    if TIMESTAMP_TAG in parts:
        _check_timestamp(parts[TIMESTAMP_TAG], now, freshness)
    if _TOKEN not in parts:
        raise _unproven()
    return _token(parts[_TOKEN])


def prove(
    token: UsernameToken,
    known: PartySecrets,
    now: datetime,
    freshness: Freshness,
    *,
    clear_allowed: bool,
) -> Proven:
    """The party that made the token. An unknown party and a wrong secret get the same answer.

    Raises `Refused`: `unauthenticated`, `token_expired`, or `password_not_protected` for a password in clear
    where others might read it.
    """
    if not token.is_digest and not clear_allowed:
        raise Refused("password_not_protected", status=401)
    matches = [_matches(token, secret) for secret in known.of(token.username)]
    if not any(matches):
        raise _unproven()
    if token.created is not None:
        check_age(token.created, now, freshness)
    created = token.created or now
    return Proven(token.username, _nonce_id(token), created + freshness.max_age + freshness.leeway)


def digest(nonce: bytes, created: str, secret: bytes) -> str:
    """`Password_Digest` of the profile, 3.1: it prescribes SHA-1, which serves here as a keyed check only."""
    material = nonce + created.encode() + secret
    return base64.b64encode(hashlib.sha1(material, usedforsecurity=False).digest()).decode()


def _matches(token: UsernameToken, secret: bytes) -> bool:
    if not token.is_digest:
        return hmac.compare_digest(token.password.encode(), secret)
    expected = digest(token.nonce or b"", token.created_text, secret)
    return hmac.compare_digest(token.password.encode(), expected.encode())


def _nonce_id(token: UsernameToken) -> str | None:
    """Short and of one form, whatever the nonce is."""
    return f"wsse-{hashlib.sha256(token.nonce).hexdigest()}" if token.nonce is not None else None


def _token(element: Element) -> UsernameToken:
    parts = children_once(element, {_USERNAME, _PASSWORD, _NONCE, CREATED_TAG})
    if _USERNAME not in parts or _PASSWORD not in parts:
        raise _unproven()
    kind = parts[_PASSWORD].get("Type", PASSWORD_TEXT)
    if kind not in (PASSWORD_TEXT, PASSWORD_DIGEST):
        raise Refused("security_unsupported")
    created = text_of(parts[CREATED_TAG]).strip() if CREATED_TAG in parts else ""
    token = UsernameToken(
        username=text_of(parts[_USERNAME]).strip(),
        password=text_of(parts[_PASSWORD]),
        is_digest=kind == PASSWORD_DIGEST,
        nonce=_nonce(parts[_NONCE]) if _NONCE in parts else None,
        created_text=created,
        created=moment_of(created) if created else None,
    )
    if token.is_digest and (token.nonce is None or token.created is None):
        raise _unproven()  # it could be sent again by anyone who saw it
    return token


def _nonce(element: Element) -> bytes:
    if element.get("EncodingType", BASE64) != BASE64:
        raise Refused("security_unsupported")
    try:
        nonce = base64.b64decode(text_of(element).strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unproven() from error
    if len(nonce) not in _NONCE_BYTES:
        raise _unproven()
    return nonce


def _check_timestamp(element: Element, now: datetime, freshness: Freshness) -> None:
    parts = children_once(element, {CREATED_TAG, EXPIRES_TAG})
    created = moment_of(text_of(parts[CREATED_TAG]).strip()) if CREATED_TAG in parts else now
    expires = moment_of(text_of(parts[EXPIRES_TAG]).strip()) if EXPIRES_TAG in parts else now
    if created > now + freshness.leeway or expires < now - freshness.leeway:
        raise Refused("token_expired", status=401)


def check_age(created: datetime, now: datetime, freshness: Freshness) -> None:
    """Raise `Refused` (`token_expired`) for what is too old, or not made yet."""
    if not now - freshness.max_age - freshness.leeway <= created <= now + freshness.leeway:
        raise Refused("token_expired", status=401)


def children_once(parent: Element, allowed: Collection[str]) -> dict[str, Element]:
    """The children by tag. Raises `Refused` for one that is not allowed, or is there twice."""
    found: dict[str, Element] = {}
    for child in parent:
        if child.tag not in allowed:
            raise Refused("security_unsupported")
        if str(child.tag) in found:
            raise _unproven()
        found[str(child.tag)] = child
    return found


def text_of(element: Element, longest: int = _LONGEST_TEXT) -> str:
    """The whole text, short and not interrupted. Raises `Refused`."""
    text = element.text or ""
    if len(element) or len(text) > longest:
        raise _unproven()
    return text


def moment_of(text: str) -> datetime:
    """An `xs:dateTime` with a time zone. Raises `Refused`."""
    if not _MOMENT.fullmatch(text):
        raise _unproven()
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise _unproven() from error


def _unproven() -> Refused:
    return Refused("unauthenticated", status=401)
