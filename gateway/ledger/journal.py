"""The journal: what happened, in chains of hashes, so that nobody can change it unseen.

An entry is one line of JSON. Its hash is SHA-256 over the hash of the entry before it in its chain (32 zero
bytes before the first) and that line. There is one chain a writer, so writers never wait for each other; a
checkpoint (`gateway.ledger.checkpoints`) signs the heads of all of them. Entries hold ids, states, codes and
commitments, never a value that a message or a person said: a shredded message leaves the chain whole.
`docs/audit-log.md` describes the format for those who write a verifier of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from gateway.message import Micros

#: Before the first entry of a chain.
GENESIS: Final = bytes(32)
#: Of an entry about those lines of a batch that were rejected, and about no others.
GIVE_REJECTED: Final = "give_rejected"
#: How details stand in the line, and in the database.
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: A text as that encoder writes it.
_quoted: Final = json.encoder.encode_basestring


class Entry(Struct, frozen=True):
    """One thing that happened. The names are those of the exported line, but for `note`."""

    at: Micros
    action: str
    actor: str
    message_id: str | None = None
    batch_id: str | None = None
    before: str | None = None
    after: str | None = None
    code: str | None = None
    #: How far the records had come (`books.Record.seq`): the versions that this was decided under.
    records: int = 0
    #: What else is to be known of it: numbers, names of ours, digests.
    detail: Mapping[str, Any] | None = None
    #: SHA-256 over salt and text of the note.
    commitment: str | None = None
    #: An operator's reason, sealed. It is not part of the chain; its commitment is.
    note: bytes | None = None


class Head(Struct, frozen=True):
    """How far a chain has come: the number of its last entry (the first is 1) and that entry's hash."""

    number: int = 0
    hash: bytes = GENESIS


class Linked(Struct, frozen=True):
    """An entry in its place."""

    entry: Entry
    number: int
    hash: bytes


def link(chain: str, head: Head, entries: Iterable[Entry]) -> Iterator[Linked]:
    """The entries as they follow the head of that chain."""
    number, digest = head.number, head.hash
    for entry in entries:
        number += 1
        digest = hashlib.sha256(digest + line(chain, number, entry)).digest()
        yield Linked(entry, number, digest)


def line(chain: str, number: int, entry: Entry) -> bytes:
    """The entry as one line of JSON: the keys in this order, those without a value left out."""
    texts = (
        ("message", entry.message_id),
        ("batch", entry.batch_id),
        ("from", entry.before),
        ("to", entry.after),
        ("code", entry.code),
    )
    # Put together by hand: each entry of the journal passes here once, and again when it is verified.
    return "".join(
        (
            f'{{"chain":{_quoted(chain)},"number":{number},"at":{entry.at},"action":{_quoted(entry.action)},'
            f'"actor":{_quoted(entry.actor)}',
            *(f',"{name}":{_quoted(text)}' for name, text in texts if text is not None),
            f',"records":{entry.records}',
            "" if entry.detail is None else f',"detail":{to_json(entry.detail)}',
            "" if entry.commitment is None else f',"commitment":{_quoted(entry.commitment)}',
            "}",
        )
    ).encode()
