"""What parties and operators ask to be done: cancel, confirm, retry, resolve; and the operators' views.

Operators see identities, states, times and codes. What a message says of a person they do not see here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.clock import moment
from gateway.errors import Conflict, Refused
from gateway.flows import Desk, Subject, visas
from gateway.flows.subjects import visa_index
from gateway.ledger.books import Books
from gateway.ledger.port import AttemptRecord, AuditRow, MessageFilter, MessageRow, Note, Resolution, Resolved
from gateway.ledger.vault import Place, Unsealable, payload_place
from gateway.message import BatchId, MessageId, PartyId
from gateway.observe.log import log
from gateway.pipeline import report
from gateway.pipeline.cancellation import ISSUANCE, cancellation_of_row, cancellation_of_steps
from gateway.pipeline.engine import Engine
from gateway.pipeline.explain import EXPLAINED, Decision, explain
from gateway.pipeline.journey import StepState, StepStatus, open_steps, seal_steps
from gateway.states import FINAL, Outcome, State

#: How a review may end, by kind of message. A cancellation that took effect is `done`.
_DECISIONS = {
    "visa.application": ("issued", "refused", "send_again"),
    "visa.cancellation": ("done", "refused", "send_again"),
}
_VISA_NUMBER = re.compile(r"[0-9]{10}")

# --- parties ---------------------------------------------------------------------------------------------


async def cancel_application(party: PartyId, message_id: MessageId, engine: Engine) -> dict[str, Any]:
    """Cancel at once, or mark the wish; an issued visa gets a `visa.cancellation` of its own."""
    report.refuse_shredded(await report.own_message(party, message_id, engine), engine)
    row = await _cancel(message_id, party, engine)
    return {**report.result(row, engine), "cancel_requested": row.cancel_requested_at is not None}


async def _cancel(message_id: MessageId, actor: str, engine: Engine, why: Note | None = None) -> MessageRow:
    row = await engine.ledger.cancel(message_id, actor=actor, now=engine.now(), why=why)
    if row.outcome is Outcome.ISSUED and row.state is State.COMPLETED:
        key = engine.vault.data_key(row.id, row.data_key)
        await engine.ledger.add_message(cancellation_of_row(row, key, engine), actor=actor)
    engine.hints.notify()
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
        await _cancel(row.id, actor, engine)
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


# --- operators' views -----------------------------------------------------------------------------


async def list_messages(wanted: MessageFilter, after: str, limit: int, engine: Engine) -> dict[str, Any]:
    """Messages that fit the filter, by id (the order in which they came)."""
    rows = await engine.ledger.messages(wanted, after_id=after, limit=limit)
    return {
        "messages": [_summary(row) for row in rows],
        "next": rows[-1].id if len(rows) == limit else None,
    }


async def _message(message_id: MessageId, engine: Engine) -> MessageRow:
    row = await engine.ledger.message(message_id)
    if row is None:
        raise Refused("not_found", status=404)
    return row


def _summary(row: MessageRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "party": row.party,
        "licensee": row.facts.licensee,
        "agent": row.facts.agent,
        "mission": row.facts.mission,
        "batch_id": row.batch_id,
        "line": row.line,
        "state": row.state.value,
        "outcome": row.outcome.value if row.outcome else None,
        "code": row.code,
        "claims": row.attempts,
        "next_at": _time(row.next_at),
        "received_at": _time(row.received_at),
        "updated_at": _time(row.updated_at),
        "completed_at": _time(row.completed_at),
    }


async def show(message_id: MessageId, engine: Engine) -> dict[str, Any]:
    """One message's timeline: every move and every attempt, nothing personal."""
    row = await _message(message_id, engine)
    audit = await engine.ledger.audit(message_id)
    under = await _decided_under(row, audit, engine)
    moves = [_move(entry, engine) for entry in audit]
    attempts = [_attempt(record) for record in await engine.ledger.attempts(message_id)]
    first = {"at": _time(row.received_at), "what": "received", "actor": row.party}
    proposed = await engine.ledger.resolution(message_id)
    return {
        **_summary(row),
        "deadline_at": _time(row.deadline_at),
        "cancel_requested_at": _time(row.cancel_requested_at),
        "open_step": row.open_step,
        "send_by": _time(row.send_by),
        "lease_until": _time(row.lease_until),
        "parent_id": row.parent_id,
        "shredded": report.is_shredded(row, engine),
        "versions": row.versions,
        "why": "; ".join([await _whole_why(row, engine), *under]),
        "decided_under": under,
        "led_to": await _led_to(row, engine),
        "steps": _steps(row, engine),
        "timeline": [first, *sorted([*moves, *attempts], key=lambda entry: str(entry["at"]))],
        "proposed": _proposed(row, proposed, engine),
    }


def _reason(note: bytes | None, engine: Engine) -> str | None:
    """What an operator gave as a reason; None where it can't be read any more."""
    try:
        return None if note is None else engine.vault.read_note(note)
    except Unsealable:
        return None


def _move(entry: AuditRow, engine: Engine) -> dict[str, Any]:
    return {
        "at": _time(entry.at),
        "what": entry.action,
        "from": entry.from_state,
        "to": entry.to_state,
        "actor": entry.actor,
        "code": entry.code,
        "reason": _reason(entry.note, engine),
    }


def _attempt(record: AttemptRecord) -> dict[str, Any]:
    finished = record.finished_at
    return {
        "at": _time(record.started_at),
        "what": record.kind,
        "step": record.step,
        "action": record.action,
        "outcome": record.outcome,
        "code": record.code,
        "duration_s": None if finished is None else round((finished - record.started_at) / 1_000_000, 4),
        "policy": record.policy,
    }


def _steps(row: MessageRow, engine: Engine) -> dict[str, Any]:
    if row.outcome is Outcome.REJECTED:
        return {}
    return {name: _step(name, state, engine) for name, state in _open_steps(row, engine).items()}


def _step(name: str, state: StepState, engine: Engine) -> dict[str, Any]:
    """One step. The answer itself may be secret: then it is only told that there is one."""
    answered = state.status in (StepStatus.DONE, StepStatus.DECLINED)
    secret = name in engine.operations and engine.operations[name].secret and answered
    shown = state.public_code or (state.code if state.status is not StepStatus.DECLINED else None)
    return {
        "status": "answered" if secret else state.status.value,
        "attempts": state.attempts,
        "not_before": _time(state.not_before),
        "code": None if secret else shown,
    }


def _proposed(row: MessageRow, resolution: Resolution | None, engine: Engine) -> dict[str, Any] | None:
    """What another operator put forward; of a visa number the last four digits, to tell a wrong one."""
    if resolution is None:
        return None
    ends_in = None
    if resolution.sealed_visa is not None:
        ends_in = _ends_in(row, resolution.sealed_visa, resolution.revision, engine)
    return {
        "decision": resolution.decision,
        "visa_number_ends_in": ends_in,
        "by": resolution.proposed_by,
        "at": _time(resolution.proposed_at),
        "reason": _reason(resolution.reason.sealed, engine),
    }


def _ends_in(row: MessageRow, sealed: bytes, revision: int, engine: Engine) -> str | None:
    """None when it was damaged: then it can't be confirmed either, and another is proposed."""
    try:
        key = engine.vault.data_key(row.id, row.data_key)
        visa = engine.vault.open(key, sealed, place=_resolution_place(row, revision))
    except Unsealable:
        return None
    return str(visa["visa_number"])[-4:]


async def why(message_id: MessageId, engine: Engine) -> dict[str, Any]:
    """One line: what the message waits for; for one that only had to be taken, what it led to."""
    row = await _message(message_id, engine)
    under = await _decided_under(row, await engine.ledger.audit(message_id), engine)
    return {"id": message_id, "why": "; ".join([await _whole_why(row, engine), *under])}


async def _whole_why(row: MessageRow, engine: Engine) -> str:
    if report.is_shredded(row, engine):
        return f"{_why(row)}; its retention has ended, and what it said was destroyed"
    if row.kind in _DECISIONS or row.state is not State.COMPLETED:
        return _why(row)
    led_to = await _led_to(row, engine)
    made = ", ".join(f"{one['kind']} {one['id']} version {one['version']}" for one in led_to["records"])
    told = ", ".join(dict.fromkeys(f"{one['receiver']} of {one['kind']}" for one in led_to["events"]))
    return f"{_why(row)}; it made {made or 'no record'}, and told {told or 'nobody'}"


async def _led_to(row: MessageRow, engine: Engine) -> dict[str, Any]:
    """Which records a message made, and whom it was told to: kinds, ids and receivers, never data."""
    if row.kind in _DECISIONS:
        return {}
    made = await engine.ledger.records_of(row.id)
    told = await engine.ledger.events_of(row.id)
    return {
        "records": [{"kind": one.kind, "id": one.id, "version": one.version} for one in made],
        "events": [{"kind": one.kind, "receiver": one.receiver, "cursor": str(one.seq)} for one in told],
    }


async def _decided_under(row: MessageRow, audit: Sequence[AuditRow], engine: Engine) -> list[str]:
    """How the records stood that closed the gate to this application, where they did."""
    if row.code not in EXPLAINED:
        return []
    decided = [entry for entry in audit if entry.code == row.code and entry.records]
    if not decided:
        return []
    decision = Decision(row.code, row.party, row.facts, decided[-1].records)
    return await explain(decision, engine.ledger)


def _why(row: MessageRow) -> str:  # one sentence a state
    due = _time(row.next_at)
    sentences = {
        State.ACCEPTED: "recorded; its batch is being released line by line",
        State.READY: f"ready; a worker takes it at {due}"
        + (", after a failed attempt" if row.attempts else ""),
        State.CARRIED: f"being carried; the worker's lease ends at {_time(row.lease_until)}",
        State.HELD: f"held ({row.code}); looked at again at {due}",
        State.AWAITING: f"the partner answers later ({row.code}); asked again at {due}",
        State.UNCERTAIN: f"the answer to {row.open_step} was lost; the partner is asked at {due}",
        State.INQUIRING: f"the partner is being asked what became of {row.open_step}",
        State.UNDER_REVIEW: f"a person must decide ({row.code}): resolve it, or retry to ask once more",
        State.COMPLETED: f"nothing: it ended as {row.outcome}" + (f" ({row.code})" if row.code else ""),
        State.CANCELLED: "nothing: it was cancelled",
        State.EXPIRED: "nothing: its travel date passed while it waited",
    }
    wish = "; a cancellation was asked for" if row.cancel_requested_at and row.state not in FINAL else ""
    return sentences[row.state] + wish


# --- operators' actions -----------------------------------------------------------------------------


async def retry(message_id: MessageId, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """Due now. An uncertain or reviewed message is only inquired about, never sent again by this."""
    await _message(message_id, engine)
    row = await engine.ledger.hurry(
        message_id, actor=operator, reason=engine.vault.note(reason), now=engine.now()
    )
    engine.hints.notify()
    engine.metrics.operator_actions.labels("retry").inc()
    return _summary(row)


async def cancel(message_id: MessageId, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """As the center's own cancellation, in an operator's name."""
    report.refuse_shredded(await _message(message_id, engine), engine)
    row = await _cancel(message_id, operator, engine, engine.vault.note(reason))
    log.info("operator", action="cancel", message_id=message_id, operator=operator)
    engine.metrics.operator_actions.labels("cancel").inc()
    return _summary(row)


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
    row = await _message(message_id, engine)
    if decision not in _DECISIONS.get(row.kind, ()):
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
            key, {"visa_number": visa_number}, place=_resolution_place(row, row.revision)
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


def _resolution_place(row: MessageRow, revision: int) -> Place:
    return Place(row.party, row.id, "resolution", revision)


async def confirm_resolution(message_id: MessageId, operator: str, engine: Engine) -> dict[str, Any]:
    """A second operator confirms, and the review ends."""
    await _message(message_id, engine)

    def settle(row: MessageRow, resolution: Resolution) -> Resolved:
        return _resolved(row, resolution, engine)

    row = await engine.ledger.confirm_resolution(
        message_id, operator=operator, now=engine.now(), settle=settle
    )
    engine.hints.notify()
    engine.metrics.operator_actions.labels("confirm_resolution").inc()
    if row.state in FINAL:
        engine.metrics.completed.labels(row.kind, row.outcome or row.state).inc()
    return await show(message_id, engine)


def _resolved(row: MessageRow, resolution: Resolution, engine: Engine) -> Resolved:
    """The issuing step as the operators decided it, and a cancellation if one was asked for meanwhile."""
    key = engine.vault.data_key(row.id, row.data_key)
    steps = dict(_open_steps(row, engine))
    cancellation = None
    if resolution.sealed_visa is not None:
        visa = engine.vault.open(
            key, resolution.sealed_visa, place=_resolution_place(row, resolution.revision)
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
        return lambda books: visas.issued(result, row.facts, leaves_on, Desk(engine.office, books, subject))
    if resolution.decision == "done" and parent is not None:
        return lambda books: visas.cancelled(parent, Desk(engine.office, books, subject))
    return None


def _open_steps(row: MessageRow, engine: Engine) -> Mapping[str, StepState]:
    """The steps; none when they were damaged, so that a person can still look and decide."""
    try:
        return open_steps(engine.vault, engine.vault.data_key(row.id, row.data_key), row)
    except Unsealable:
        return {}


def _time(value: int | None) -> str | None:
    return None if value is None else moment(value).isoformat(timespec="milliseconds")
