"""Encryption keys of receivers (RFC 7517): whoever is told something restricted has one."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from joserfc.jwk import ECKey, OKPKey

from gateway.errors import Misconfigured

EncryptionKey = OKPKey | ECKey


def load_encryption_key(path: Path) -> EncryptionKey:
    """The public X25519 or P-256 key in a PEM file. Raises `Misconfigured`."""
    try:
        pem = path.read_bytes()
        private = b"PRIVATE KEY-----" in pem
        key = load_pem_private_key(pem, None).public_key() if private else load_pem_public_key(pem)
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured([f"{path}:1:1: cannot be read as a key"]) from error
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, X25519PublicKey):
        return OKPKey.import_key(public)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return ECKey.import_key(public)
    raise Misconfigured([f"{path}:1:1: is neither an X25519 nor a P-256 key"])


def demo_encryption_key_path(data_dir: Path, party: str) -> Path:
    """Where the private encryption key of a demo party is kept; its public half ends in `.pub.pem`."""
    return data_dir / "keys" / "encryption" / f"{party}.pem"


def ensure_demo_encryption_key(data_dir: Path, party: str) -> EncryptionKey:
    """The party's demo key, made if it has none yet. Safe to call again. Raises `Misconfigured`."""
    private = demo_encryption_key_path(data_dir, party)
    if not private.exists():
        _write_new(private, X25519PrivateKey.generate())
    key = load_encryption_key(private)
    private.with_suffix(".pub.pem").write_bytes(key.as_pem(private=False))
    return key


def _write_new(path: Path, key: X25519PrivateKey) -> None:
    """Whole or not at all, and for its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
