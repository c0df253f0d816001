"""Rows of the database as the port's records, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gateway.ledger.books import Record
from gateway.ledger.records import (
    AttemptRecord,
    AuditRow,
    BatchRow,
    Claimed,
    MessageRow,
    NewMessage,
    Note,
    Resolution,
    StoredEvent,
)
from gateway.ledger.sql.transaction import Row, Transaction
from gateway.message import BatchFacts, BatchId, MessageId, Micros, PartyId
from gateway.policies.urgency import urgency
from gateway.states import SETTLED, Outcome, PublicState, State, public_state

CLAIMED_COLUMNS = (
    "id, kind, state, party, licensee, agent, mission, package, group_number, season, batch_reference,"
    " reference, batch_id, line, parent_id, lease_token, attempts, received_at, deadline_at,"
    " cancel_requested_at, open_step, send_by, hurried_at, data_key, sealed_payload, sealed_progress,"
    " progress_revision, versions"
)


def facts(row: Row) -> BatchFacts:
    return BatchFacts(
        batch_reference=row["batch_reference"] or "",
        licensee=row["licensee"] or "",
        agent=row["agent"] or "",
        mission=row["mission"] or "",
        season=row["season"] or 0,
        package=row["package"],
        group_number=row["group_number"],
    )


def claimed(row: Row, state: State) -> Claimed:
    """Of `CLAIMED_COLUMNS`. `state` is the one claimed into: `RETURNING` gives the row after the update."""
    (id, kind, _, party, licensee, agent, mission, package, group_number, season, batch_reference,
     reference, batch_id, line, parent_id, token, attempts, received_at, deadline_at,
     cancel_requested_at, open_step, send_by, hurried_at, data_key, sealed_payload, sealed_progress,
     progress_revision, versions) = in_order(row)  # fmt: skip
    return Claimed(
        id=id,
        kind=kind,
        state=state,
        party=party,
        facts=BatchFacts(
            batch_reference=batch_reference or "",
            licensee=licensee or "",
            agent=agent or "",
            mission=mission or "",
            season=season or 0,
            package=package,
            group_number=group_number,
        ),
        reference=reference,
        batch_id=batch_id,
        line=line,
        parent_id=parent_id,
        token=token,
        attempts=attempts,
        received_at=received_at,
        deadline_at=deadline_at,
        cancel_requested_at=cancel_requested_at,
        open_step=open_step,
        send_by=send_by,
        hurried_at=hurried_at,
        data_key=data_key,
        sealed_payload=sealed_payload,
        sealed_progress=sealed_progress,
        progress_revision=progress_revision,
        versions=versions,
    )


def in_order(row: Row) -> tuple[Any, ...]:
    """The values in the order of the query's columns: to ask for many of them by name takes longer."""
    return tuple(row.values() if isinstance(row, dict) else row)


def message(row: Row) -> MessageRow:
    return MessageRow(
        id=MessageId(row["id"]),
        kind=row["kind"],
        party=PartyId(row["party"]),
        facts=facts(row),
        batch_id=row["batch_id"],
        line=row["line"],
        parent_id=row["parent_id"],
        reference=row["reference"],
        state=State(row["state"]),
        public_state=PublicState(row["public_state"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        code=row["code"],
        attempts=row["attempts"],
        next_at=row["next_at"],
        deadline_at=row["deadline_at"],
        cancel_requested_at=row["cancel_requested_at"],
        waits_for=row["waits_for"],
        expected_at=row["expected_at"],
        lease_token=row["lease_token"],
        lease_until=row["lease_until"],
        open_step=row["open_step"],
        send_by=row["send_by"],
        revision=row["revision"],
        received_at=Micros(row["received_at"]),
        updated_at=Micros(row["updated_at"]),
        completed_at=row["completed_at"],
        data_key=row["data_key"],
        sealed_payload=row["sealed_payload"],
        sealed_progress=row["sealed_progress"],
        progress_revision=row["progress_revision"],
        versions=row["versions"],
    )


def batch(row: Row, counts: dict[str, int]) -> BatchRow:
    return BatchRow(
        id=BatchId(row["id"]),
        party=PartyId(row["party"]),
        state=row["state"],
        revision=row["revision"],
        facts=facts(row),
        lines=row["lines"],
        created_at=Micros(row["created_at"]),
        accepted_at=row["accepted_at"],
        completed_at=row["completed_at"],
        confirmed_at=row["confirmed_at"],
        counts=counts,
    )


def attempt(row: Row) -> AttemptRecord:
    return AttemptRecord(
        step=row["step"],
        action=row["action"],
        kind=row["kind"],
        repeatable=bool(row["repeatable"]),
        started_at=Micros(row["started_at"]),
        send_by=Micros(row["send_by"]),
        outcome=row["outcome"],
        policy=row["policy"],
        finished_at=row["finished_at"],
        code=row["code"],
        sealed_result=row["sealed_result"],
    )


def audit(row: Row) -> AuditRow:
    return AuditRow(
        seq=row["seq"],
        at=Micros(row["at"]),
        message_id=row["message_id"],
        batch_id=row["batch_id"],
        action=row["action"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        actor=row["actor"],
        code=row["code"],
        records=row["records"],
        detail=None if row["detail"] is None else json.loads(row["detail"]),
        note=row["note"],
    )


def record(row: Row) -> Record:
    return Record(
        kind=row["kind"],
        id=row["id"],
        seq=row["seq"],
        version=row["version"],
        facts=json.loads(row["facts"]),
        owner=row["owner"],
        message_id=row["message_id"],
    )


def event(row: Row) -> StoredEvent:
    return StoredEvent(
        seq=row["seq"],
        id=row["event_id"] or str(row["seq"]),
        receiver=PartyId(row["receiver"]),
        kind=row["kind"],
        subject=row["subject"] or row["message_id"] or row["batch_id"] or "",
        classification=row["classification"] or "public",
        created_at=Micros(row["created_at"]),
        message_id=row["message_id"],
        batch_id=row["batch_id"],
        revision=row["revision"],
        correlation_id=row["correlation_id"],
        data_key=row["data_key"],
        sealed=row["sealed"],
    )


def resolution(row: Row) -> Resolution:
    return Resolution(
        message_id=MessageId(row["message_id"]),
        revision=row["revision"],
        decision=row["decision"],
        sealed_visa=row["sealed_visa"],
        reason=Note(row["note"], row["commitment"]),
        proposed_by=row["proposed_by"],
        proposed_at=Micros(row["proposed_at"]),
    )


_INSERT_MESSAGE = """
INSERT INTO message (id, kind, party, licensee, agent, mission, package, group_number, season, batch_id,
    batch_reference, line, parent_id, reference, idempotency_key, lane, state, public_state, outcome, code,
    next_at, deadline_at, received_at, updated_at, completed_at, live_person_key, passport_index, payload_sha,
    data_key, sealed_payload, sealed_progress, progress_revision, versions, urgency)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _due(new: NewMessage, now: Micros) -> Micros | None:
    """By the clock of the transaction, whatever the process's own shows."""
    return None if new.next_at is None else Micros(now + new.next_at - new.received_at)


def insert_message(tx: Transaction, new: NewMessage) -> None:
    """See `insert_messages`."""
    insert_messages(tx, (new,))


def insert_messages(tx: Transaction, messages: Sequence[NewMessage]) -> None:
    """Record messages and their places in the counts of their batches.

    The audit log names a batch once, when it is accepted, not each of its lines.
    """
    tx.run_many(_INSERT_MESSAGE, [_inserted(new, tx.now) for new in messages])
    named = [(index, new.id) for new in messages for index in new.visas_named]
    if named:
        tx.run_many("INSERT INTO named_visa (number_index, message_id) VALUES (?, ?)", named)
    for new in messages:
        tx.counters.count(new.batch_id, None, public_state(new.state, new.outcome, 0))


def _inserted(new: NewMessage, now: Micros) -> tuple[Any, ...]:
    shown = public_state(new.state, new.outcome, 0)
    live = new.person_key if new.state is not State.COMPLETED else None
    where = new.facts
    return (new.id, new.kind, new.party, where.licensee, where.agent, where.mission, where.package,
            where.group_number, where.season, new.batch_id, where.batch_reference, new.line, new.parent_id,
            new.reference, new.idempotency_key, new.lane, new.state, shown, new.outcome, new.code,
            _due(new, now), new.deadline_at, new.received_at, new.received_at,
            new.received_at if new.state is State.COMPLETED else None, live, new.passport_key,
            new.payload_sha, new.data_key, new.sealed_payload, new.sealed_progress,
            1 if new.sealed_progress else 0, new.versions,
            urgency(new.received_at, new.deadline_at, new.line))  # fmt: skip


def show_moved(tx: Transaction, row: Row, shown: PublicState) -> None:
    """A message was moved on from where `row` has it: it is counted anew, and its center told."""
    tx.counters.count(row["batch_id"], row["public_state"], shown)
    tell_center(
        tx, kind=row["kind"], party=row["party"], message_id=row["id"], batch_id=row["batch_id"],
        revision=row["revision"] + 1, shown=shown,
    )  # fmt: skip


def tell_center(
    tx: Transaction,
    *,
    kind: str,
    party: str,
    message_id: str,
    batch_id: str | None,
    revision: int,
    shown: str,
) -> None:
    """The outbox entry of an application that entered a settled state: an id, never data."""
    if kind == "visa.application" and shown in SETTLED:
        tx.outbox.put(
            receiver=party, kind="visa.result", message_id=message_id, batch_id=batch_id, revision=revision,
            created_at=tx.now,
        )  # fmt: skip
