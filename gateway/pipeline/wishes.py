"""What parties ask to be done with what they sent: cancel it, confirm that its results arrived."""

from __future__ import annotations

from typing import Any

from gateway.errors import Conflict
from gateway.ledger.port import MessageRow, NewMessage, Note
from gateway.message import BatchId, MessageId, PartyId
from gateway.pipeline import report
from gateway.pipeline.cancellation import cancellation_of_row
from gateway.pipeline.engine import Engine
from gateway.states import FINAL, Outcome


async def cancel_application(party: PartyId, message_id: MessageId, engine: Engine) -> dict[str, Any]:
    """Cancel at once, or mark the wish; an issued visa gets a `visa.cancellation` of its own."""
    report.refuse_shredded(await report.own_message(party, message_id, engine), engine)
    row = await cancel(message_id, party, engine)
    return {**report.result(row, engine), "cancel_requested": row.cancel_requested_at is not None}


async def cancel(message_id: MessageId, actor: str, engine: Engine, why: Note | None = None) -> MessageRow:
    def taking_back(row: MessageRow) -> NewMessage:
        return cancellation_of_row(row, engine.vault.data_key(row.id, row.data_key), engine)

    row = await engine.ledger.cancel(
        message_id, actor=actor, now=engine.now(), why=why, cancellation=taking_back
    )
    engine.hints.notify(1, (row.id,))
    return row


async def cancel_batch(party: PartyId, batch_id: BatchId, engine: Engine) -> dict[str, Any]:
    """Cancel every line that can still be cancelled; says how many were asked."""
    await report.own_batch(party, batch_id, engine)
    asked = 0
    after = 0
    while rows := await engine.ledger.lines(batch_id, after_line=after, limit=500):
        after = rows[-1].line or 0
        for row in rows:
            asked += await _cancelled(row, party, engine)
    return {**await report.batch_status(party, batch_id, engine), "cancellations": asked}


async def _cancelled(row: MessageRow, actor: str, engine: Engine) -> bool:
    if (row.state in FINAL and row.outcome is not Outcome.ISSUED) or report.is_shredded(row, engine):
        return False
    try:
        await cancel(row.id, actor, engine)
    except Conflict:
        return False
    return True


async def confirm_batch(party: PartyId, batch_id: BatchId, engine: Engine) -> dict[str, Any]:
    """The center has its results. Raises `Conflict("batch_not_completed")` before the last line settled."""
    row = await report.own_batch(party, batch_id, engine)
    if row.state != "completed":
        raise Conflict("batch_not_completed")
    await engine.ledger.confirm_batch(batch_id, now=engine.now())
    return await report.batch_status(party, batch_id, engine)
