"""Reconcile: our calls of a day that must not be repeated, against the partner's own list of them.

Told by request references and ids of ours; nothing of a person. After a restore the lists of the lost days
are what lets new calls go on (`gateway.flows.restored`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from gateway.clock import day_begins, micros
from gateway.errors import Refused
from gateway.flows import restored
from gateway.flows.subjects import visa_index
from gateway.ledger.books import Books, ForgottenVisa
from gateway.ledger.journal import Entry
from gateway.ledger.restoring import OurCall
from gateway.message import Micros, Operation
from gateway.pipeline.after_restore import issuing
from gateway.pipeline.engine import Engine
from gateway.ports import Statement, StatementRow
from gateway.states import FINAL, Outcome, State

#: Of each sort so many are listed; the counts are of all.
_LISTED: Final = 1_000


@dataclass(slots=True)
class _Compared:
    both: int = 0
    #: Sent by us without a result so far, and not on their list: nothing to compare yet.
    undecided: int = 0
    only_ours: list[dict[str, Any]] = field(default_factory=list)
    only_theirs: list[dict[str, Any]] = field(default_factory=list)
    differing: list[dict[str, Any]] = field(default_factory=list)
    #: Theirs, issued, and no visa of ours.
    unknown: list[StatementRow] = field(default_factory=list)


async def reconcile(destination: str, statement: Statement, operator: str, engine: Engine) -> dict[str, Any]:
    """What is only ours, only theirs, both, differing. Raises `Refused` (`nothing_to_reconcile`)."""
    operation = issuing(engine)
    if operation is None or operation.destination != destination:
        raise Refused("nothing_to_reconcile", status=404)
    compared = await _compare(operation, statement, engine)
    days = await _read_lost_day(operation, statement, compared.unknown, engine)
    counts = {
        "both": compared.both,
        "only_ours": len(compared.only_ours),
        "only_theirs": len(compared.only_theirs),
        "differing": len(compared.differing),
        "undecided": compared.undecided,
    }
    told = {"destination": destination, "date": statement.day.isoformat(), **counts}
    await engine.ledger.note(Entry(engine.now(), "reconcile", operator, detail={**told, "lost_days": days}))
    engine.metrics.operator_actions.labels("reconcile").inc()
    return {
        "destination": destination,
        "date": statement.day.isoformat(),
        "until": statement.until.isoformat(),
        "counts": counts,
        "only_ours": compared.only_ours[:_LISTED],
        "only_theirs": compared.only_theirs[:_LISTED],
        "differing": compared.differing[:_LISTED],
        "lost_days": days,
    }


# --- comparing --------------------------------------------------------------------------------------------


async def _compare(operation: Operation, statement: Statement, engine: Engine) -> _Compared:
    theirs = {row.request_reference: row for row in statement.rows}
    where = (operation.destination, operation.name)
    named = {call.request_reference: call for call in await engine.ledger.calls_of(*where, sorted(theirs))}
    compared = _Compared()
    _note_twice(statement.rows, compared)
    for reference, row in theirs.items():
        _note_theirs(row, named.get(reference), compared, engine)
    restoration = await engine.ledger.restoration()
    taken_on_at = None if restoration is None else restoration.taken_on_at
    for call in await engine.ledger.calls_between(*where, *_span(operation, statement, engine)):
        # One that a restore believes in was sent on a day that was forgotten: it is on that day's list.
        if call.request_reference not in theirs and call.opened_at != taken_on_at:
            _note_ours(call, compared)
    return compared


def _note_twice(rows: Iterable[StatementRow], compared: _Compared) -> None:
    live = Counter(row.request_reference for row in rows if row.status == "issued")
    for reference, times in live.items():
        if times > 1:
            compared.differing.append(
                {"request_reference": reference, "what": "issued_twice", "theirs": f"issued {times} times"}
            )


def _note_theirs(row: StatementRow, call: OurCall | None, compared: _Compared, engine: Engine) -> None:
    if call is None:
        compared.only_theirs.append({"request_reference": row.request_reference, "theirs": row.status})
        compared.unknown += [row] if row.status == "issued" else []
        return
    what = _difference(row, call, engine)
    if what is None:
        compared.both += 1
        return
    compared.differing.append({**_told(call), "what": what, "theirs": row.status})
    if row.status == "issued" and call.message.state in FINAL and call.visa_index is None:
        compared.unknown.append(row)


def _difference(row: StatementRow, call: OurCall, engine: Engine) -> str | None:
    message = call.message
    issued = message.state is State.COMPLETED and message.outcome is Outcome.ISSUED
    agree = issued if row.status == "issued" else message.state is State.CANCELLED
    if not agree:
        return "state"
    return None if call.visa_index == visa_index(row.visa_number, engine.vault) else "visa_number"


def _note_ours(call: OurCall, compared: _Compared) -> None:
    if call.effect == "done":
        compared.only_ours.append(_told(call))
    else:
        compared.undecided += 1


def _told(call: OurCall) -> dict[str, Any]:
    message = call.message
    state = message.outcome if message.state is State.COMPLETED and message.outcome else message.state
    return {"request_reference": call.request_reference, "message_id": message.id, "ours": state.value}


def _span(operation: Operation, statement: Statement, engine: Engine) -> tuple[Micros, Micros]:
    """Calls of ours that must be on this list. What was sent in its last moments may be on the next one."""
    longest = timedelta(seconds=engine.destination(operation).longest_processing_s)
    until = min(day_begins(statement.day + timedelta(days=1)), statement.until)
    return micros(day_begins(statement.day)), micros(until - longest)


# --- after a restore ----------------------------------------------------------------------------------------


async def _read_lost_day(
    operation: Operation, statement: Statement, unknown: Sequence[StatementRow], engine: Engine
) -> dict[str, Any]:
    """Count the list towards the lost days, if it is complete; the days that are still open, by why."""

    def work(books: Books) -> dict[str, Any]:
        facts = restored.standing(operation.destination, books)
        if facts is None:
            return {}
        fault = _incomplete(statement, unknown, facts)
        if statement.day.isoformat() in restored.open_days(facts) and fault is None:
            found = [_forgotten(row, operation, engine) for row in unknown]
            restored.list_read(operation.destination, statement.day, found, books)
            facts = restored.standing(operation.destination, books) or facts
        return {"open": restored.open_days(facts), **({"not_counted": fault} if fault else {})}

    told = await engine.ledger.work(work)
    engine.hints.notify()
    return told


def _incomplete(
    statement: Statement, unknown: Sequence[StatementRow], facts: Mapping[str, Any]
) -> str | None:
    """Why this list does not tell all that was forgotten of its day."""
    if micros(statement.until) < min(_end_of(statement.day), facts["settled_at"]):
        return "made_too_early"
    if not all(row.passport_number and row.issuing_state for row in unknown):
        return "persons_missing"
    return None


def _end_of(day: date) -> Micros:
    return micros(day_begins(day + timedelta(days=1)))


def _forgotten(row: StatementRow, operation: Operation, engine: Engine) -> ForgottenVisa:
    return ForgottenVisa(
        restored.person_index(row.passport_number, row.issuing_state, engine.vault),
        visa_index(row.visa_number, engine.vault),
        operation.destination,
        row.request_reference,
    )
