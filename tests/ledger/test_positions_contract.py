"""What every backend promises of positions: they go forward by themselves, and back only for an operator."""

from __future__ import annotations

import pytest

from gateway.errors import Conflict
from gateway.ledger.port import Ledger, Note, Position
from gateway.message import PartyId
from tests.doubles import ManualClock
from tests.ledger.records import now

CENTER = PartyId("sc-01")
LOST = Note(b"sealed", "0" * 64)


async def test_a_mark_never_goes_back(ledger: Ledger) -> None:
    assert await ledger.mark(CENTER, "webhook", Position(7))
    assert await ledger.mark(CENTER, "webhook", Position(3, 1, None))
    assert await ledger.position(CENTER, "webhook") == Position(7, 1, None)


async def test_a_mark_from_a_place_that_was_left_changes_nothing(ledger: Ledger, clock: ManualClock) -> None:
    assert not await ledger.mark(CENTER, "webhook", Position(7), after=5)
    assert await ledger.mark(CENTER, "webhook", Position(7), after=0)
    await ledger.rewind(CENTER, "webhook", 2, actor="operator-1", reason=LOST, now=now(clock))
    assert not await ledger.mark(CENTER, "webhook", Position(8), after=7)
    assert (await ledger.position(CENTER, "webhook")).seq == 2
    assert await ledger.mark(CENTER, "webhook", Position(3), after=2)
    assert await ledger.position(CENTER, "webhook") == Position(3)


async def test_a_rewound_receiver_is_due_at_once(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.mark(CENTER, "webhook", Position(7, 4, now(clock, s=60)))
    await ledger.mark(CENTER, "bus", Position(7))
    given = await ledger.rewind(CENTER, "webhook", 2, actor="operator-1", reason=LOST, now=now(clock))
    assert given == Position(2, 0, now(clock))
    assert await ledger.position(CENTER, "webhook") == given
    assert await ledger.position(CENTER, "bus") == Position(7)


async def test_nobody_is_sent_ahead_by_a_rewind(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.mark(CENTER, "webhook", Position(7))
    with pytest.raises(Conflict, match="not_delivered_yet"):
        await ledger.rewind(CENTER, "webhook", 8, actor="operator-1", reason=LOST, now=now(clock))
    assert await ledger.position(CENTER, "webhook") == Position(7)


async def test_a_rewind_is_kept_in_the_audit_log(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.mark(CENTER, "webhook", Position(7))
    before = await ledger.audit_head()
    await ledger.rewind(CENTER, "webhook", 2, actor="operator-1", reason=LOST, now=now(clock))
    assert await ledger.audit_head() == before + 1
