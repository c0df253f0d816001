"""Key rotation: every data key is wrapped anew under a new version of its bucket's key, while all goes on.

    begin → make the new versions → wrap anew, a little at a time → scan → retire what nothing uses → end

Only data keys change, never what is sealed under them, and only where they are still as they were read. How
far it has come is written with each little: a process that dies goes on from there. An old version opens what
it wrapped until it is destroyed, days after a scan has shown that nothing names it: whoever read a row a
moment before it was wrapped anew can still open it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from gateway.clock import moment
from gateway.ledger.journal import Entry
from gateway.ledger.keeping import Cursor, Rotation, Wrapped
from gateway.ledger.keys import KeyProvider, KeyVersion
from gateway.ledger.vault import Shredded, Unsealable, Vault
from gateway.ledger.wrapping import bucket_of, holds_key, key_of, rewrapped
from gateway.message import Micros
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.walk import Pace, keys_in_use, next_rows

#: Something may be wrapped under an old version after the walk has passed its place; hardly three times.
_MOST_ROUNDS: Final = 3


async def begin_rotation(operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """New keys for every bucket that is not shredded. Raises `Conflict` (`rotation_running`)."""
    why = engine.vault.note(reason)  # which may make the first key of a bucket
    shredded = {one.bucket for one in await engine.ledger.shreddings()}
    newest = _newest(await asyncio.to_thread(engine.vault.keys.versions))
    targets = {bucket: number + 1 for bucket, number in newest.items() if bucket not in shredded}
    entry = Entry(
        engine.now(),
        "rotate_keys",
        operator,
        detail={"keys": [f"{bucket}.{number}" for bucket, number in targets.items()]},
        commitment=why.commitment,
        note=why.sealed,
    )
    rotation = await engine.ledger.begin_rotation(targets, entry)
    log.info("operator", action="rotate_keys", operator=operator, count=len(targets))
    engine.metrics.operator_actions.labels("rotate_keys").inc()
    return shown(rotation)


def _newest(versions: Sequence[KeyVersion]) -> dict[str, int]:
    return {version.bucket: version.number for version in sorted(versions)}


def shown(rotation: Rotation | None) -> dict[str, Any]:
    """How a rotation stands, for operators."""
    if rotation is None:
        return {"state": "none"}
    return {
        "rotation": rotation.id,
        "state": "running" if rotation.finished_at is None else "finished",
        "done": min(rotation.done, rotation.total),
        "total": rotation.total,
        "round": rotation.rounds,
        "unreadable": rotation.unreadable,
        "keys": [f"{bucket}.{number}" for bucket, number in rotation.targets.items()],
        "started_by": rotation.started_by,
        "started_at": _time(rotation.started_at),
        "finished_at": _time(rotation.finished_at),
    }


async def progress(engine: Engine) -> dict[str, Any]:
    """The latest rotation."""
    return shown(await engine.ledger.rotation())


async def list_keys(engine: Engine, *, count: bool) -> dict[str, Any]:
    """Every version that can still open something; with `count` also what uses it (this reads everything)."""
    versions = await asyncio.to_thread(engine.vault.keys.versions)
    used = await keys_in_use(engine.ledger) if count else None
    newest = _newest(versions)
    retired = await engine.ledger.retired_keys()
    return {
        "keys": [
            {
                "id": version.id,
                "bucket": version.bucket,
                "state": _state(version, newest),
                "retired_at": _time(retired.get(version.id)),
                "in_use": None if used is None else dict(used.get(version.id, {})),
            }
            for version in versions
        ],
        "rotation": await progress(engine),
    }


def _state(version: KeyVersion, newest: Mapping[str, int]) -> str:
    if version.retired:
        return "retired"
    return "wraps" if version.number == newest[version.bucket] else "opens"


# --- the work ---------------------------------------------------------------------------------------------


async def go_on(engine: Engine) -> bool:
    """Take an unfinished rotation to its end. False when there is none. Safe to run again, also beside."""
    rotation = await engine.ledger.rotation()
    if rotation is None or rotation.finished_at is not None:
        return False
    keys = engine.vault.keys
    await asyncio.to_thread(_make_versions, keys, rotation.targets)
    pace = Pace()
    while rotation is not None and rotation.finished_at is None:
        if rotation.cursor.store is None:
            rotation = await _end(rotation, engine)
        else:
            rotation = await _some(rotation, engine)
            await pace.rest()
    return True


def _make_versions(keys: KeyProvider, targets: Mapping[str, int]) -> None:
    """Those that are not there yet. A bucket that was destroyed meanwhile stays destroyed."""
    newest = _newest(keys.versions())
    for bucket, number in targets.items():
        if newest.get(bucket, number) < number:
            keys.rotate(bucket)


async def _some(rotation: Rotation, engine: Engine) -> Rotation | None:
    rows, to = await next_rows(rotation.cursor, engine.ledger)
    anew = await asyncio.to_thread(_wrapped_anew, rows, rotation.targets, engine.vault)
    return await engine.ledger.rewrap(rotation, anew.changed, to, seen=len(rows), unreadable=anew.unreadable)


@dataclass(slots=True)
class _Anew:
    changed: list[tuple[Wrapped, bytes]]
    unreadable: int = 0


def _wrapped_anew(rows: Sequence[Wrapped], targets: Mapping[str, int], vault: Vault) -> _Anew:
    anew = _Anew([])
    for row in rows:
        if not holds_key(row) or not _is_old(key_of(row), targets):
            continue
        try:
            anew.changed.append((row, rewrapped(row, vault)))
        except Shredded:
            continue
        except Unsealable:  # it stays as it is: a copy of the row may still be whole
            log.error("unsealable", action="rewrap", message_id=row.id or None)
            anew.unreadable += 1
    return anew


def _is_old(key_id: str, targets: Mapping[str, int]) -> bool:
    """Whether there is a newer version; so there is for what names no version of ours: it was damaged."""
    number = key_id.rpartition(".")[2]
    target = targets.get(bucket_of(key_id))
    return target is None or not (number.isascii() and number.isdigit()) or int(number) < target


async def _end(rotation: Rotation, engine: Engine) -> Rotation | None:
    """Retire what a scan shows to be unused; if something is, go through everything once more."""
    used = await keys_in_use(engine.ledger)
    versions = await asyncio.to_thread(engine.vault.keys.versions)
    old = [version for version in versions if version.number < rotation.targets.get(version.bucket, 0)]
    left = sum(sum(used.get(version.id, {}).values()) for version in old)
    if left > rotation.unreadable and rotation.rounds < _MOST_ROUNDS:
        return await engine.ledger.rewrap(rotation, (), Cursor())
    unused = [version.id for version in old if version.id not in used]
    await asyncio.to_thread(_retire, engine.vault.keys, unused)
    entry = Entry(
        engine.now(),
        "keys_rotated",
        "gateway",
        detail={
            "rotation": rotation.id,
            "retired": unused,
            "still_used": {
                version.id: sum(used[version.id].values()) for version in old if version.id in used
            },
            "unreadable": rotation.unreadable,
        },
    )
    await engine.ledger.end_rotation(rotation, unused, entry)
    log.info("rotated", action="keys_rotated", count=len(unused))
    return None


def _retire(keys: KeyProvider, ids: Sequence[str]) -> None:
    for key_id in ids:
        keys.retire(key_id)


async def destroy_retired(engine: Engine) -> int:
    """Destroy keys that were retired long enough ago, if a scan shows that still nothing names them."""
    long = timedelta(days=engine.settings.gateway.retention.keep_retired_days)
    before = engine.now() - long // timedelta(microseconds=1)
    due = [key_id for key_id, at in (await engine.ledger.retired_keys()).items() if at <= before]
    used = await keys_in_use(engine.ledger) if due else {}
    unused = [key_id for key_id in due if key_id not in used]
    for key_id in unused:
        await asyncio.to_thread(engine.vault.keys.destroy, key_id)
        entry = Entry(engine.now(), "destroy_key", "gateway", detail={"key": key_id})
        await engine.ledger.forget_key(key_id, entry)
    if len(due) > len(unused):  # the next rotation wraps it anew
        log.warning("retired_key_in_use", action="destroy_key", count=len(due) - len(unused))
    return len(unused)


def _time(value: Micros | None) -> str | None:
    return None if value is None else moment(value).isoformat(timespec="milliseconds")
