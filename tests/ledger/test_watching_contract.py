"""What every ledger tells those who watch it (`gateway.ledger.watching`)."""

from __future__ import annotations

from gateway.clock import micros
from gateway.ledger.port import Ledger, Position
from gateway.ledger.watching import OpenBatches, Undelivered
from gateway.message import PartyId
from gateway.states import Outcome, State
from tests.doubles import ManualClock
from tests.ledger.records import accepted_batch, claim, move, opening

CENTER = PartyId("sc-01")


async def _complete(ledger: Ledger, clock: ManualClock) -> None:
    for message in await claim(ledger, clock):
        await ledger.apply(move(message, State.COMPLETED, clock, outcome=Outcome.REFUSED))


async def test_open_batches_are_counted_by_state_with_the_oldest(ledger: Ledger, clock: ManualClock) -> None:
    assert list(await ledger.open_batches()) == []
    first = micros(clock.now())
    await accepted_batch(ledger, clock, 1, "a")
    clock.pass_by(seconds=60)
    await accepted_batch(ledger, clock, 1, "b")
    being_received = micros(clock.now())
    await ledger.begin_batch(opening(clock, "c"))
    assert list(await ledger.open_batches()) == [
        OpenBatches("processing", 2, first),
        OpenBatches("receiving", 1, being_received),
    ]


async def test_a_completed_batch_is_open_no_more(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 2)
    await _complete(ledger, clock)
    assert list(await ledger.open_batches()) == []


async def test_undelivered_is_what_comes_after_a_receiver_s_position(
    ledger: Ledger, clock: ManualClock
) -> None:
    for key in ("a", "b"):
        await accepted_batch(ledger, clock, 1, key)
        await _complete(ledger, clock)
        clock.pass_by(seconds=60)
    told = list(await ledger.events(CENTER, after=0, limit=10))
    assert list(await ledger.undelivered(("webhook",))) == []  # never begun on this channel
    await ledger.mark(CENTER, "webhook", Position(told[-2].seq))
    assert list(await ledger.undelivered(("webhook", "bus"))) == [
        Undelivered(CENTER, "webhook", told[-1].created_at)
    ]
    await ledger.mark(CENTER, "webhook", Position(told[-1].seq))
    assert list(await ledger.undelivered(("webhook",))) == [Undelivered(CENTER, "webhook", None)]
    assert list(await ledger.undelivered(("bus",))) == []
