"""The port to whoever keeps the key-encryption keys: files here, an HSM or a Vault where there is one.

A key-encryption key belongs to a *retention bucket* (`visa-2026-11`: the rule, and the month in which
something was recorded) and has versions (`visa-2026-11.2`): a rotation makes the next one, and destroying all
versions of a bucket leaves nothing readable that was ever sealed in it, wherever a copy may lie. Index keys
belong to a season and are never rotated, so that a rotation can't split the uniqueness of a person within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import GatewayError

#: Every key of ours, in bytes.
KEY_BYTES: Final = 32


class KeyGone(GatewayError):
    """The key is not there (any more): what was sealed under it can't be read.

    `destroyed` tells that it was destroyed on purpose, because the retention of its bucket had ended.
    """

    def __init__(self, key_id: str, *, destroyed: bool) -> None:
        super().__init__("key_destroyed" if destroyed else "key_missing", key_id)
        self.destroyed = destroyed


class WrongKey(GatewayError):
    """A wrapped key does not open with the key that it names, in that context."""

    def __init__(self, key_id: str) -> None:
        super().__init__("wrong_key", key_id)


@dataclass(frozen=True, slots=True, order=True)
class KeyVersion:
    """One version of a bucket's key. A retired one still opens what it wrapped, and wraps nothing more."""

    bucket: str
    number: int
    retired: bool = False

    @property
    def id(self) -> str:
        """`visa-2026-11.2`."""
        return f"{self.bucket}.{self.number}"


class KeyProvider(Protocol):
    """Keeps keys and uses them. Safe from any thread and process; nothing of a key ever leaves `unwrap`."""

    def wrap(self, bucket: str, key: bytes, context: str) -> tuple[str, bytes]:
        """Encrypt a data key under the bucket's newest key, bound to `context`. Returns that key's id too.

        The first call for a bucket makes its first key. Raises `KeyGone` for a bucket that was destroyed.
        """

    def unwrap(self, key_id: str, wrapped: bytes, context: str) -> bytes:
        """The data key again. Raises `KeyGone`, or `WrongKey` when it was not wrapped so."""

    def rotate(self, bucket: str) -> KeyVersion:
        """Make the next version; from now on (elsewhere within seconds) it is the one that wraps."""

    def retire(self, key_id: str) -> None:
        """Nothing is wrapped under this version any more. Safe to call again."""

    def destroy(self, key_id: str) -> None:
        """Make the key unreadable for ever. Safe to call again, also after a crash in the middle."""

    def versions(self) -> Sequence[KeyVersion]:
        """Every version that can still open something, by bucket and number."""

    def digest(self, season: int, text: bytes) -> bytes:
        """The keyed digest (HMAC-SHA-256) of a season. The first call for a season makes its key.

        Raises `KeyGone` for a season whose key was destroyed.
        """

    def destroy_index(self, season: int) -> None:
        """Make the season's index entries meaningless for ever. Safe to call again."""
