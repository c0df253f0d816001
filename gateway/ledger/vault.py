"""Sealing at rest: nothing that a message says of a person is readable in the database file.

Each message has a data key of its own (AES-256-GCM), wrapped by the key of its retention bucket
(`gateway.ledger.keys`). A sealed value is bound to its party, message, column, data key and revision, and a
wrapped key to its message and the key that wraps it: what was swapped or rolled back does not open. Look-ups
go by keyed digests (blind indices) whose key is fixed for a season.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.ledger.key_files import KeyFiles
from gateway.ledger.keys import KEY_BYTES, KeyGone, KeyProvider, WrongKey
from gateway.ledger.records import Claimed, MessageRow, Note
from gateway.message import new_id
from gateway.ports import Clock
from gateway.settings.retention import Retention

_NONCE: Final = 12
_SALT: Final = 16
#: What operators' reasons are kept as; a retention rule names it like a kind of message.
NOTE_KIND: Final = "operator.note"
_NOTES: Final = "gateway"


def _plain(value: Any) -> str:
    """A text of another class, such as a parser's own."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


_to_json: Final = msgspec.json.Encoder(enc_hook=_plain).encode
_of_json: Final = msgspec.json.Decoder().decode


class Unsealable(GatewayError):
    """A sealed value does not open: damaged, swapped or rolled back. The message is quarantined."""

    def __init__(self, message_id: str, column: str) -> None:
        super().__init__("unsealable", f"{message_id} {column}")


class Shredded(Unsealable):
    """The value's key was destroyed when its retention ended: nobody can read it any more."""

    def __init__(self, message_id: str, column: str) -> None:
        super().__init__(message_id, column)
        self.code = "shredded"


class DataKey(Struct, frozen=True):
    """One message's key: `wrapped` is stored, `cipher` stays in memory. `id` binds what is sealed with it."""

    wrapped: bytes
    cipher: AESGCM
    id: str


def open_vault(directory: Path, retention: Retention, clock: Clock, root: bytes | None = None) -> Vault:
    """The vault whose keys are files in `directory`, encrypted under `root` where one is given.

    Raises `Misconfigured` when a key file has the wrong size or others may read it.
    """
    return Vault(KeyFiles(directory, root), buckets(retention, clock.today))


def buckets(retention: Retention, today: Callable[[], date]) -> Callable[[str], str]:
    """The retention bucket of a kind of message that is recorded now; put together once a day."""
    bucket = lru_cache(256)(retention.bucket)
    return lambda kind: bucket(kind, today())


class Vault:
    """Seals and opens. Safe from any thread: the keys are its provider's."""

    def __init__(self, keys: KeyProvider, bucket_of: Callable[[str], str]) -> None:
        """`bucket_of` gives the retention bucket of a kind of message that is recorded now."""
        self.keys = keys
        self._bucket_of = bucket_of

    def new_data_key(self, message_id: str, kind: str) -> DataKey:
        """A fresh key for one message of this kind. Raises `KeyGone` for a bucket that was destroyed."""
        key = os.urandom(KEY_BYTES)
        key_id, wrapped = self.keys.wrap(self._bucket_of(kind), key, _context(message_id))
        return _data_key(_named(key_id, wrapped), key)

    def data_key(self, message_id: str, wrapped: bytes) -> DataKey:
        """The message's key again. Raises `Unsealable`, or `Shredded` once its bucket was destroyed."""
        return _data_key(wrapped, self._unwrapped(message_id, wrapped))

    def rewrapped(self, message_id: str, wrapped: bytes) -> bytes:
        """The same data key under the newest key of its bucket. Raises `Unsealable`, `Shredded`."""
        bucket = wrapping_key(wrapped).rpartition(".")[0]
        key_id, anew = self.keys.wrap(bucket, self._unwrapped(message_id, wrapped), _context(message_id))
        return _named(key_id, anew)

    def _unwrapped(self, message_id: str, wrapped: bytes) -> bytes:
        try:
            return self.keys.unwrap(wrapping_key(wrapped), _unnamed(wrapped), _context(message_id))
        except KeyGone as gone:
            if gone.destroyed:
                raise Shredded(message_id, "data_key") from gone
            raise Unsealable(message_id, "data_key") from gone
        except (WrongKey, UnicodeDecodeError) as error:
            raise Unsealable(message_id, "data_key") from error

    def seal(self, key: DataKey, value: Mapping[str, Any], *, place: Place) -> bytes:
        """`value` as JSON, encrypted for `place` alone."""
        nonce = os.urandom(_NONCE)
        return nonce + key.cipher.encrypt(nonce, _to_json(value), _binding(place, key))

    def open(self, key: DataKey, sealed: bytes, *, place: Place) -> dict[str, Any]:
        """What was sealed there. Raises `Unsealable`."""
        try:
            text = key.cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _binding(place, key))
        except (InvalidTag, ValueError) as error:
            raise Unsealable(place.message_id, place.column) from error
        value: dict[str, Any] = _of_json(text)
        return value

    def note(self, text: str) -> Note:
        """What an operator gives as a reason, sealed, with the commitment that the audit log keeps of it."""
        id, salt = new_id(), os.urandom(_SALT).hex()
        key = self.new_data_key(id, NOTE_KIND)
        sealed = self.seal(key, {"salt": salt, "text": text}, place=_note_place(id))
        packed = b"".join((id.encode(), len(key.wrapped).to_bytes(2, "big"), key.wrapped, sealed))
        return Note(packed, commitment(salt, text))

    def read_note(self, sealed: bytes) -> str:
        """The reason again. Raises `Unsealable`, `Shredded`."""
        id = sealed[:36].decode("ascii", "replace")
        start = 38 + int.from_bytes(sealed[36:38], "big")
        key = self.data_key(id, sealed[38:start])
        return str(self.open(key, sealed[start:], place=_note_place(id))["text"])

    def blind_index(self, season: int, *values: str) -> bytes:
        """A keyed digest (16 bytes) of normalised values: equal values of a season give equal digests."""
        return self.keys.digest(season, "\x1f".join(values).encode())[:16]


def commitment(salt: str, text: str) -> str:
    """What stands in the audit log for a text: it can be shown to be this one, and tells nothing of it."""
    return hashlib.sha256(f"{salt}|{text}".encode()).hexdigest()


def wrapping_key(wrapped: bytes) -> str:
    """The id of the key that a stored data key is wrapped under (`visa-2026-11.1`)."""
    return wrapped[1 : 1 + wrapped[0]].decode("ascii") if wrapped else ""


def _named(key_id: str, wrapped: bytes) -> bytes:
    """As it is stored: the length of the key's id, the id, what that key made of the data key."""
    return bytes((len(key_id),)) + key_id.encode("ascii") + wrapped


def _unnamed(wrapped: bytes) -> bytes:
    return wrapped[1 + wrapped[0] :] if wrapped else b""


def _data_key(wrapped: bytes, key: bytes) -> DataKey:
    return DataKey(wrapped, AESGCM(key), hashlib.sha256(b"data key:" + key).hexdigest()[:16])


def _context(message_id: str) -> str:
    return f"{message_id}|data_key"


def _binding(place: Place, key: DataKey) -> bytes:
    return f"{place.party}|{place.message_id}|{place.column}|{key.id}|{place.revision}".encode()


def _note_place(id: str) -> Place:
    return Place(_NOTES, id, "note", 1)


class Place(Struct, frozen=True):
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
