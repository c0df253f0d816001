"""Keys that we sign with, and the certificates that we pin. Read once; a call loads nothing.

ECDSA on P-256 and RSA from 2,048 bits, both with SHA-256, and nothing else. A certificate is trusted because
it was agreed on and stands in the configuration: no authority vouches for it, and its dates are looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

ECDSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"

_SMALLEST_RSA: Final = 2_048
_LARGEST_RSA: Final = 8_192
#: Half of an ECDSA signature on P-256 (RFC 4050, 3.3: r and s, each of 32 bytes, one after the other).
_HALF: Final = 32
_ECDSA: Final = ec.ECDSA(SHA256())
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with a key of a kind that we take."""

    x509: x509.Certificate
    der: bytes
    key: PublicKey

    @property
    def algorithm(self) -> str:
        """The one signature algorithm that its key is used with: never the message's choice."""
        return ECDSA_SHA256 if isinstance(self.key, ec.EllipticCurvePublicKey) else RSA_SHA256

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()

    def is_valid_at(self, now: datetime) -> bool:
        """Whether `now`, aware, lies within its dates."""
        return self.x509.not_valid_before_utc <= now <= self.x509.not_valid_after_utc

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether its key made that signature over `data`."""
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, data, padding.PKCS1v15(), SHA256())
            elif len(signature) == 2 * _HALF:
                self.key.verify(_as_der(signature), data, _ECDSA)
            else:
                return False
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """Our private key and the certificate that belongs to it."""

    certificate: Certificate
    key: PrivateKey

    def sign(self, data: bytes) -> bytes:
        """The signature, as XML Signature writes it. Safe from any thread."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), SHA256())
        r, s = decode_dss_signature(self.key.sign(data, _ECDSA))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def _as_der(signature: bytes) -> bytes:
    return encode_dss_signature(
        int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    )


class Pinned:
    """The certificates that a partner's messages may be signed with: the old and the new one in a renewal."""

    def __init__(self, certificates: Iterable[Certificate]) -> None:
        self._certificates = tuple(certificates)

    def __iter__(self) -> Iterator[Certificate]:
        return iter(self._certificates)

    def by_der(self, der: bytes) -> tuple[Certificate, ...]:
        """The same certificate, byte by byte."""
        return tuple(each for each in self._certificates if each.der == der)

    def by_serial(self, serial: int) -> tuple[Certificate, ...]:
        """By serial number. Who issued it may be written in many ways, and the pin decides anyway."""
        return tuple(each for each in self._certificates if each.x509.serial_number == serial)

    def by_sha1(self, digest: bytes) -> tuple[Certificate, ...]:
        """By the SHA-1 "thumbprint" of WS-Security 1.1: a name here, and no proof of anything."""
        return tuple(
            each
            for each in self._certificates
            if hashlib.sha1(each.der, usedforsecurity=False).digest() == digest
        )

    def by_key_id(self, identifier: bytes) -> tuple[Certificate, ...]:
        """By the subject key identifier (RFC 5280, 4.2.1.2)."""
        return tuple(each for each in self._certificates if _key_id(each.x509) == identifier)


def _key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return None


def load_certificate(path: Path) -> Certificate:
    """A certificate (PEM). Raises `ValueError` that says what is wrong with the file."""
    pem = _read(path)
    try:
        found = x509.load_pem_x509_certificate(pem)
        key = found.public_key()
    except _UNREADABLE:
        raise ValueError(f"certificate {path} is not a PEM certificate") from None
    if not _is_strong(key):
        raise ValueError(f"certificate {path} holds neither a P-256 key nor one of RSA from 2048 bits")
    return Certificate(found, found.public_bytes(Encoding.DER), key)  # type: ignore[arg-type]


def load_signing_key(certificate: Path, key: Path) -> SigningKey:
    """Our key with its certificate (PEM, unencrypted). Raises `ValueError`."""
    theirs, pem = load_certificate(certificate), _read(key)
    try:
        private = load_pem_private_key(pem, None)
    except _UNREADABLE:
        raise ValueError(f"key file {key} is not an unencrypted PEM private key") from None
    if private.public_key() != theirs.key:
        raise ValueError(f"key file {key} does not belong to certificate {certificate}")
    return SigningKey(theirs, private)  # type: ignore[arg-type]


def _is_strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"file {path} cannot be read: {error.strerror}") from None
