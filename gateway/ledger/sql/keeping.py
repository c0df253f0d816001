"""Keys and retention behind the port (`gateway.ledger.keeping.Keeping`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeVar

from gateway.ledger import keeping
from gateway.ledger.journal import Entry
from gateway.ledger.sql import keys_in_use, shredding
from gateway.ledger.sql.access import Access
from gateway.message import Micros

T = TypeVar("T")


class KeepingTransactions(Access):
    """What a ledger does about keys and retention, given how it reads and writes."""

    async def wrapped(self, cursor: keeping.Cursor, limit: int) -> Sequence[keeping.Wrapped]:
        return await self._read(lambda reader: keys_in_use.wrapped(reader, cursor, limit))

    async def sealed_rows(self) -> int:
        return await self._read(keys_in_use.sealed_rows)

    # rotation

    async def rotation(self) -> keeping.Rotation | None:
        return await self._read(keys_in_use.rotation)

    async def begin_rotation(self, targets: Mapping[str, int], entry: Entry) -> keeping.Rotation:
        total = await self.sealed_rows()
        # One at a time: it is refused by one that runs, also by one that was begun a moment ago elsewhere.
        return await self._write(
            lambda tx: keys_in_use.begin_rotation(tx, targets, total, entry), records=True
        )

    async def rewrap(
        self,
        rotation: keeping.Rotation,
        changed: Sequence[tuple[keeping.Wrapped, bytes]],
        to: keeping.Cursor,
        *,
        seen: int = 0,
        unreadable: int = 0,
    ) -> keeping.Rotation | None:
        # What a power cut takes back is done again, position and all. The end of a rotation is durable.
        return await self._write(
            lambda tx: keys_in_use.rewrap(tx, rotation, changed, to, seen, unreadable), durable=False
        )

    async def end_rotation(self, rotation: keeping.Rotation, retired: Sequence[str], entry: Entry) -> None:
        await self._write(lambda tx: keys_in_use.end_rotation(tx, rotation, retired, entry))

    async def retired_keys(self) -> Mapping[str, Micros]:
        return await self._read(keys_in_use.retired_keys)

    async def forget_key(self, key_id: str, entry: Entry) -> None:
        await self._write(lambda tx: keys_in_use.forget_key(tx, key_id, entry))

    # retention

    async def kept_messages(self, after: str, limit: int) -> keeping.KeptMessages:
        return await self._read(lambda reader: shredding.kept_messages(reader, after, limit))

    async def busy_keys(self) -> frozenset[str]:
        return await self._read(shredding.busy_keys)

    async def seasons(self) -> Sequence[int]:
        return await self._read(shredding.seasons)

    async def holds(self) -> Sequence[keeping.Hold]:
        return await self._read(shredding.holds)

    async def place_hold(self, hold: keeping.Hold, entry: Entry) -> keeping.Hold:
        # It and the beginning of a shredding decide by each other's rows: one at a time, as what changes
        # records is.
        return await self._write(lambda tx: shredding.place_hold(tx, hold, entry), records=True)

    async def release_hold(self, hold_id: int, entry: Entry) -> None:
        await self._write(lambda tx: shredding.release_hold(tx, hold_id, entry))

    async def held_buckets(self) -> Mapping[str, tuple[int, ...]]:
        return await self._read(shredding.held_buckets)

    async def shreddings(self) -> Sequence[keeping.Shredding]:
        return await self._read(shredding.shreddings)

    async def begin_shredding(self, bucket: str, due_on: date, entry: Entry) -> bool:
        return await self._write(
            lambda tx: shredding.begin_shredding(tx, bucket, due_on, entry), records=True
        )

    async def keys_destroyed(self, bucket: str, entry: Entry) -> None:
        await self._write(lambda tx: shredding.keys_destroyed(tx, bucket, entry))

    async def blank(
        self, begun: keeping.Shredding, rows: Sequence[keeping.Wrapped], to: keeping.Cursor
    ) -> keeping.Shredding | None:
        return await self._write(lambda tx: shredding.blank(tx, begun, rows, to), durable=False)

    async def indexed(self, season: int) -> bool:
        return await self._read(lambda reader: shredding.indexed(reader, season))

    async def end_shredding(self, bucket: str, entry: Entry) -> None:
        await self._write(lambda tx: shredding.end_shredding(tx, bucket, entry))
