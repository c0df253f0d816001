"""Keys and self-signed certificates for both sides of a demonstration, made in the data directory.

Whoever reads that directory can speak for the partners as for the gateway: never in production.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.message import new_id
from gateway.settings.soap_security import DemoKeys
from gateway.soap.security.keys import Certificate, PrivateKey, SigningKey, load_certificate, load_signing_key

#: Our own name in file names; no party has it.
OURS: Final = "umrah-gateway"
_VALIDITY: Final = timedelta(days=3_650)
_RSA_BITS: Final = 2_048


def demo_keys_directory(data_dir: Path) -> Path:
    """Where they are: `<who>.<algorithm>.key` and `.crt`."""
    return data_dir / "keys" / "soap"


def ensure_demo_pair(folder: Path, who: str, algorithm: DemoKeys) -> None:
    """Make the pair of a party, or of `OURS`, unless it is there. Safe to call again."""
    if not _file(folder, who, algorithm, "crt").exists():
        key = _new_key(algorithm)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(_file(folder, who, algorithm, "key"), pem)
        # Last: a crash in between leaves no certificate, and both are made again.
        _write(_file(folder, who, algorithm, "crt"), _certificate(who, key).public_bytes(Encoding.PEM))


def demo_key(folder: Path, who: str, algorithm: DemoKeys) -> SigningKey:
    """The pair, once it is made. Raises `ValueError`."""
    return load_signing_key(_file(folder, who, algorithm, "crt"), _file(folder, who, algorithm, "key"))


def demo_certificate(folder: Path, who: str, algorithm: DemoKeys) -> Certificate:
    """Its certificate alone. Raises `ValueError`."""
    return load_certificate(_file(folder, who, algorithm, "crt"))


def demo_algorithm(folder: Path, who: str) -> DemoKeys | None:
    """The kind of key that a party has there; ECDSA when it has both."""
    kinds: tuple[DemoKeys, ...] = ("ecdsa", "rsa")
    return next((kind for kind in kinds if _file(folder, who, kind, "crt").exists()), None)


def _file(folder: Path, who: str, algorithm: DemoKeys, ending: str) -> Path:
    return folder / f"{who}.{algorithm}.{ending}"


def _new_key(algorithm: DemoKeys) -> PrivateKey:
    if algorithm == "rsa":
        return rsa.generate_private_key(public_exponent=65_537, key_size=_RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def _certificate(who: str, key: PrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])
    now = datetime.now(UTC)
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, SHA256())
    )


def _write(path: Path, pem: bytes) -> None:
    """Whole or not at all, for its owner alone."""
    draft = path.with_name(f".{path.name}.{new_id()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
