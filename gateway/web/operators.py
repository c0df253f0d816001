"""Operators prove themselves with opaque bearer tokens, one file an operator in the data directory.

`<data>/operators/<name>.token`, mode 0600. Only digests of the tokens are kept in memory.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from gateway.errors import Misconfigured
from gateway.settings.access import FIRST_OPERATORS
from gateway.web.tokens import write_secret

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHORTEST: Final = 32


def operators_directory(data_dir: Path) -> Path:
    """Where the token files are."""
    return data_dir / "operators"


def ensure_operator_tokens(data_dir: Path, names: Iterable[str] = FIRST_OPERATORS) -> None:
    """Make a token file for each of these operators, if there are no token files at all.

    Later a file that is gone stays gone: its operator was shut out.
    """
    directory = operators_directory(data_dir)
    if any(directory.glob("*.token")):
        return
    for name in names:
        write_secret(directory / f"{name}.token", secrets.token_urlsafe(32).encode() + b"\n")


def operator_token(data_dir: Path, name: str = "operator-1") -> str:
    """That operator's token. Raises `Misconfigured` for a file that is readable by others."""
    return _token(operators_directory(data_dir) / f"{name}.token").decode()


class OperatorTokens:
    """Who an opaque token belongs to."""

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        """`digests` are SHA-256 of the tokens, by operator's name."""
        self._digests = dict(digests)

    @classmethod
    def load(cls, data_dir: Path) -> OperatorTokens:
        """Read the token files. Raises `Misconfigured` for one that is readable by others or too short."""
        files = sorted(operators_directory(data_dir).glob("*.token"))
        return cls({path.stem: _digest(_token(path)) for path in files})

    def operator(self, token: str) -> str | None:
        """The operator's name, or None. Takes the same time whichever token is nearly right."""
        digest = _digest(token.encode())
        found = None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


def _token(path: Path) -> bytes:
    if not _NAME.fullmatch(path.stem):
        raise Misconfigured([f"{path}:1:1: is not a name for an operator"])
    if path.stat().st_mode & 0o077:
        raise Misconfigured([f"{path}:1:1: token file can be read by others: chmod 600 it"])
    token = path.read_bytes().strip()
    if len(token) < _SHORTEST:
        raise Misconfigured([f"{path}:1:1: a token has at least {_SHORTEST} characters"])
    return token


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
