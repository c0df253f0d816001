"""What a center is told of its own batches: status, pages, results. Reduced by the need-to-know policy.

Another party's id answers exactly as an absent one does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from gateway.clock import moment
from gateway.errors import Refused
from gateway.ledger.journal import GIVE_REJECTED, Entry
from gateway.ledger.port import BatchRow, MessageRow
from gateway.ledger.vault import Shredded, Unsealable, open_progress, payload_place
from gateway.message import BatchId, MessageId, PartyId
from gateway.observe.log import log
from gateway.pipeline.cancellation import ISSUANCE
from gateway.pipeline.engine import Engine
from gateway.pipeline.record import KIND, kept_violations
from gateway.pipeline.validate import shown_reference
from gateway.states import Outcome, PublicState
from schemas import catalogue

_PAGE = 500
MAX_LIMIT = 1000


async def batch_status(party: PartyId, batch_id: BatchId, engine: Engine) -> dict[str, Any]:
    """State, counts by state, times and revision. Raises `Refused("not_found")`."""
    return engine.need_to_know.batch(_status(await own_batch(party, batch_id, engine)))


async def own_batch(party: PartyId, batch_id: BatchId, engine: Engine) -> BatchRow:
    """The batch, if it is this party's and was accepted."""
    row = await engine.ledger.batch(batch_id)
    if row is None or row.party != party:
        raise Refused("not_found", status=404)
    return row


async def readable_batch(party: PartyId, batch_id: BatchId, engine: Engine) -> dict[str, Any]:
    """As `batch_status`, if its lines can still be read. Raises `Refused("retention_ended", 410)` if not."""
    status = await batch_status(party, batch_id, engine)
    for row in await engine.ledger.lines(batch_id, after_line=0, limit=1):
        refuse_shredded(row, engine)
    return status


def refuse_shredded(row: MessageRow, engine: Engine) -> None:
    """Raises `Refused("retention_ended", 410)` for a message whose contents were destroyed."""
    if is_shredded(row, engine):
        raise Refused("retention_ended", status=410)


def is_shredded(row: MessageRow, engine: Engine) -> bool:
    """Whether nothing of the message can be read any more, because its retention has ended."""
    try:
        engine.vault.data_key(row.id, row.data_key)
    except Shredded:
        return True
    except Unsealable:
        return False
    return False


async def own_message(party: PartyId, message_id: MessageId, engine: Engine) -> MessageRow:
    """The message, if it is this party's."""
    row = await engine.ledger.message(message_id)
    if row is None or row.party != party:
        raise Refused("not_found", status=404)
    return row


def _status(row: BatchRow) -> dict[str, Any]:
    return {
        "batch_id": row.id,
        "batch_reference": row.facts.batch_reference or None,
        "licensee_id": row.facts.licensee,
        "agent_id": row.facts.agent,
        "mission_id": row.facts.mission,
        "package_id": row.facts.package,
        "group_number": row.facts.group_number,
        "season": row.facts.season,
        "state": row.state,
        "revision": row.revision,
        "counts": {"total": row.lines, **dict(sorted(row.counts.items()))},
        "received_at": _time(row.created_at),
        "accepted_at": _time(row.accepted_at),
        "completed_at": _time(row.completed_at),
        "confirmed_at": _time(row.confirmed_at),
    }


async def page(
    party: PartyId,
    batch_id: BatchId,
    engine: Engine,
    *,
    state: PublicState | None,
    cursor: str | None,
    limit: int,
) -> dict[str, Any]:
    """Lines in order. `cursor` is what the page before gave; raises `Refused("invalid_cursor", 400)`."""
    await readable_batch(party, batch_id, engine)
    limit = max(1, min(limit, MAX_LIMIT))
    rows = await engine.ledger.lines(batch_id, after_line=_after(cursor), limit=limit, state=state)
    more = len(rows) == limit
    if rows:
        await _told(party, engine, batch_id=batch_id, lines=(rows[0].line or 0, rows[-1].line or 0))
    return {
        "applications": [result(row, engine) for row in rows],
        "next_cursor": str(rows[-1].line) if more else None,
    }


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise Refused("invalid_cursor", status=400)
    return int(cursor)


async def results(party: PartyId, batch_id: BatchId, engine: Engine) -> AsyncIterator[dict[str, Any]]:
    """Every line's result, in order."""
    await readable_batch(party, batch_id, engine)
    await _told(party, engine, batch_id=batch_id)
    async for row in _rows(batch_id, engine):
        yield result(row, engine)


async def rejected(party: PartyId, batch_id: BatchId, engine: Engine) -> AsyncIterator[dict[str, Any]]:
    """The rejected lines as they were submitted (`application`), ready to mend, with what is wrong.

    One that was damaged has no `application`, so that the others can still be mended.
    """
    await readable_batch(party, batch_id, engine)
    entry = Entry(at=engine.now(), action=GIVE_REJECTED, actor=party, batch_id=batch_id)
    await engine.ledger.note(entry, disclosed=[engine.need_to_know.rejection_disclosure(party)])
    async for row in _rows(batch_id, engine, PublicState.REJECTED):
        body = _payload(row, engine)
        shown = result(row, engine)
        place = {"line": row.line, "row": _progress(row, engine).get("row")}
        whole = {**place, "errors": shown.get("errors", []), "application": body}
        yield engine.need_to_know.rejection(whole)


async def _told(
    party: PartyId,
    engine: Engine,
    *,
    message_id: MessageId | None = None,
    batch_id: BatchId | None = None,
    lines: tuple[int, int] | None = None,
) -> None:
    """Note that a center is given results, before it is: an application's or a batch's."""
    entry = Entry(
        at=engine.now(),
        action="give_results",
        actor=party,
        message_id=message_id,
        batch_id=batch_id,
        detail=None if lines is None else {"lines": list(lines)},
    )
    await engine.ledger.note(entry, disclosed=[engine.need_to_know.result_disclosure(party)])


async def _rows(
    batch_id: BatchId, engine: Engine, state: PublicState | None = None
) -> AsyncIterator[MessageRow]:
    after = 0
    while rows := await engine.ledger.lines(batch_id, after_line=after, limit=_PAGE, state=state):
        for row in rows:
            yield row
        after = rows[-1].line or 0


async def message(party: PartyId, message_id: MessageId, engine: Engine) -> dict[str, Any]:
    """One message's state, as its sender may see it. Raises `Refused("not_found")`."""
    row = await own_message(party, message_id, engine)
    if row.kind == KIND:
        refuse_shredded(row, engine)
        await _told(party, engine, message_id=message_id)
        return result(row, engine)
    state = {
        "message_id": row.id,
        "kind": row.kind,
        "state": _MESSAGE_STATES.get(row.public_state, row.public_state.value),
        "reason": _reason(row),
        "received_at": _time(row.received_at),
        "updated_at": _time(row.updated_at),
    }
    sender = engine.settings.party(party)
    return engine.need_to_know.message(state, "" if sender is None else sender.kind)


#: What became of a message other than an application, in its sender's words.
_MESSAGE_STATES = {PublicState.ISSUED: "done"}


def result(row: MessageRow, engine: Engine) -> dict[str, Any]:
    """One line's result, reduced to what a center may have."""
    progress = _progress(row, engine)
    full = {
        "line": row.line,
        "reference": _reference(row, engine),
        "application_id": row.id,
        "state": row.public_state.value,
        "visa": _visa(row, progress),
        "reason": _reason(row),
        "expected_at": _expected_at(row),
        "errors": _errors(progress),
        "updated_at": _time(row.updated_at),
    }
    return engine.need_to_know.result(full)


def _expected_at(row: MessageRow) -> str | None:
    """When a line that waits may go on; None when nobody knows. What the gate holds is looked at sooner."""
    if row.public_state is not PublicState.WAITING:
        return None
    return _time(row.next_at if row.waits_for is None else row.expected_at)


def _progress(row: MessageRow, engine: Engine) -> Mapping[str, Any]:
    """What is kept of the line; nothing when it was damaged, so that the other lines can still be read."""
    try:
        return open_progress(engine.vault, engine.vault.data_key(row.id, row.data_key), row)
    except Shredded:  # of a batch that was recorded about midnight at a month's end
        return {}
    except Unsealable:
        log.error("unsealable", action="unsealable", message_id=row.id)
        return {}


def _reference(row: MessageRow, engine: Engine) -> str | None:
    """The center's own, from the payload; None when that was unreadable or was damaged."""
    return shown_reference(_payload(row, engine))


def _payload(row: MessageRow, engine: Engine) -> dict[str, Any] | None:
    """What the line says; None when it was damaged."""
    try:
        key = engine.vault.data_key(row.id, row.data_key)
        return engine.vault.open(key, row.sealed_payload, place=payload_place(row))
    except Unsealable:
        return None


def _visa(row: MessageRow, progress: Mapping[str, Any]) -> dict[str, Any] | None:
    issued = progress.get("steps", {}).get(ISSUANCE, {}).get("result")
    if row.outcome is not Outcome.ISSUED or not issued:
        return None
    return {
        "number": issued["visa_number"],
        "valid_from": issued.get("valid_from"),
        "valid_until": issued.get("valid_until"),
        "stay_until": issued.get("stay_until"),
    }


def _reason(row: MessageRow) -> str | None:
    """Why a line waits or was refused. A review's own code is for operators."""
    shown = (PublicState.WAITING, PublicState.REFUSED, PublicState.EXPIRED)
    return row.code if row.public_state in shown else None


def _errors(progress: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "code": violation.code,
            "pointer": violation.pointer,
            "detail": catalogue.text(violation.code, "en", violation.params),
            "detail_ar": catalogue.text(violation.code, "ar", violation.params),
        }
        for violation in kept_violations(progress.get("violations", []))
    ]


def _time(value: int | None) -> str | None:
    """RFC 3339 with offset, to the millisecond."""
    return None if value is None else moment(value).isoformat(timespec="milliseconds")
