"""Key and certificate files: are they there, readable by their owner alone, and do they fit?"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_OTHERS: Final = 0o077
_PRIVATE: Final = b"PRIVATE KEY-----"
_BAD_KEY: Final = (ValueError, TypeError, UnsupportedAlgorithm)


def key_file_fault(path: Path, algorithm: str) -> str | None:
    """What is wrong with a party's key file, or None. A private key serves too, if others cannot read it."""
    pem = _read(path)
    if isinstance(pem, str):
        return pem
    if _PRIVATE in pem and _readable_by_others(path):
        return _mode_text(path)
    try:
        key = load_pem_private_key(pem, None).public_key() if _PRIVATE in pem else load_pem_public_key(pem)
    except _BAD_KEY:
        return f"key file {path} is not a PEM key"
    return None if _algorithm(key) == algorithm else f"key file {path} is not a key for {algorithm}"


def pair_fault(certificate: Path, key: Path) -> str | None:
    """What is wrong with a certificate and its private key, or None."""
    pems = [_read(certificate), _read(key)]
    if unread := next((pem for pem in pems if isinstance(pem, str)), None):
        return unread
    if _readable_by_others(key):
        return _mode_text(key)
    try:
        theirs = x509.load_pem_x509_certificate(_bytes(pems[0])).public_key()
    except _BAD_KEY:
        return f"certificate {certificate} is not a PEM certificate"
    try:
        ours = load_pem_private_key(_bytes(pems[1]), None).public_key()
    except _BAD_KEY:
        return f"key file {key} is not an unencrypted PEM private key"
    same = _spki(theirs) == _spki(ours)
    return None if same else f"key file {key} does not belong to certificate {certificate}"


def _read(path: Path) -> bytes | str:
    try:
        return path.read_bytes()
    except OSError as error:
        return f"file {path} cannot be read: {error.strerror}"


def _readable_by_others(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)


def _mode_text(path: Path) -> str:
    return f"key file {path} can be read by others (mode {path.stat().st_mode & 0o777:04o}): chmod 600 it"


def _bytes(pem: bytes | str) -> bytes:
    return pem if isinstance(pem, bytes) else pem.encode()


def _algorithm(key: object) -> str | None:
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    return None


def _spki(key: PublicKeyTypes) -> bytes:
    """SubjectPublicKeyInfo (RFC 5280, 4.1): equal for equal keys of any kind."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
