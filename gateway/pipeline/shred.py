"""Retention: what is due is made unreadable for ever, a bucket at a time, unless a legal hold stops it.

    intention → destroy every version of the bucket's key → empty what is left, a little at a time → end

The intention is durable before a key is touched; from the moment that the last key is destroyed nothing of
the bucket can be read, in the database or in any copy of it. What follows only removes what it could be found
by. A process that dies in between goes on where it was. Rows stay as tombstones: states, times and counts
remain true, and so does the journal, which held commitments only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from gateway.clock import moment
from gateway.errors import Conflict, Refused
from gateway.flows.subjects import passport_index
from gateway.ledger.journal import Entry
from gateway.ledger.keeping import STORES, Cursor, Hold, HoldScope, Shredding, Wrapped
from gateway.ledger.keys import KeyGone, KeyProvider, KeyVersion
from gateway.ledger.records import Note
from gateway.ledger.wrapping import bucket_of, holds_key, key_of
from gateway.message import MessageId, Micros
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.walk import Pace, keys_in_use, next_rows
from schemas.hijri import season

#: A hold on everything.
_EVERY: Final = "*"
#: Messages looked at together.
_PAGE: Final = 2_000
#: Of rows that are only looked at, before it is written how far the walk came.
_PAGES: Final = 50
_GATEWAY: Final = "gateway"


@dataclass(slots=True)
class Bucket:
    """A retention bucket and what is in it."""

    name: str
    keys: list[str]
    #: Rows by store.
    rows: dict[str, int] = field(default_factory=dict)
    #: Messages that are not over, and lines whose center has not confirmed them.
    live: int = 0
    unconfirmed: int = 0
    #: Batches that are not completed, or holders of visas who are in the country.
    busy: bool = False
    holds: tuple[int, ...] = ()
    due_on: date | None = None

    def is_due(self, today: date) -> bool:
        """Whether it may be shredded on that day."""
        over = self.due_on is not None and today >= self.due_on
        return over and not self.live and not self.busy and not self.holds


# --- what is kept -----------------------------------------------------------------------------------------


async def buckets(engine: Engine) -> Sequence[Bucket]:
    """Every bucket that has keys, with what it is kept for. Reads everything once."""
    found = _named(await asyncio.to_thread(engine.vault.keys.versions))
    await _count_messages(found, engine)
    for key_id, rows in (await keys_in_use(engine.ledger, STORES[1:])).items():
        if (bucket := found.get(bucket_of(key_id))) is not None:
            for store, count in rows.items():
                bucket.rows[store] = bucket.rows.get(store, 0) + count
    busy = {bucket_of(key_id) for key_id in await engine.ledger.busy_keys()}
    held = await engine.ledger.held_buckets()
    retention = engine.settings.gateway.retention
    for name, bucket in found.items():
        bucket.busy = name in busy
        bucket.holds = (*held.get(_EVERY, ()), *held.get(name, ()))
        bucket.due_on = retention.due_on(name, unconfirmed=bucket.unconfirmed > 0)
    return list(found.values())


def _named(versions: Sequence[KeyVersion]) -> dict[str, Bucket]:
    found: dict[str, Bucket] = {}
    for version in versions:
        found.setdefault(version.bucket, Bucket(version.bucket, [])).keys.append(version.id)
    return found


async def _count_messages(found: Mapping[str, Bucket], engine: Engine) -> None:
    after: str | None = ""
    while after is not None:
        page = await engine.ledger.kept_messages(after, _PAGE)
        for key_id, (count, live, unconfirmed) in page.counts.items():
            if (bucket := found.get(bucket_of(key_id))) is not None:
                bucket.rows["message"] = bucket.rows.get("message", 0) + count
                bucket.live += live
                bucket.unconfirmed += unconfirmed
        after = page.after


async def overview(engine: Engine) -> dict[str, Any]:
    """Buckets, holds and shreddings, for operators. Nothing personal."""
    today = engine.clock.today()
    begun = await engine.ledger.shreddings()
    names = {one.bucket for one in begun}
    kept = [bucket for bucket in await buckets(engine) if bucket.name not in names]
    return {
        "today": today.isoformat(),
        "buckets": [_kept(bucket, today) for bucket in kept],
        "shredded": [_begun(one) for one in begun],
        "holds": [_hold(hold) for hold in await engine.ledger.holds()],
    }


def _kept(bucket: Bucket, today: date) -> dict[str, Any]:
    return {
        "bucket": bucket.name,
        "due_on": None if bucket.due_on is None else bucket.due_on.isoformat(),
        "due": bucket.is_due(today),
        "rows": bucket.rows,
        "live": bucket.live,
        "busy": bucket.busy,
        "unconfirmed": bucket.unconfirmed,
        "holds": list(bucket.holds),
        "keys": len(bucket.keys),
    }


def _begun(one: Shredding) -> dict[str, Any]:
    return {
        "bucket": one.bucket,
        "due_on": one.due_on.isoformat(),
        "state": _state(one),
        "rows": dict(one.counts),
        "by": one.started_by,
        "started_at": _time(one.started_at),
        "keys_destroyed_at": _time(one.keys_destroyed_at),
        "finished_at": _time(one.finished_at),
    }


def _state(one: Shredding) -> str:
    if one.finished_at is not None:
        return "shredded"
    return "being_emptied" if one.keys_destroyed_at is not None else "begun"


def _hold(hold: Hold) -> dict[str, Any]:
    """Of a person only that there is one: the number was never kept."""
    return {
        "hold": hold.id,
        "scope": hold.scope,
        "bucket": hold.bucket,
        "message_id": hold.message_id,
        "by": hold.placed_by,
        "at": _time(hold.placed_at),
    }


# --- legal holds --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """What an operator wants to be kept."""

    scope: HoldScope
    bucket: str | None = None
    message_id: MessageId | None = None
    #: Number and issuing state.
    passport: tuple[str, str] | None = None


async def place_hold(held: Held, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """From now on nothing of it is shredded, nor of a person what comes later.

    Raises `Refused` (`not_found`) for a bucket or message that there is none of, and `Conflict`
    (`retention_ended`) when it is too late.
    """
    await _check_there_is(held, engine)
    why = engine.vault.note(reason)
    hold = Hold(
        held.scope,
        operator,
        engine.now(),
        bucket=held.bucket,
        message_id=held.message_id,
        passports=() if held.passport is None else await _indices(*held.passport, engine),
    )
    detail = {"scope": held.scope, **({"bucket": held.bucket} if held.bucket else {})}
    entry = _entry("hold", operator, engine, detail, why=why, message_id=held.message_id)
    placed = await engine.ledger.place_hold(hold, entry)
    log.info("operator", action="hold", operator=operator)
    engine.metrics.operator_actions.labels("hold").inc()
    return _hold(placed)


async def _check_there_is(held: Held, engine: Engine) -> None:
    if held.message_id is not None and await engine.ledger.message(held.message_id) is None:
        raise Refused("not_found", status=404)
    if held.bucket is None:
        return
    begun = {one.bucket for one in await engine.ledger.shreddings()}
    there = {version.bucket for version in await asyncio.to_thread(engine.vault.keys.versions)}
    if held.bucket not in there | begun:
        raise Refused("not_found", status=404)


async def _indices(number: str, issuing_state: str, engine: Engine) -> tuple[bytes, ...]:
    """Of a passport, in every season that it may be found in, the next one included."""
    current = season(engine.clock.today())
    wanted = sorted({*await engine.ledger.seasons(), current, current + 1})
    return await asyncio.to_thread(_indices_of, wanted, number, issuing_state, engine)


def _indices_of(seasons: Sequence[int], number: str, issuing_state: str, engine: Engine) -> tuple[bytes, ...]:
    found = []
    for year in seasons:
        try:
            found.append(passport_index(year, number, issuing_state, engine.vault))
        except KeyGone:  # all of that season is shredded
            continue
    return tuple(found)


async def release_hold(hold_id: int, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """The hold ends; what is due goes with the next day. Raises `Refused` (`not_found`)."""
    entry = _entry("release_hold", operator, engine, {"hold": hold_id}, why=engine.vault.note(reason))
    await engine.ledger.release_hold(hold_id, entry)
    log.info("operator", action="release_hold", operator=operator)
    engine.metrics.operator_actions.labels("release_hold").inc()
    return {"hold": hold_id, "released": True}


# --- shredding ----------------------------------------------------------------------------------------------


async def run(operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """Begin what is due now, at an operator's wish; it is what a new day does by itself."""
    begun = await begin_due(engine, operator, engine.vault.note(reason))
    log.info("operator", action="shred", operator=operator, count=len(begun))
    engine.metrics.operator_actions.labels("shred").inc()
    return {"begun": begun}


async def begin_due(engine: Engine, actor: str = _GATEWAY, why: Note | None = None) -> list[str]:
    """Note the intention to shred each bucket that is due. Returns their names."""
    today = engine.clock.today()
    if not await _any_old(today, engine):
        return []
    begun = {one.bucket for one in await engine.ledger.shreddings()}
    due = [one for one in await buckets(engine) if one.is_due(today) and one.name not in begun]
    return [bucket.name for bucket in due if await _begin(bucket, actor, why, engine)]


async def _any_old(today: date, engine: Engine) -> bool:
    """Whether there is a bucket whose time is over at all: most days there is none, and nothing is read."""
    retention = engine.settings.gateway.retention
    versions = await asyncio.to_thread(engine.vault.keys.versions)
    dates = (retention.due_on(version.bucket) for version in versions)
    return any(due_on is not None and due_on <= today for due_on in dates)


async def _begin(bucket: Bucket, actor: str, why: Note | None, engine: Engine) -> bool:
    if bucket.due_on is None:
        return False
    entry = _entry("shred", actor, engine, {"bucket": bucket.name, "keys": bucket.keys}, why=why)
    try:
        return await engine.ledger.begin_shredding(bucket.name, bucket.due_on, entry)
    except Conflict:  # a hold was placed this moment
        return False


async def go_on(engine: Engine) -> bool:
    """Take shreddings that were begun to their end. False when there was none. Safe to run again."""
    unfinished = [one for one in await engine.ledger.shreddings() if one.finished_at is None]
    for one in unfinished:
        await _shred(one, engine)
    return bool(unfinished)


async def _shred(shredding: Shredding, engine: Engine) -> None:
    destroyed = await asyncio.to_thread(_destroy, shredding.bucket, engine.vault.keys)
    entry = _entry("keys_destroyed", _GATEWAY, engine, {"bucket": shredding.bucket, "keys": destroyed})
    await engine.ledger.keys_destroyed(shredding.bucket, entry)
    pace, going = Pace(), shredding
    while going.cursor.store is not None:
        of_it, to = await _next_of(going, engine)
        gone_on = await engine.ledger.blank(going, of_it, to)
        if gone_on is None:  # another process does it
            return
        going = gone_on
        await pace.rest()
    ended = await _end_seasons(going, engine)
    detail = {"bucket": going.bucket, "rows": dict(going.counts), "seasons_ended": ended}
    await engine.ledger.end_shredding(going.bucket, _entry("shredded", _GATEWAY, engine, detail))
    log.info("shredded", action="shredded", count=sum(going.counts.values()))


async def _next_of(shredding: Shredding, engine: Engine) -> tuple[list[Wrapped], Cursor]:
    """Rows of the bucket for one transaction, and where the walk stands behind them.

    Most rows of a large ledger are of other buckets: how far the walk came is written now and then only.
    """
    to, pace = shredding.cursor, Pace()
    for _ in range(_PAGES):
        rows, to = await next_rows(to, engine.ledger)
        of_it = [row for row in rows if holds_key(row) and bucket_of(key_of(row)) == shredding.bucket]
        if of_it or to.store is None:
            return of_it, to
        await pace.rest()
    return [], to


def _destroy(bucket: str, keys: KeyProvider) -> list[str]:
    ids = [version.id for version in keys.versions() if version.bucket == bucket]
    for key_id in ids:
        keys.destroy(key_id)
    return ids


async def _end_seasons(shredding: Shredding, engine: Engine) -> list[int]:
    """The index keys of past seasons that nothing is found by any more."""
    past = [year for year in shredding.seasons if 0 < year < season(engine.clock.today())]
    ended = [year for year in past if not await engine.ledger.indexed(year)]
    for year in ended:
        await asyncio.to_thread(engine.vault.keys.destroy_index, year)
    return ended


def _entry(
    action: str,
    actor: str,
    engine: Engine,
    detail: Mapping[str, Any],
    *,
    why: Note | None = None,
    message_id: MessageId | None = None,
) -> Entry:
    return Entry(
        engine.now(),
        action,
        actor,
        message_id=message_id,
        detail=detail,
        commitment=why.commitment if why else None,
        note=why.sealed if why else None,
    )


def _time(value: Micros | None) -> str | None:
    return None if value is None else moment(value).isoformat(timespec="milliseconds")
