"""Bearer tokens of parties: how a party signs one (RFC 7519), and the key pairs of demonstrations."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.errors import Misconfigured
from gateway.message import new_id
from gateway.settings import Settings


def sign_token(private_key_path: Path, party: str, audience: str, lifetime_s: int, now: datetime) -> str:
    """A token with which `party` proves itself for `lifetime_s` seconds from `now`, once on a POST.

    Raises `Misconfigured` when the file holds no Ed25519 or P-256 private key.
    """
    key = _private_key(private_key_path)
    issued_at = int(now.timestamp())
    claims = {
        "iss": party,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + lifetime_s,
        "jti": new_id(),
    }
    return jwt.encode(claims, key, algorithm="EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256")


def demo_key_path(data_dir: Path, party: str) -> Path:
    """Where the private demo key of a party is kept; its public half ends in `.pub.pem`."""
    return data_dir / "keys" / "parties" / f"{party}.pem"


def demo_public_key_path(data_dir: Path, party: str) -> Path:
    """Where the public half of a party's demo key is kept."""
    return demo_key_path(data_dir, party).with_suffix(".pub.pem")


def ensure_demo_keys(settings: Settings, data_dir: Path) -> None:
    """Make the Ed25519 pair of each party with `demo_key: true` that has none yet. Safe to call again."""
    for party in settings.parties:
        if party.demo_key:
            _ensure_pair(demo_key_path(data_dir, party.id), demo_public_key_path(data_dir, party.id))


def write_secret(path: Path, secret: bytes) -> None:
    """Put `secret` into a new file that only its owner may read, whole or not at all.

    Raises `FileExistsError`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{new_id()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()


def _ensure_pair(private: Path, public: Path) -> None:
    if not private.exists():
        key = Ed25519PrivateKey.generate()
        write_secret(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    # Always derived anew: a crash between the two files, or a replaced private key, mends itself.
    pem = _private_key(private).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if not public.exists() or public.read_bytes() != pem:
        public.write_bytes(pem)


def _private_key(path: Path) -> Ed25519PrivateKey | EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured([f"{path}:1:1: cannot be read as a private key"]) from error
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
        raise Misconfigured([f"{path}:1:1: is neither an Ed25519 nor a P-256 key"])
    return key
