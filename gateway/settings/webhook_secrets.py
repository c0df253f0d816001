"""The secrets that notices to a webhook are signed with: how their file reads, and where a demo's is kept."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Final

#: How Standard Webhooks marks a symmetric secret; base64 follows.
PREFIX: Final = "whsec_"
#: Bytes of a secret, by the same specification.
_SIZES: Final = range(24, 65)
#: The old one and the new one, while it is being changed.
_MOST: Final = 2
_OTHERS: Final = 0o077


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """The secrets in a file, one a line. Raises `ValueError` that says what is wrong, and quotes nothing."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
    except OSError as error:
        raise ValueError(f"file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"file {path} holds no webhook secret") from None
    if mode & _OTHERS:
        raise ValueError(f"secret file {path} can be read by others (mode {mode & 0o777:04o}): chmod 600 it")
    secrets = tuple(_secret(line, path) for line in text.split())
    if not 1 <= len(secrets) <= _MOST:
        raise ValueError(f"secret file {path} holds no secret, or more than {_MOST}")
    return secrets


def _secret(line: str, path: Path) -> bytes:
    try:
        secret = b64decode(line.removeprefix(PREFIX), validate=True)
    except ValueError:
        secret = b""
    if not line.startswith(PREFIX) or len(secret) not in _SIZES:
        raise ValueError(f"file {path} holds no webhook secret: {PREFIX} and 24 to 64 bytes in base64")
    return secret


def demo_secret_path(data_dir: Path, party: str) -> Path:
    """Where the demo secret of a party's webhook is kept."""
    return data_dir / "keys" / "webhooks" / f"{party}.secret"
