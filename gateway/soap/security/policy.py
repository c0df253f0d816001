"""What was agreed with one partner about its messages, as three things with the same two verbs.

`write` makes an envelope that goes to the partner; `open` takes apart one that came from it, and raises
`Refused` unless it is what was agreed.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import Final, Protocol
from xml.sax.saxutils import escape

from gateway.errors import Refused
from gateway.ports import Clock
from gateway.soap.envelope import Dialect, Envelope, dialect_of, open_envelope
from gateway.soap.security.encryption import Decrypter, security_of
from gateway.soap.security.keys import Pinned
from gateway.soap.security.names import ID
from gateway.soap.security.signing import Signer, written
from gateway.soap.security.verifying import Signed, verify
from gateway.soap.wsse import BASE64, PASSWORD_DIGEST, SECURITY_TAG, WSSE, WSU, Freshness, digest
from gateway.xml import Element, Limits

_NONCE_BYTES: Final = 16


class MessageSecurity(Protocol):
    """How messages are exchanged with one partner. Safe from any thread."""

    @property
    def proves(self) -> bool:
        """Whether what `open` gives back is proven to be the partner's."""

    @property
    def understood(self) -> frozenset[str]:
        """Tags of header blocks that `open` looks at."""

    def write(self, dialect: Dialect, header: str, content: str) -> bytes:
        """An envelope around XML text.

        Raises `UnicodeEncodeError` and `etree.XMLSyntaxError` for text that is none.
        """

    def open(self, root: Element) -> Envelope:
        """The envelope taken apart. Raises `Refused`."""


@dataclass(frozen=True, slots=True)
class Unprotected:
    """Nothing beside the connection's own protection."""

    proves: bool = False
    understood: frozenset[str] = frozenset()

    def write(self, dialect: Dialect, header: str, content: str) -> bytes:
        return dialect.wrap(header, content)

    def open(self, root: Element) -> Envelope:
        return open_envelope(root)


UNPROTECTED: Final = Unprotected()


@dataclass(frozen=True, slots=True)
class Introduced:
    """Each of our messages tells who we are, by a UsernameToken with a digest; replies prove nothing."""

    username: str
    secret: bytes = field(repr=False)
    clock: Clock
    proves: bool = False
    understood: frozenset[str] = frozenset()

    def write(self, dialect: Dialect, header: str, content: str) -> bytes:
        nonce, created = os.urandom(_NONCE_BYTES), written(self.clock.now())
        token = (
            f'<w:Security xmlns:w="{WSSE}" xmlns:u="{WSU}" s:mustUnderstand="1"><w:UsernameToken>'
            f"<w:Username>{escape(self.username)}</w:Username>"
            f'<w:Password Type="{PASSWORD_DIGEST}">{digest(nonce, created, self.secret)}</w:Password>'
            f'<w:Nonce EncodingType="{BASE64}">{base64.b64encode(nonce).decode()}</w:Nonce>'
            f"<u:Created>{created}</u:Created></w:UsernameToken></w:Security>"
        )
        return dialect.wrap(token + header, content)

    def open(self, root: Element) -> Envelope:
        return open_envelope(root)


@dataclass(frozen=True, slots=True)
class Signatures:
    """Both sides sign; with a `decrypter` the partner encrypts its Bodies to us as well."""

    signer: Signer
    pinned: Pinned
    clock: Clock
    freshness: Freshness = field(default_factory=Freshness)
    decrypter: Decrypter | None = None
    proves: bool = True
    understood: frozenset[str] = frozenset({SECURITY_TAG})

    def write(self, dialect: Dialect, header: str, content: str) -> bytes:
        return self.signer.write(dialect, header, content, self.clock.now())

    def open(self, root: Element) -> Envelope:
        envelope = open_envelope(root)
        if self.decrypter is not None:
            envelope = _decrypted(root, envelope, self.decrypter)
        proven(root, envelope, self.pinned, self.clock, self.freshness)
        return envelope


def proven(root: Element, envelope: Envelope, pinned: Pinned, clock: Clock, freshness: Freshness) -> Signed:
    """Who signed this envelope; our header block is then as its schema wants it, without the id.

    Raises `Refused` as `verify` does.
    """
    signed = verify(root, envelope.dialect, pinned, clock.now(), freshness)
    if envelope.message_header is not None:
        envelope.message_header.attrib.pop(ID, None)
    return signed


def _decrypted(root: Element, envelope: Envelope, decrypter: Decrypter) -> Envelope:
    if dialect_of(root) is None or len(root) != 2:
        raise Refused("signature_missing", status=401)
    header, body = root
    decrypter.open_body(body, security_of(header), Limits())
    return open_envelope(root)
