"""What operators see: messages in a list, one with its timeline, and why it is where it is.

Identities, states, times and codes. What a message says of a person they do not see here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.clock import moment
from gateway.errors import Refused
from gateway.ledger.partners import WAITS_FOR
from gateway.ledger.port import AttemptRecord, AuditRow, MessageFilter, MessageRow, Resolution
from gateway.ledger.vault import Place, Unsealable
from gateway.message import MessageId
from gateway.pipeline import report
from gateway.pipeline.engine import Engine
from gateway.pipeline.explain import EXPLAINED, Decision, explain
from gateway.pipeline.journey import StepState, StepStatus, open_steps
from gateway.pipeline.partners import why_put_off
from gateway.states import FINAL, Outcome, State

#: How a review may end, by kind of message. A cancellation that took effect is `done`.
DECISIONS = {
    "visa.application": ("issued", "refused", "send_again"),
    "visa.cancellation": ("done", "refused", "send_again"),
}


async def list_messages(wanted: MessageFilter, after: str, limit: int, engine: Engine) -> dict[str, Any]:
    """Messages that fit the filter, by id (the order in which they came)."""
    rows = await engine.ledger.messages(wanted, after_id=after, limit=limit)
    return {
        "messages": [summary(row) for row in rows],
        "next": rows[-1].id if len(rows) == limit else None,
    }


async def message_of(message_id: MessageId, engine: Engine) -> MessageRow:
    row = await engine.ledger.message(message_id)
    if row is None:
        raise Refused("not_found", status=404)
    return row


def summary(row: MessageRow) -> dict[str, Any]:
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
    row = await message_of(message_id, engine)
    audit = await engine.ledger.audit(message_id)
    under = await _decided_under(row, audit, engine)
    moves = [_move(entry, engine) for entry in audit]
    attempts = [_attempt(record) for record in await engine.ledger.attempts(message_id)]
    first = {"at": _time(row.received_at), "what": "received", "actor": row.party}
    proposed = await engine.ledger.resolution(message_id)
    return {
        **summary(row),
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
    return {name: _step(name, state, engine) for name, state in kept_steps(row, engine).items()}


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
        visa = engine.vault.open(key, sealed, place=resolution_place(row, revision))
    except Unsealable:
        return None
    return str(visa["visa_number"])[-4:]


async def why(message_id: MessageId, engine: Engine) -> dict[str, Any]:
    """One line: what the message waits for; for one that only had to be taken, what it led to."""
    row = await message_of(message_id, engine)
    under = await _decided_under(row, await engine.ledger.audit(message_id), engine)
    return {"id": message_id, "why": "; ".join([await _whole_why(row, engine), *under])}


async def _whole_why(row: MessageRow, engine: Engine) -> str:
    if row.state in (State.UNCERTAIN, State.INQUIRING) and await _asked_after_restore(row, engine):
        return f"{_why(row)}: the ledger was restored, so {row.open_step} may have been sent already"
    if (put_off := await _put_off(row, engine)) is not None:
        return f"{_why(row)}; {put_off}"
    if report.is_shredded(row, engine):
        return f"{_why(row)}; its retention has ended, and what it said was destroyed"
    if row.kind in DECISIONS or row.state is not State.COMPLETED:
        return _why(row)
    led_to = await _led_to(row, engine)
    made = ", ".join(f"{one['kind']} {one['id']} version {one['version']}" for one in led_to["records"])
    told = ", ".join(dict.fromkeys(f"{one['receiver']} of {one['kind']}" for one in led_to["events"]))
    return f"{_why(row)}; it made {made or 'no record'}, and told {told or 'nobody'}"


async def _put_off(row: MessageRow, engine: Engine) -> str | None:
    """How the partner stands that it waits for, if it waits for one."""
    waits_for = row.waits_for or ""
    if row.state not in (State.HELD, State.UNCERTAIN) or not waits_for.startswith(WAITS_FOR):
        return None
    return await why_put_off(waits_for.removeprefix(WAITS_FOR), engine)


async def _asked_after_restore(row: MessageRow, engine: Engine) -> bool:
    """Whether it is asked about only because what was sent after a backup is forgotten."""
    restoration = await engine.ledger.restoration()
    return restoration is not None and row.send_by == restoration.taken_on_at


async def _led_to(row: MessageRow, engine: Engine) -> dict[str, Any]:
    """Which records a message made, and whom it was told to: kinds, ids and receivers, never data."""
    if row.kind in DECISIONS:
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


def resolution_place(row: MessageRow, revision: int) -> Place:
    return Place(row.party, row.id, "resolution", revision)


def kept_steps(row: MessageRow, engine: Engine) -> Mapping[str, StepState]:
    """The steps; none when they were damaged, so that a person can still look and decide."""
    try:
        return open_steps(engine.vault, engine.vault.data_key(row.id, row.data_key), row)
    except Unsealable:
        return {}


def _time(value: int | None) -> str | None:
    return None if value is None else moment(value).isoformat(timespec="milliseconds")
