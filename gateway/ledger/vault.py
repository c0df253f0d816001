"""Sealing at rest: nothing that a message says of a person is readable in the database file.

Each message has a data key of its own (AES-256-GCM), wrapped by the key-encryption key; a sealed value is
bound to its party, message, column, key and revision, so that a swapped or rolled-back one does not open.
Look-ups go by keyed HMACs (blind indices) whose key is fixed for a season.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import GatewayError, Misconfigured
from gateway.ledger.records import Claimed, MessageRow

_NONCE = 12
_KEY = 32
#: Made once: `json.dumps` with options makes a new encoder each time.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Unsealable(GatewayError):
    """A sealed value does not open: damaged, swapped or rolled back. The message is quarantined."""

    def __init__(self, message_id: str, column: str) -> None:
        super().__init__("unsealable", f"{message_id} {column}")


@dataclass(frozen=True, slots=True)
class DataKey:
    """One message's key: `wrapped` is stored, `cipher` stays in memory."""

    wrapped: bytes
    cipher: AESGCM


class Vault:
    """Seals and opens. Safe from any thread: it holds keys and no state."""

    def __init__(self, kek: bytes, index_key: bytes) -> None:
        self.key_id = hashlib.sha256(b"kek:" + kek).hexdigest()[:16]
        self._kek = AESGCM(kek)
        self._index_key = index_key
        self._season_key = lru_cache(maxsize=8)(self._derive_season_key)

    def new_data_key(self, message_id: str) -> DataKey:
        """A fresh key for one message."""
        key = os.urandom(_KEY)
        nonce = os.urandom(_NONCE)
        wrapped = nonce + self._kek.encrypt(nonce, key, self._wrapping(message_id))
        return DataKey(wrapped, AESGCM(key))

    def data_key(self, message_id: str, wrapped: bytes) -> DataKey:
        """The message's key again. Raises `Unsealable`."""
        try:
            key = self._kek.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], self._wrapping(message_id))
        except InvalidTag as error:
            raise Unsealable(message_id, "data_key") from error
        return DataKey(wrapped, AESGCM(key))

    def seal(self, key: DataKey, value: Mapping[str, Any], *, place: Place) -> bytes:
        """`value` as JSON, encrypted for `place` alone."""
        nonce = os.urandom(_NONCE)
        return nonce + key.cipher.encrypt(nonce, _to_json(value).encode(), self._binding(place))

    def open(self, key: DataKey, sealed: bytes, *, place: Place) -> dict[str, Any]:
        """What was sealed there. Raises `Unsealable`."""
        try:
            text = key.cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._binding(place))
        except InvalidTag as error:
            raise Unsealable(place.message_id, place.column) from error
        value: dict[str, Any] = json.loads(text.decode())
        return value

    def blind_index(self, season: int, *values: str) -> bytes:
        """A keyed digest (16 bytes) of normalised values: equal values of a season give equal digests."""
        text = "\x1f".join(values).encode()
        return hmac.digest(self._season_key(season), text, "sha256")[:16]

    def _derive_season_key(self, season: int) -> bytes:
        return hmac.digest(self._index_key, f"season:{season}".encode(), "sha256")

    def _wrapping(self, message_id: str) -> bytes:
        return f"{message_id}|data_key|{self.key_id}".encode()

    def _binding(self, place: Place) -> bytes:
        return f"{place.party}|{place.message_id}|{place.column}|{self.key_id}|{place.revision}".encode()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs. `revision` counts the writes of that column."""

    party: str
    message_id: str
    column: str
    revision: int


def payload_place(message: Claimed | MessageRow) -> Place:
    """Of what a message says."""
    return Place(message.party, message.id, "payload", 1)


def progress_place(message: Claimed | MessageRow, revision: int) -> Place:
    """Of what has come of a message."""
    return Place(message.party, message.id, "progress", revision)


def open_progress(vault: Vault, key: DataKey, message: Claimed | MessageRow) -> Mapping[str, Any]:
    """What is kept of a message beside its payload: `steps`, or the `violations` of a rejected line."""
    if message.sealed_progress is None:
        return {}
    return vault.open(key, message.sealed_progress, place=progress_place(message, message.progress_revision))


def open_vault(directory: Path) -> Vault:
    """The vault whose keys are files in `directory`, made with mode 0600 at first use.

    Raises `Misconfigured` when a key file has the wrong size or others may read it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Vault(_key_file(directory / "kek-1.key"), _key_file(directory / "index.key"))


def _key_file(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _checked_key(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(_KEY))
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path.parent)
    return _checked_key(path)


def _checked_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise Misconfigured([f"{path}:1:1: key file may be read by others; chmod 600 it"])
    key = path.read_bytes()
    if len(key) != _KEY:
        raise Misconfigured([f"{path}:1:1: a key file holds {_KEY} bytes, this one {len(key)}"])
    return key


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
