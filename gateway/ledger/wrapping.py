"""Data keys as the ledger stores them: which key each is wrapped under, and the same one wrapped anew.

A stored data key is the length of the wrapping key's id, that id, and what that key made of it. A note
carries its own: the note's id (36 characters), the length of the data key (2 bytes), the data key, the text.
Of a shredded row only a stub is left: the id of the destroyed key, so that it says that it was shredded.
"""

from __future__ import annotations

from typing import Final

from gateway.ledger.keeping import NOTES, Wrapped
from gateway.ledger.vault import Vault

_ID: Final = 36
_START: Final = _ID + 2


def key_of(row: Wrapped) -> str:
    """The id of the key that the row's data key is wrapped under; empty for what is no data key."""
    stored = _data_key(row)
    name = stored[1 : 1 + stored[0]] if stored else b""
    return name.decode("ascii") if name.isascii() else ""


def key_named(stored: bytes) -> str:
    """As `key_of`, of a data key by itself."""
    return key_of(Wrapped("message", (), "", stored))


def bucket_of(key_id: str) -> str:
    """`visa-2026-11` of `visa-2026-11.2`."""
    return key_id.rpartition(".")[0]


def rewrapped(row: Wrapped, vault: Vault) -> bytes:
    """The row's data key under the newest key of its bucket. Raises `Unsealable`, `Shredded`."""
    if row.store not in NOTES:
        return vault.rewrapped(row.id, row.stored)
    id, end = row.stored[:_ID], _end(row.stored)
    anew = vault.rewrapped(id.decode("ascii", "replace"), row.stored[_START:end])
    return b"".join((id, len(anew).to_bytes(2, "big"), anew, row.stored[end:]))


def stub(stored: bytes) -> bytes:
    """What is left of a stored data key when it is shredded."""
    return stored[: 1 + stored[0]] if stored else b""


def holds_key(row: Wrapped) -> bool:
    """Whether there is still a data key in the row, readable or not."""
    stored = _data_key(row)
    return len(stored) > 1 + stored[0] if stored else False


def _data_key(row: Wrapped) -> bytes:
    return row.stored[_START : _end(row.stored)] if row.store in NOTES else row.stored


def _end(note: bytes) -> int:
    return _START + int.from_bytes(note[_ID:_START], "big")
