"""The checkpoint signer that is a file: `<data>/keys/checkpoint.key` (PEM, 0600), its public half beside it.

The file is read for each signature: a key that is taken away is missed at once, and one that is put back is
used at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gateway.errors import Misconfigured
from gateway.ledger.checkpoints import SignerLost
from gateway.ledger.flushing import flush

KEY_FILE: Final = "checkpoint.key"
PUBLIC_FILE: Final = "checkpoint.pub"
_LARGEST: Final = 16_384


class FileSigner:
    """See `gateway.ledger.checkpoints.Signer`. `directory` is the one of the other keys."""

    def __init__(self, directory: Path) -> None:
        """Raises `Misconfigured` for a key that others may read."""
        self._directory = directory
        self._path = directory / KEY_FILE
        if self._path.exists() and self._path.stat().st_mode & 0o077:
            raise Misconfigured([f"{self._path}:1:1: key file may be read by others; chmod 600 it"])

    def begin(self, *, first: bool) -> None:
        """A key that is gone while there are checkpoints is lost: none is made in its place.

        A crash leaves either no key or a whole one.
        """
        if first and not self._path.exists():
            self._make()
        self._publish()

    def _make(self) -> None:
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self._path, pem, 0o600)

    def _publish(self) -> None:
        """Write the public half, for those who verify, unless it stands there."""
        path = self._directory / PUBLIC_FILE
        pem = self._load().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if not path.exists() or path.read_bytes() != pem:
            _write(path, pem, 0o644)

    def key(self) -> str:
        return _digits(self._load().public_key())

    def sign(self, document: bytes) -> bytes:
        return self._load().sign(document)

    def _load(self) -> Ed25519PrivateKey:
        try:
            key = load_pem_private_key(_content(self._path), None)
        except FileNotFoundError as error:
            raise SignerLost from error
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SignerLost("signer_unusable") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SignerLost("signer_unusable")
        return key


def public_key(path: Path) -> str:
    """The key of a `.pub` file, in hexadecimal digits. Raises `OSError`, `ValueError` for another file."""
    try:
        key = load_pem_public_key(_content(path))
    except UnsupportedAlgorithm as error:
        raise ValueError("not a public key") from error
    match key:
        case Ed25519PublicKey():
            return _digits(key)
    raise ValueError("not an Ed25519 public key")


def _digits(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST)


def _write(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    flush(path.parent)
