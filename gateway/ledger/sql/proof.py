"""The proof that a ledger's journal is whole, made on its own connection, without a gateway.

The exported log proves more, and to others (`gateway.ledger.audit_file`); this is what a restore looks at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.ledger import checkpoints
from gateway.ledger.journal import GENESIS, Head, line
from gateway.ledger.records import JournalRow
from gateway.ledger.sql import auditing
from gateway.ledger.sql.transaction import Connection

_PAGE: Final = 2_000


class NotWhole(Exception):
    """Something was changed or is missing. The text says what, in words of ours."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What was found whole."""

    entries: int
    checkpoints: int


def prove(connection: Connection, keys: Collection[str] = ()) -> Proven:
    """Every chain from its first entry to its head, and every checkpoint. Raises `NotWhole`.

    `keys` are those that may have signed the last one (hexadecimal digits); without them any may.
    """
    wanted = _signed(connection, keys)
    ends: dict[str, Head] = {}
    entries = 0
    for row in _rows(connection):
        last = ends.get(row.chain, Head(0, GENESIS))
        found = hashlib.sha256(last.hash + line(row.chain, row.number, row.entry)).digest()
        if row.number != last.number + 1 or found != row.hash:
            raise NotWhole(
                f"entry {row.number} of chain {row.chain} was changed, or one before it is missing"
            )
        ends[row.chain] = Head(row.number, found)
        expected = wanted.pop((row.chain, row.number), found)
        if expected != found:
            raise NotWhole(f"entry {row.number} of chain {row.chain} is not the one that was signed")
        entries += 1
    if wanted or ends != auditing.heads(connection):
        raise NotWhole("entries at the end of a chain are missing")
    return Proven(entries, _count(connection))


def _signed(connection: Connection, keys: Collection[str]) -> dict[tuple[str, int], bytes]:
    """The hashes that checkpoints name, by chain and number."""
    before, wanted = checkpoints.FIRST, dict[tuple[str, int], bytes]()
    number, key = 0, ""
    while page := auditing.checkpoints(connection, number, _PAGE):
        for made in page:
            try:
                signed = checkpoints.read(made.document)
            except ValueError as error:
                raise NotWhole(f"checkpoint {made.number} can't be read") from error
            if signed.number != number + 1 or signed.previous != before:
                raise NotWhole(f"checkpoint {made.number} does not follow the one before it")
            if not checkpoints.verifies(made.document.encode(), made.signature, signed.key):
                raise NotWhole(f"the signature of checkpoint {made.number} is wrong")
            wanted |= {(name, head.number): head.hash for name, head in signed.heads.items()}
            number, before, key = signed.number, checkpoints.digest(made.document), signed.key
    if keys and number and key not in keys:
        raise NotWhole("the last checkpoint was signed with a key that is not the one in the data directory")
    return wanted


def _rows(connection: Connection) -> Iterator[JournalRow]:
    """Entries of all chains in the order of their numbers in each."""
    after = 0
    while page := auditing.journal(connection, after, _PAGE):
        yield from page
        after = page[-1].seq


def _count(connection: Connection) -> int:
    last = auditing.last_checkpoint(connection)
    return 0 if last is None else last.number
