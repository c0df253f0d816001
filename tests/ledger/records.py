"""Messages and moves for the ledger's tests: real ids, opaque bytes in place of sealed data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.clock import micros
from gateway.ledger.port import (
    Acceptance,
    Applied,
    AttemptRecord,
    BatchOpening,
    Claimed,
    Intent,
    Ledger,
    Move,
    NewMessage,
    ReferenceRecord,
)
from gateway.message import BatchFacts, BatchId, MessageId, Micros, PartyId, new_id
from gateway.states import Outcome, State
from gateway.values import replace
from tests.doubles import ManualClock

PARTY = PartyId("sc-01")
FACTS = BatchFacts("REF", "LIC-1", "AGT-1", "MSN-1", 1448)
REFERENCE = [
    ReferenceRecord("licensee", "LIC-1", "1", {"status": "active"}),
    ReferenceRecord("service_center", "sc-01", "1", {"status": "active", "licensees": ["LIC-1"]}),
    ReferenceRecord("agent", "AGT-1", "1", {"status": "active", "licensees": ["LIC-1"]}),
    ReferenceRecord("mission", "MSN-1", "1", {"status": "open"}),
]
ISSUANCE = "foreign_affairs.visa_issuance"


def now(clock: ManualClock, **later: float) -> Micros:
    moved = micros(clock.now())
    return Micros(moved + round(sum(later.values()) * 1_000_000))


def opening(clock: ManualClock, key: str = "k", **changes: Any) -> BatchOpening:
    made = BatchOpening(
        batch_id=BatchId(new_id()),
        party=PARTY,
        idempotency_key=key,
        intake_token=new_id(),
        intake_until=now(clock, s=60),
        mode="lines",
        data_key=b"k",
        now=now(clock),
    )
    return replace(made, **changes)


def line(batch: BatchOpening, number: int, clock: ManualClock, **changes: Any) -> NewMessage:
    made = NewMessage(
        id=MessageId(new_id()),
        kind="visa.application",
        party=batch.party,
        facts=FACTS,
        reference=f"A{number}",
        lane=batch.batch_id,
        state=State.ACCEPTED,
        received_at=now(clock),
        data_key=b"k",
        sealed_payload=b"payload",
        versions="1",
        batch_id=batch.batch_id,
        line=number,
    )
    return replace(made, **changes)


def rejected(message: NewMessage) -> NewMessage:
    return replace(message, state=State.COMPLETED, outcome=Outcome.REJECTED, code="duplicate_application")


async def accept(
    ledger: Ledger, batch: BatchOpening, clock: ManualClock, count: int, last: Sequence[NewMessage] = ()
) -> Sequence[NewMessage]:
    """Accept a batch of `count` lines, of which `last` come with the accepting commit."""
    acceptance = Acceptance(FACTS, b"sha", count, b"receipt", now(clock), clock.today())
    return await ledger.accept_batch(batch.batch_id, batch.intake_token, last, rejected, lambda _: acceptance)


async def accepted_batch(
    ledger: Ledger, clock: ManualClock, count: int, key: str = "k", persons: list[bytes] | None = None
) -> BatchOpening:
    """A batch of `count` lines, accepted, its lines released."""
    batch = opening(clock, key)
    await ledger.begin_batch(batch)
    lines = [line(batch, n + 1, clock, person_key=persons[n] if persons else None) for n in range(count)]
    await ledger.add_lines(batch.batch_id, batch.intake_token, lines, rejected, intake_until=now(clock, s=60))
    await accept(ledger, batch, clock, count)
    await ledger.sweep(now=now(clock), release=100_000)
    return batch


async def claim(ledger: Ledger, clock: ManualClock, limit: int = 100, lease_s: float = 60) -> list[Claimed]:
    return list(await ledger.claim("w", limit, now=now(clock), lease_until=now(clock, s=lease_s)))


def move(message: Claimed, to: State, clock: ManualClock, **changes: Any) -> Move:
    made = Move(message=message, to=to, now=now(clock), action=str(to), actor="test")
    return replace(made, **changes)


def intent_move(message: Claimed, clock: ManualClock) -> Move:
    opened = AttemptRecord(
        step=ISSUANCE,
        action="IssueVisa",
        kind="call",
        repeatable=False,
        started_at=now(clock),
        send_by=now(clock, s=5),
        outcome="open",
        policy="1",
    )
    return move(
        message,
        State.CARRIED,
        clock,
        intent=Intent(ISSUANCE, "foreign-affairs", f"{message.id}/visa_issuance", now(clock, s=5)),
        attempts=[opened],
        lease_until=now(clock, s=60),
    )


async def intend(ledger: Ledger, message: Claimed, clock: ManualClock) -> Claimed:
    """The message with its intent durable."""
    assert isinstance(await ledger.apply(intent_move(message, clock)), Applied)
    return replace(message, open_step=ISSUANCE, send_by=now(clock, s=5))
