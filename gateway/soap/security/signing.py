"""A signed envelope, written: Timestamp, Body, our header block and the token under one signature.

The text around what differs is fixed, and canonical by construction where it is signed itself (`SignedInfo`).
What is signed in the envelope is put into its canonical form by the parser's library, once for each markup:
that of the next message with the same tags differs in its texts alone, as long as those stand for themselves
(the reasoning is that of decision 0029).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Final, Literal
from xml.sax.saxutils import escape

from cryptography import x509
from lxml import etree

from gateway.soap.envelope import Dialect
from gateway.soap.security.keys import SigningKey
from gateway.soap.security.names import DS, EXCLUSIVE, SHA256_DIGEST, X509_V3, canonical
from gateway.soap.simple_types import CHARACTER
from gateway.soap.wsse import BASE64, WSSE, WSU

#: How the receiver is told which of our certificates it is: by itself, or by issuer and serial number.
KeyReference = Literal["token", "issuer_serial"]

#: Ids, each once in a message; the content of a Body has none.
BODY, HEADER, TIMESTAMP, TOKEN = "Body", "MessageHeader", "Timestamp", "Token"
#: Tags, and whatever else is markup, apart from texts.
_TAG: Final = re.compile("(<[^<>]*>)")
#: Texts that stand for themselves, in a document as in its canonical form.
_PLAIN: Final = re.compile(f"{CHARACTER}*").fullmatch
#: Around the number that stands for a text.
_MARK: Final = "\ue000"
#: Kept, of the messages that one key signs.
_MOST_FORMS: Final = 256
_FIRST_NAME: Final = re.compile(r"<[^\s/>]+")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What encryption makes of a Body's content: an element for the Security block, and the new content."""

    key: str
    content: str


class Signer:
    """Writes signed envelopes with one key. Safe from any thread."""

    def __init__(
        self,
        key: SigningKey,
        *,
        reference: KeyReference = "token",
        lifetime: timedelta = timedelta(minutes=5),
        encrypt: Callable[[str], Wrapped] | None = None,
    ) -> None:
        """`lifetime`: after it the message is to be refused. `encrypt`: of the signed Body's content."""
        self._key = key
        self._lifetime = lifetime
        self._encrypt = encrypt
        self._token = _token(key) if reference == "token" else ""
        self._key_info = _key_info(key, reference)
        self._canonical = _CanonicalForms()

    def write(self, dialect: Dialect, header: str, content: str, now: datetime) -> bytes:
        """An envelope around XML text, signed at `now` (aware, UTC).

        Raises `UnicodeEncodeError` and `etree.XMLSyntaxError` for text that is none.
        """
        start = (
            f'<s:Envelope xmlns:s="{dialect.namespace}" xmlns:wsu="{WSU}"><s:Header>'
            f'<wsse:Security xmlns:wsse="{WSSE}" s:mustUnderstand="1">'
        )
        protected = f"{self._token}{_timestamp(now, now + self._lifetime)}"
        rest = f"</wsse:Security>{_with_id(header)}</s:Header>"
        body = f'<s:Body wsu:Id="{BODY}">{content}</s:Body></s:Envelope>'
        signature = self._signature(self._canonical.of(f"{start}{protected}{rest}{body}"))
        if self._encrypt is not None:
            wrapped = self._encrypt(content)
            start += wrapped.key
            body = f'<s:Body wsu:Id="{BODY}">{wrapped.content}</s:Body></s:Envelope>'
        return f'<?xml version="1.0" encoding="utf-8"?>{start}{protected}{signature}{rest}{body}'.encode()

    def _signature(self, signed: _Signed) -> str:
        info = _signed_info(self._key.certificate.algorithm, signed)
        value = base64.b64encode(self._key.sign(info.encode())).decode()
        return (
            f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>{value}</ds:SignatureValue>'
            f"{self._key_info}</ds:Signature>"
        )


#: By id: the canonical form of what is signed, in the order of its references.
_Signed = Mapping[str, bytes]


class _CanonicalForms:
    """What is signed in an unsigned envelope, in canonical form."""

    def __init__(self) -> None:
        #: By the tags of the envelope. Of each id: its form with `%s` for each text, and which texts.
        self._known: dict[str, dict[str, tuple[str, slice]]] = {}

    def of(self, unsigned: str) -> _Signed:
        """Raises `UnicodeEncodeError` and `etree.XMLSyntaxError`."""
        pieces = _TAG.split(unsigned)
        texts, tags = tuple(pieces[::2]), pieces[1::2]
        if not _PLAIN("".join(texts)):
            return _by_parser(unsigned)
        markup = "".join(tags)
        form = self._known.get(markup)
        if form is not None:
            return {id: (template % texts[part]).encode() for id, (template, part) in form.items()}
        if len(self._known) < _MOST_FORMS and _MARK not in markup:
            self._known[markup] = _form(texts, tags)
        return _by_parser(unsigned)


def _form(texts: tuple[str, ...], tags: list[str]) -> dict[str, tuple[str, slice]]:
    """By a document whose texts are their own numbers."""
    numbered = [f"{_MARK}{number}{_MARK}" if 0 < number < len(tags) else "" for number in range(len(texts))]
    found = _by_parser("".join(chain.from_iterable(zip_longest(numbered, tags, fillvalue=""))))
    form = {}
    for id, data in found.items():
        literals = data.decode().replace("%", "%%").split(_MARK)
        numbers = list(map(int, literals[1::2]))
        literals[1::2] = ["%s"] * len(numbers)
        form[id] = "".join(literals), slice(numbers[0], numbers[-1] + 1)
    return form


def _by_parser(unsigned: str) -> _Signed:
    header, body = etree.fromstring(unsigned.encode())
    security, *blocks = header
    *token, timestamp = security
    signed = {BODY: canonical(body), TIMESTAMP: canonical(timestamp)}
    if blocks:
        signed[HEADER] = canonical(blocks[0])
    if token:
        signed[TOKEN] = canonical(token[0])
    return signed


def _signed_info(algorithm: str, signed: _Signed) -> str:
    """`ds:SignedInfo` in its canonical form: no blank, no empty tag, its namespace on itself."""
    references = "".join(
        f'<ds:Reference URI="#{name}"><ds:Transforms><ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>'
        f'</ds:Transforms><ds:DigestMethod Algorithm="{SHA256_DIGEST}"></ds:DigestMethod>'
        f"<ds:DigestValue>{base64.b64encode(hashlib.sha256(data).digest()).decode()}</ds:DigestValue>"
        "</ds:Reference>"
        for name, data in signed.items()
    )
    return (
        f'<ds:SignedInfo xmlns:ds="{DS}">'
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod>{references}</ds:SignedInfo>'
    )


def _timestamp(created: datetime, expires: datetime) -> str:
    return (
        f'<wsu:Timestamp wsu:Id="{TIMESTAMP}"><wsu:Created>{written(created)}</wsu:Created>'
        f"<wsu:Expires>{written(expires)}</wsu:Expires></wsu:Timestamp>"
    )


def written(moment: datetime) -> str:
    """A moment in UTC, to the millisecond."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _with_id(header: str) -> str:
    """The header block with an id to be referred to by."""
    return _FIRST_NAME.sub(rf'\g<0> wsu:Id="{HEADER}"', header, count=1)


def _token(key: SigningKey) -> str:
    der = base64.b64encode(key.certificate.der).decode()
    return (
        f'<wsse:BinarySecurityToken wsu:Id="{TOKEN}" EncodingType="{BASE64}" ValueType="{X509_V3}">{der}'
        "</wsse:BinarySecurityToken>"
    )


def _key_info(key: SigningKey, reference: KeyReference) -> str:
    if reference == "token":
        named = f'<wsse:Reference URI="#{TOKEN}" ValueType="{X509_V3}"/>'
    else:
        named = issuer_serial(key.certificate.x509)
    return f"<ds:KeyInfo><wsse:SecurityTokenReference>{named}</wsse:SecurityTokenReference></ds:KeyInfo>"


def issuer_serial(certificate: x509.Certificate) -> str:
    """A certificate's name in XML Signature: its issuer (RFC 4514) and serial number."""
    return (
        "<ds:X509Data><ds:X509IssuerSerial>"
        f"<ds:X509IssuerName>{escape(certificate.issuer.rfc4514_string())}</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber>"
        "</ds:X509IssuerSerial></ds:X509Data>"
    )
