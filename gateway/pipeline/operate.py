"""What operators do: retry, cancel, and resolve a review, which takes two of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.errors import Refused
from gateway.flows import Desk, Subject, restored, visas
from gateway.flows.subjects import visa_index
from gateway.ledger.books import FORGOTTEN, Books
from gateway.ledger.port import MessageRow, Resolution, Resolved
from gateway.ledger.vault import payload_place
from gateway.message import MessageId
from gateway.observe.log import log
from gateway.pipeline import report, wishes
from gateway.pipeline.cancellation import ISSUANCE, cancellation_of_steps
from gateway.pipeline.consequences import issues_at, request_of
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import StepState, StepStatus, seal_steps
from gateway.pipeline.views import DECISIONS, kept_steps, message_of, resolution_place, show, summary
from gateway.states import FINAL

_VISA_NUMBER = re.compile(r"[0-9]{10}")


async def retry(message_id: MessageId, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """Due now. An uncertain or reviewed message is only inquired about, never sent again by this."""
    await message_of(message_id, engine)
    row = await engine.ledger.hurry(
        message_id, actor=operator, reason=engine.vault.note(reason), now=engine.now()
    )
    engine.hints.notify(1, (message_id,))
    engine.metrics.operator_actions.labels("retry").inc()
    return summary(row)


async def cancel(message_id: MessageId, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """As the center's own cancellation, in an operator's name."""
    report.refuse_shredded(await message_of(message_id, engine), engine)
    row = await wishes.cancel(message_id, operator, engine, engine.vault.note(reason))
    log.info("operator", action="cancel", message_id=message_id, operator=operator)
    engine.metrics.operator_actions.labels("cancel").inc()
    return summary(row)


async def propose_resolution(
    message_id: MessageId,
    operator: str,
    *,
    decision: str,
    visa_number: str | None,
    reason: str,
    engine: Engine,
) -> dict[str, Any]:
    """Put forward how a review ends: `issued` (with its number), `refused` or `send_again`."""
    row = await message_of(message_id, engine)
    if decision not in DECISIONS.get(row.kind, ()):
        raise Refused("invalid_decision", status=400)
    sealed = None
    if decision == "issued":
        if visa_number is None or not _VISA_NUMBER.fullmatch(visa_number):
            raise Refused("invalid_visa_number", status=400)
        index = visa_index(visa_number, engine.vault)
        known = await engine.ledger.look(lambda books: books.visa(index))
        if known is not None and known.message_id != row.id:
            raise Refused("visa_number_taken", status=409)
        key = engine.vault.data_key(row.id, row.data_key)
        sealed = engine.vault.seal(
            key, {"visa_number": visa_number}, place=resolution_place(row, row.revision)
        )
    await engine.ledger.propose(
        Resolution(
            message_id,
            row.revision,
            decision,
            sealed,
            engine.vault.note(reason),
            proposed_by=operator,
            proposed_at=engine.now(),
        )
    )
    engine.metrics.operator_actions.labels("propose_resolution").inc()
    return await show(message_id, engine)


async def confirm_resolution(message_id: MessageId, operator: str, engine: Engine) -> dict[str, Any]:
    """A second operator confirms, and the review ends."""
    await message_of(message_id, engine)

    def settle(row: MessageRow, resolution: Resolution) -> Resolved:
        return _resolved(row, resolution, engine)

    row = await engine.ledger.confirm_resolution(
        message_id, operator=operator, now=engine.now(), settle=settle
    )
    engine.hints.notify(1, (message_id,))
    engine.metrics.operator_actions.labels("confirm_resolution").inc()
    if row.state in FINAL:
        engine.metrics.completed.labels(row.kind, row.outcome or row.state).inc()
    return await show(message_id, engine)


def _resolved(row: MessageRow, resolution: Resolution, engine: Engine) -> Resolved:
    """The issuing step as the operators decided it, and a cancellation if one was asked for meanwhile."""
    key = engine.vault.data_key(row.id, row.data_key)
    steps = dict(kept_steps(row, engine))
    cancellation = None
    if resolution.sealed_visa is not None:
        visa = engine.vault.open(
            key, resolution.sealed_visa, place=resolution_place(row, resolution.revision)
        )
        steps[ISSUANCE] = StepState(status=StepStatus.DONE, result=visa)
        if row.cancel_requested_at is not None:
            cancellation = cancellation_of_steps(row, steps, engine)
    elif resolution.decision == "send_again":
        steps = {name: state for name, state in steps.items() if state.status is StepStatus.DONE}
    return Resolved(
        seal_steps(engine.vault, key, row, steps), cancellation, _registered(row, steps, resolution, engine)
    )


def _registered(
    row: MessageRow, steps: Mapping[str, StepState], resolution: Resolution, engine: Engine
) -> Callable[[Books], None] | None:
    """What the decision leads to: a visa that exists, or one that no longer does."""
    subject = Subject(row.id, row.kind, row.party)
    parent = row.parent_id
    if resolution.decision == "issued":
        key = engine.vault.data_key(row.id, row.data_key)
        body = engine.vault.open(key, row.sealed_payload, place=payload_place(row))
        result, leaves_on = steps[ISSUANCE].result or {}, body["travel"]["departure_date"]

        def issued(books: Books) -> None:
            restored.count_in(issues_at(engine), request_of(row, body), books)
            visas.issued(result, row.facts, leaves_on, Desk(engine.office, books, subject))

        return issued
    if resolution.decision == "done" and parent is not None:
        return lambda books: visas.cancelled(parent, Desk(engine.office, books, subject))
    if resolution.decision == "send_again" and row.code == FORGOTTEN:
        key = engine.vault.data_key(row.id, row.data_key)
        body = engine.vault.open(key, row.sealed_payload, place=payload_place(row))
        return lambda books: books.let_forgotten_go(restored.applicant(body, engine.vault))
    return None
