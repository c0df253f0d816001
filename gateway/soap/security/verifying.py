"""A signed envelope, proven or refused. The order is fixed:

    layout      one Envelope, Header, Body, Security, Timestamp and Signature in the whole document, each in
                its place; ids unique, however they are written
    key         the pinned certificate that the message names; its own algorithm and no other
    value       the signature over `SignedInfo`
    references  each by `#id` to one of the elements that count; Body and Timestamp must be among them, and
                our header block where there is one; the digest is taken over that very element
    dates       of the certificate and of the Timestamp: only now, so that a forger learns nothing from them

What is read afterwards is what was digested, the same objects: nothing can be put in its place (XML
signature wrapping, McIntosh and Austel, 2005). Nothing in a message is ever run or fetched.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from lxml import etree

from gateway.errors import Refused
from gateway.soap.envelope import DIALECTS, HEADER_TAG, Dialect
from gateway.soap.security.keys import Certificate, Pinned
from gateway.soap.security.names import (
    DS,
    ENCRYPTED_KEY_TAG,
    EXCLUSIVE,
    ID,
    SHA256_DIGEST,
    SIGNATURE_TAG,
    TOKEN_TAG,
    X509_KEY_ID,
    X509_SHA1,
    X509_V3,
    canonical,
)
from gateway.soap.wsse import (
    BASE64,
    CREATED_TAG,
    EXPIRES_TAG,
    SECURITY_TAG,
    TIMESTAMP_TAG,
    WSSE,
    Freshness,
    check_age,
    children_once,
    moment_of,
    text_of,
)
from gateway.xml import Element

#: Of base64 text, in characters: a certificate; the signature of the largest key.
_LONGEST_TOKEN: Final = 16_384
_LONGEST_VALUE: Final = 2_048
#: Each is an element digested.
_MOST_REFERENCES: Final = 16
_MOST_PREFIXES: Final = 32
_SIGNED_INFO, _VALUE, _KEY_INFO = (f"{{{DS}}}{name}" for name in ("SignedInfo", "SignatureValue", "KeyInfo"))
_CANONICALIZATION, _METHOD, _REFERENCE = (
    f"{{{DS}}}{name}" for name in ("CanonicalizationMethod", "SignatureMethod", "Reference")
)
_TRANSFORMS, _TRANSFORM, _DIGEST_METHOD, _DIGEST = (
    f"{{{DS}}}{name}" for name in ("Transforms", "Transform", "DigestMethod", "DigestValue")
)
_INCLUSIVE: Final = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
_TOKEN_REFERENCE: Final = f"{{{WSSE}}}SecurityTokenReference"
_DIRECT, _IDENTIFIER = f"{{{WSSE}}}Reference", f"{{{WSSE}}}KeyIdentifier"
_X509_DATA, _ISSUER_SERIAL, _ISSUER, _SERIAL = (
    f"{{{DS}}}{name}" for name in ("X509Data", "X509IssuerSerial", "X509IssuerName", "X509SerialNumber")
)
#: What stands once in a document, or not at all.
_SINGLE: Final = (
    *(f"{{{dialect.namespace}}}{name}" for dialect in DIALECTS for name in ("Envelope", "Header", "Body")),
    SECURITY_TAG,
    TIMESTAMP_TAG,
    SIGNATURE_TAG,
    TOKEN_TAG,
    HEADER_TAG,
)
#: Attributes that somebody takes for an id: wsu:Id, xml:id, and Id, ID, id of any or no namespace.
_IDS: Final = etree.XPath(
    "//@*[local-name()='Id' or local-name()='ID' or local-name()='id']", smart_strings=True
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A message that the holder of this certificate's key signed."""

    certificate: Certificate
    #: The same for every form in which the same signed content can be sent again.
    once_id: str
    #: When it is too old anyway.
    ends_at: datetime


class _Layout(NamedTuple):
    """The elements that count, each the only one of its kind in the document."""

    body: Element
    timestamp: Element
    signature: Element
    header: Element | None
    token: Element | None
    #: By its `wsu:Id`.
    by_id: dict[str, Element]


def is_signed(headers: tuple[Element, ...]) -> bool:
    """Whether a Security block among these holds a signature, of whatever worth."""
    return any(next(block.iterchildren(SIGNATURE_TAG), None) is not None for block in headers)


def verify(root: Element, dialect: Dialect, pinned: Pinned, now: datetime, freshness: Freshness) -> Signed:
    """Prove that a pinned certificate's key signed Body, Timestamp and our header block, lately.

    Raises `Refused` (401): `signature_missing`; `signature_invalid` for whatever is not as described above;
    `security_unsupported` for an algorithm, transform or key reference that is not on our lists;
    `signing_certificate_expired`, `token_expired`.
    """
    try:
        layout = _layout(root, dialect)
        info, value, key_info = _parts(layout.signature)
        certificate, once = _proven(info, value, _named(key_info, layout, pinned))
        _check_references(info, layout)
        created = _checked_timestamp(layout.timestamp, now, freshness)
    except Refused as error:
        # Readers of texts and times speak of credentials; here it is one of them that is wrong.
        raise Refused(_CODES.get(error.code, error.code), status=401) from error
    if not certificate.is_valid_at(now):
        raise Refused("signing_certificate_expired", status=401)
    return Signed(certificate, once, created + freshness.max_age + freshness.leeway)


_CODES: Final = {"unauthenticated": "signature_invalid"}


# --- layout ----------------------------------------------------------------------------------------------


def _layout(root: Element, dialect: Dialect) -> _Layout:
    """Raises `Refused` unless everything is there once, and in its place."""
    found: dict[str, Element] = {}
    for element in root.iter(*_SINGLE):
        if found.setdefault(str(element.tag), element) is not element:
            raise _invalid()
    header, body = (found.get(f"{{{dialect.namespace}}}{name}") for name in ("Header", "Body"))
    security, signature = found.get(SECURITY_TAG), found.get(SIGNATURE_TAG)
    if header is None or security is None or signature is None:
        raise Refused("signature_missing")
    timestamp = found.get(TIMESTAMP_TAG)
    if body is None or timestamp is None:
        raise _invalid()
    ours, token = found.get(HEADER_TAG), found.get(TOKEN_TAG)
    places = ((header, root), (body, root), (security, header), (timestamp, security), (signature, security))
    optional = ((ours, header), (token, security))
    if any(element.getparent() is not parent for element, parent in places) or any(
        element is not None and element.getparent() is not parent for element, parent in optional
    ):
        raise _invalid()
    children_once(security, (TIMESTAMP_TAG, SIGNATURE_TAG, TOKEN_TAG, ENCRYPTED_KEY_TAG))
    _check_for_us(security, dialect)
    return _Layout(body, timestamp, signature, ours, token, _ids(root))


def _check_for_us(security: Element, dialect: Dialect) -> None:
    """A block for another actor or role says nothing to us, and two readers might differ on who is meant."""
    allowed = {f"{{{dialect.namespace}}}mustUnderstand", ID}
    if not allowed.issuperset(map(str, security.attrib)):
        raise Refused("security_unsupported")


def _ids(root: Element) -> dict[str, Element]:
    """Elements by `wsu:Id`, the only attribute that we go by; no value may stand in any id twice."""
    seen: set[str] = set()
    by_id: dict[str, Element] = {}
    for found in _matches(root):
        value = str(found)
        if value in seen:
            raise _invalid()
        seen.add(value)
        if found.attrname == ID:
            by_id[value] = found.getparent()
    return by_id


def _matches(root: Element) -> list[Any]:
    found: Any = _IDS(root)
    return list(found)


# --- the signature ---------------------------------------------------------------------------------------


def _parts(signature: Element) -> tuple[Element, Element, Element]:
    """`SignedInfo`, `SignatureValue`, `KeyInfo`; a `ds:Object` might hide something signed."""
    return _exactly(signature, _SIGNED_INFO, _VALUE, _KEY_INFO)


def _proven(info: Element, value: Element, named: tuple[Certificate, ...]) -> tuple[Certificate, str]:
    """The certificate whose key signed `info`, and the name of what was signed."""
    if [child.tag for child in info[:2]] != [_CANONICALIZATION, _METHOD]:
        raise _invalid()
    canonicalization, method = info[:2]
    data = canonical(info, _inclusive(canonicalization))
    signature = _base64(value, _LONGEST_VALUE)
    algorithm = _algorithm(method)
    if len(method) or all(certificate.algorithm != algorithm for certificate in named):
        raise Refused("security_unsupported")
    for certificate in named:
        if certificate.algorithm == algorithm and certificate.verifies(signature, data):
            # Not over the value: of one ECDSA signature anybody can make another that is as good.
            name = hashlib.sha256(certificate.der + hashlib.sha256(data).digest()).hexdigest()
            return certificate, f"wsse-signed-{name}"
    raise _invalid()


def _named(key_info: Element, layout: _Layout, pinned: Pinned) -> tuple[Certificate, ...]:
    """The pinned certificates that the message names. What it brings along is a name, never a key."""
    (reference,) = _exactly(key_info, _TOKEN_REFERENCE)
    if len(reference) != 1:
        raise _invalid()
    name = reference[0]
    if name.tag == _DIRECT:
        found = pinned.by_der(_token(name, layout))
    elif name.tag == _IDENTIFIER:
        found = _by_identifier(name, pinned)
    elif name.tag == _X509_DATA:
        found = pinned.by_serial(_serial(name))
    else:
        raise Refused("security_unsupported")
    if not found:
        raise _invalid()
    return found


def _token(reference: Element, layout: _Layout) -> bytes:
    token = layout.token
    if token is None or layout.by_id.get(_target(reference)) is not token:
        raise _invalid()
    if token.get("ValueType") != X509_V3 or token.get("EncodingType", BASE64) != BASE64:
        raise Refused("security_unsupported")
    return _base64(token, _LONGEST_TOKEN)


def _by_identifier(name: Element, pinned: Pinned) -> tuple[Certificate, ...]:
    kinds = {X509_SHA1: pinned.by_sha1, X509_KEY_ID: pinned.by_key_id}
    look_up = kinds.get(name.get("ValueType", ""))
    if look_up is None or name.get("EncodingType", BASE64) != BASE64:
        raise Refused("security_unsupported")
    return look_up(_base64(name, _LONGEST_VALUE))


def _serial(data: Element) -> int:
    (pair,) = _exactly(data, _ISSUER_SERIAL)
    _, serial = _exactly(pair, _ISSUER, _SERIAL)
    digits = text_of(serial).strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 60):
        raise _invalid()
    return int(digits)


# --- references ------------------------------------------------------------------------------------------


def _check_references(info: Element, layout: _Layout) -> None:
    """Every digest is right, and nothing that counts is left out."""
    references = _exactly_after(info, 2, _REFERENCE)
    signed = [_referenced(reference, layout) for reference in references]
    needed = [layout.body, layout.timestamp]
    if layout.header is not None:
        needed.append(layout.header)
    if any(all(element is not one for one in signed) for element in needed):
        raise _invalid()
    if len({id(element) for element in signed}) != len(signed):
        raise _invalid()


def _referenced(reference: Element, layout: _Layout) -> Element:
    """The element that the reference names, once its digest was found right."""
    transforms, method, value = _exactly(reference, _TRANSFORMS, _DIGEST_METHOD, _DIGEST)
    element = layout.by_id.get(_target(reference))
    if element is None or not _may_be_signed(element, layout):
        raise _invalid()
    (transform,) = _exactly(transforms, _TRANSFORM)
    if _algorithm(method) != SHA256_DIGEST or len(method):
        raise Refused("security_unsupported")
    digest = hashlib.sha256(canonical(element, _inclusive(transform))).digest()
    if not hmac.compare_digest(digest, _base64(value, _LONGEST_VALUE)):
        raise _invalid()
    return element


def _may_be_signed(element: Element, layout: _Layout) -> bool:
    """Body, Timestamp, token, and blocks of the Header: what a reader could mistake for nothing else."""
    security = layout.timestamp.getparent()
    header = None if security is None else security.getparent()
    is_block = element.getparent() is header and element is not security
    return is_block or any(element is one for one in (layout.body, layout.timestamp, layout.token))


def _target(reference: Element) -> str:
    """The id in a `#id` reference. Anything else, "" for the whole document above all, is refused."""
    uri = reference.get("URI", "")
    if not uri.startswith("#") or len(uri) > 256:
        raise _invalid()
    return uri[1:]


def _algorithm(element: Element) -> str:
    return element.get("Algorithm", "")


def _inclusive(method: Element) -> list[str] | None:
    """The prefixes of an exclusive canonicalisation's list. Raises `Refused` for any other algorithm."""
    if _algorithm(method) != EXCLUSIVE:
        raise Refused("security_unsupported")
    if not len(method):
        return None
    (listed,) = _exactly(method, _INCLUSIVE)
    prefixes = listed.get("PrefixList", "").split()
    if len(prefixes) > _MOST_PREFIXES:  # each is looked for at every element
        raise _invalid()
    return ["" if prefix == "#default" else prefix for prefix in prefixes]


# --- small things ----------------------------------------------------------------------------------------


def _checked_timestamp(timestamp: Element, now: datetime, freshness: Freshness) -> datetime:
    """When the message was made. Raises `Refused` (`token_expired`) unless that was lately."""
    parts = children_once(timestamp, (CREATED_TAG, EXPIRES_TAG))
    if CREATED_TAG not in parts:
        raise _invalid()
    created = moment_of(text_of(parts[CREATED_TAG]).strip())
    check_age(created, now, freshness)
    if EXPIRES_TAG in parts and moment_of(text_of(parts[EXPIRES_TAG]).strip()) < now - freshness.leeway:
        raise Refused("token_expired")
    return created


def _exactly(parent: Element, *tags: str) -> tuple[Any, ...]:
    """The children, which have these tags in this order; no comment, no instruction."""
    children = tuple(parent)
    if [child.tag for child in children] != list(tags):
        raise _invalid()
    return children


def _exactly_after(parent: Element, start: int, tag: str) -> Iterator[Element]:
    children = parent[start:]
    if not 0 < len(children) <= _MOST_REFERENCES or any(child.tag != tag for child in children):
        raise _invalid()
    return iter(children)


def _base64(element: Element, longest: int) -> bytes:
    try:
        return base64.b64decode("".join(text_of(element, longest).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid() from error


def _invalid() -> Refused:
    return Refused("signature_invalid")
