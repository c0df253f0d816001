"""What is meant for a party: read in order, from where it left off, until it says that it has it."""

from __future__ import annotations

from typing import Any, Final

from gateway.clock import moment
from gateway.errors import Refused
from gateway.flows.desk import event_place
from gateway.ledger.records import Position, StoredEvent
from gateway.ledger.vault import Unsealable
from gateway.message import PartyId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine

#: The channel on which a party itself says how far it has come.
CONFIRMED: Final = "confirmed"
MAX_LIMIT: Final = 1000
_READ_AT_ONCE: Final = 50
#: Of sealed data; a page holds one event at least.
_PAGE_BYTES: Final = 4_194_304


async def notifications(party: PartyId, engine: Engine, *, cursor: str | None, limit: int) -> dict[str, Any]:
    """What follows `cursor` (none: what was confirmed last). Raises `Refused("invalid_cursor", 400)`."""
    confirmed = (await engine.ledger.position(party, CONFIRMED)).seq
    after = confirmed if cursor is None else _seq(cursor)
    found, more = await _page(party, after, max(1, min(limit, MAX_LIMIT)), engine)
    last = found[-1].seq if found else after
    return {
        "notifications": [shown(event, engine) for event in found],
        "cursor": str(last),
        "confirmed": str(confirmed),
        "more": more,
    }


async def _page(party: PartyId, after: int, limit: int, engine: Engine) -> tuple[list[StoredEvent], bool]:
    """As many events as fit on a page, and whether more may follow.

    Read a few at a time: an event may be as large as the largest message.
    """
    found: list[StoredEvent] = []
    size = 0
    while len(found) < limit:
        wanted = min(_READ_AT_ONCE, limit - len(found))
        events = await engine.ledger.events(party, after=found[-1].seq if found else after, limit=wanted)
        for event in events:
            size += len(event.sealed or b"")
            if found and size > _PAGE_BYTES:
                return found, True
            found.append(event)
        if len(events) < wanted:
            return found, False
    return found, True


async def confirm(party: PartyId, cursor: str, engine: Engine) -> dict[str, Any]:
    """The party has everything up to `cursor`. Going back changes nothing.

    Raises `Refused("invalid_cursor", 400)` for what was never given out: what is still to come would be lost.
    """
    seq = _seq(cursor)
    confirmed = (await engine.ledger.position(party, CONFIRMED)).seq
    if seq > confirmed:
        if not await engine.ledger.events(party, after=seq - 1, limit=1):
            raise Refused("invalid_cursor", status=400)
        await engine.ledger.mark(party, CONFIRMED, Position(seq))
        confirmed = (await engine.ledger.position(party, CONFIRMED)).seq
    return {"confirmed": str(confirmed)}


def _seq(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise Refused("invalid_cursor", status=400)
    return int(cursor)


def shown(event: StoredEvent, engine: Engine) -> dict[str, Any]:
    """One notification, with the data that its receiver may have."""
    return {
        "cursor": str(event.seq),
        "id": event.id,
        "kind": event.kind,
        "subject": event.subject,
        "time": moment(event.created_at).isoformat(timespec="milliseconds"),
        "classification": event.classification,
        "data": data_of(event, engine),
    }


def data_of(event: StoredEvent, engine: Engine) -> dict[str, Any] | None:
    """An event's own data, or the names of what may be fetched; None when it was damaged.

    The events that follow a damaged one must still be told.
    """
    if event.sealed is None or event.data_key is None:
        names = {"batch_id": event.batch_id, "application_id": event.message_id, "revision": event.revision}
        return {name: value for name, value in names.items() if value is not None}
    try:
        key = engine.vault.data_key(event.id, event.data_key)
        opened: dict[str, Any] = engine.vault.open(
            key, event.sealed, place=event_place(event.receiver, event.id)
        )
    except Unsealable:
        log.error("unsealable", action="unsealable", message_id=event.id)
        return None
    return opened
