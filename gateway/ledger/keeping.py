"""The part of the ledger's port that keys and retention need: rotations, legal holds, shredding.

What holds of every method of the port (`gateway.ledger.port`) holds here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, Protocol

from gateway.ledger.journal import Entry
from gateway.message import MessageId, Micros

#: Where sealed values are, in the order in which they are gone through.
STORES: Final = ("message", "batch", "outbox", "photo", "audit", "resolution", "destination")
#: Of these the stored value is a whole note, its data key inside.
NOTES: Final = frozenset({"audit", "resolution", "destination"})
#: Where a row stands in its store: its primary key.
Position = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a walk through all stores has come. A `store` of None: through the last one."""

    store: str | None = STORES[0]
    #: The last row that was seen; empty before the first.
    after: Position = ()

    def past(self, position: Position) -> Cursor:
        """Behind that row."""
        return Cursor(self.store, position)

    def next_store(self) -> Cursor:
        """Before the first row of the store that follows."""
        if self.store is None:
            return self
        following = STORES.index(self.store) + 1
        return Cursor(STORES[following] if following < len(STORES) else None)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """One row with something sealed: its data key as it is stored (or the whole note)."""

    store: str
    position: Position
    #: What the data key is bound to.
    id: str
    stored: bytes
    #: Bytes of the row, about: a long one makes for a short transaction.
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Rotation:
    """New versions of keys, and how far everything is wrapped under them."""

    id: int
    #: The version that each bucket's key has come to, or will.
    targets: Mapping[str, int]
    cursor: Cursor
    #: How often all stores are gone through: again when something was wrapped under an old key meanwhile.
    rounds: int
    #: Rows there were when it began, and rows seen in all rounds.
    total: int
    done: int
    #: Rows whose data key does not open: they stay as they are.
    unreadable: int
    started_by: str
    started_at: Micros
    finished_at: Micros | None = None


HoldScope = Literal["all", "bucket", "message", "person"]


@dataclass(frozen=True, slots=True)
class Hold:
    """What may not be shredded, whatever its age. Why stands in the journal."""

    scope: HoldScope
    placed_by: str
    placed_at: Micros
    id: int = 0
    bucket: str | None = None
    message_id: MessageId | None = None
    #: Of the person's passport, one a season.
    passports: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Shredding:
    """A bucket whose time is over: its keys are destroyed, and what is left of it is removed."""

    bucket: str
    due_on: date
    cursor: Cursor
    started_by: str
    started_at: Micros
    keys_destroyed_at: Micros | None = None
    finished_at: Micros | None = None
    #: Rows that were emptied or removed, by store.
    counts: Mapping[str, int] = field(default_factory=dict)
    #: Seasons of its messages: their index keys go with the last bucket.
    seasons: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptMessages:
    """A page of messages, counted by the key that they are under. `after` is where the next page begins."""

    #: Key id: messages, those that are not over, and those whose center has not confirmed them.
    counts: Mapping[str, tuple[int, int, int]]
    after: str | None


class Keeping(Protocol):
    """What the ledger does about keys and retention."""

    async def wrapped(self, cursor: Cursor, limit: int) -> Sequence[Wrapped]:
        """Rows of the cursor's store behind it, in order; also those of which a shredding left a stub."""

    async def sealed_rows(self) -> int:
        """How many rows there are in all stores, for a progress bar."""

    # rotation
    async def rotation(self) -> Rotation | None:
        """The latest one, whether it is under way or not."""

    async def begin_rotation(self, targets: Mapping[str, int], entry: Entry) -> Rotation:
        """Note what is wanted, before any key is made. Raises `Conflict` (`rotation_running`)."""

    async def rewrap(
        self,
        rotation: Rotation,
        changed: Sequence[tuple[Wrapped, bytes]],
        to: Cursor,
        *,
        seen: int = 0,
        unreadable: int = 0,
    ) -> Rotation | None:
        """Write data keys that were wrapped anew, where they are still as they were; and how far it has come.

        None, and nothing is written, when the rotation has gone on without the caller.
        """

    async def end_rotation(self, rotation: Rotation, retired: Sequence[str], entry: Entry) -> None:
        """Nothing is wrapped under the retired keys any more. Safe to call again."""

    async def retired_keys(self) -> Mapping[str, Micros]:
        """Keys that may be destroyed some time after they were retired, and when that was."""

    async def forget_key(self, key_id: str, entry: Entry) -> None:
        """The key was destroyed."""

    # retention
    async def kept_messages(self, after: str, limit: int) -> KeptMessages:
        """What messages keep their keys in use, a page at a time (by message id)."""

    async def busy_keys(self) -> frozenset[str]:
        """Ids of keys that batches which are not completed are under, or visas of people in the country."""

    async def seasons(self) -> Sequence[int]:
        """Every season that a batch was for."""

    async def holds(self) -> Sequence[Hold]:
        """Those in force, the oldest first."""

    async def place_hold(self, hold: Hold, entry: Entry) -> Hold:
        """Raises `Conflict` (`retention_ended`) when its bucket or message is being shredded already."""

    async def release_hold(self, hold_id: int, entry: Entry) -> None:
        """Raises `Refused` (`not_found`)."""

    async def held_buckets(self) -> Mapping[str, tuple[int, ...]]:
        """The holds that stop each bucket. `*` stands for all of them."""

    async def shreddings(self) -> Sequence[Shredding]:
        """All that ever began, the oldest first."""

    async def begin_shredding(self, bucket: str, due_on: date, entry: Entry) -> bool:
        """Note what is intended, before a key is destroyed. False when that is noted already.

        Raises `Conflict` (`retention_held`).
        """

    async def keys_destroyed(self, bucket: str, entry: Entry) -> None:
        """Nothing of the bucket can be read any more. Safe to call again."""

    async def blank(self, begun: Shredding, rows: Sequence[Wrapped], to: Cursor) -> Shredding | None:
        """Empty these rows, remove what they could be found by, and note how far it has come.

        None, and nothing is written, when the shredding has gone on without the caller.
        """

    async def indexed(self, season: int) -> bool:
        """Whether anything can still be found by the season's index."""

    async def end_shredding(self, bucket: str, entry: Entry) -> None:
        """Safe to call again."""
