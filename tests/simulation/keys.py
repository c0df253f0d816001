"""Keys that are the same in every run: what is looked up by a keyed digest comes in the same order."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.ledger.keys import KeyVersion

_NONCE: Final = bytes(12)


class FixedKeys:
    """See `gateway.ledger.keys.KeyProvider`: one version a bucket, made from its name."""

    def __init__(self) -> None:
        self._ciphers: dict[str, AESGCM] = {}

    def wrap(self, bucket: str, key: bytes, context: str) -> tuple[str, bytes]:
        key_id = f"{bucket}.1"
        return key_id, self._cipher(key_id).encrypt(_NONCE, key, context.encode())

    def unwrap(self, key_id: str, wrapped: bytes, context: str) -> bytes:
        return self._cipher(key_id).decrypt(_NONCE, wrapped, context.encode())

    def _cipher(self, key_id: str) -> AESGCM:
        if key_id not in self._ciphers:
            self._ciphers[key_id] = AESGCM(hashlib.sha256(key_id.encode()).digest())
        return self._ciphers[key_id]

    def rotate(self, bucket: str) -> KeyVersion:
        raise NotImplementedError

    def retire(self, key_id: str) -> None:
        raise NotImplementedError

    def destroy(self, key_id: str) -> None:
        raise NotImplementedError

    def versions(self) -> Sequence[KeyVersion]:
        return []

    def digest(self, season: int, text: bytes) -> bytes:
        return hmac.digest(f"season {season}".encode(), text, "sha256")

    def destroy_index(self, season: int) -> None:
        raise NotImplementedError
