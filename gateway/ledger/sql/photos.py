"""Photos that were put once and are named by lines."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ledger.sql.transaction import Connection, Transaction
from gateway.message import Micros, PartyId

#: SQLite takes 999 parameters in its oldest builds.
_A_QUERY = 500


def put_photo(
    tx: Transaction, party: PartyId, digest: bytes, data_key: bytes, sealed: bytes, now: Micros
) -> bool:
    inserted = tx.run(
        "INSERT INTO photo (party, digest, data_key, sealed, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (party, digest, data_key, sealed, now),
    )
    return inserted == 1


def photos_known(reader: Connection, party: PartyId, digests: Sequence[bytes]) -> frozenset[bytes]:
    found: set[bytes] = set()
    for start in range(0, len(digests), _A_QUERY):
        some = digests[start : start + _A_QUERY]
        marks = ", ".join("?" * len(some))
        rows = reader.execute(
            f"SELECT digest FROM photo WHERE party = ? AND digest IN ({marks})", (party, *some)
        )
        found.update(row["digest"] for row in rows.fetchall())
    return frozenset(found)
