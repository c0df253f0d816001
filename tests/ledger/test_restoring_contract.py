"""What every ledger does with what a restore has forgotten (`gateway.ledger.restoring`)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import LeaseLost
from gateway.ledger.books import Books, ForgottenVisa
from gateway.ledger.port import Ledger
from gateway.ledger.restoring import Question, Restoration, TakingOn
from gateway.message import MessageId
from gateway.states import State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import ISSUANCE, PARTY, accepted_batch, claim, intend, move, now

FOREIGN = "foreign-affairs"


def taking(clock: ManualClock, **changes: Any) -> TakingOn:
    made = TakingOn(
        lost_from=now(clock),
        now=now(clock),
        questions={"visa.application": Question(ISSUANCE, FOREIGN, _reference)},
        then=lambda books, restoration: None,
    )
    return replace(made, **changes)


def _reference(message_id: MessageId) -> str:
    return f"{message_id}/visa_issuance"


def told(restoration: Restoration) -> dict[str, Any]:
    return {"lost_from": restoration.lost_from}


async def test_leases_end_and_whatever_is_not_final_is_asked_about(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 4)
    ready, carried, intended, done = await claim(ledger, clock)
    await ledger.apply(move(ready, State.READY, clock, next_at=now(clock, s=60)))
    await intend(ledger, intended, clock)
    await ledger.apply(move(done, State.CANCELLED, clock))
    clock.pass_by(minutes=1)
    await ledger.take_on_restore(taking(clock), told)
    for message in (ready, carried, intended):
        row = await ledger.message(message.id)
        assert row is not None
        assert (row.state, row.open_step, row.send_by) == (State.UNCERTAIN, ISSUANCE, now(clock))
    final = await ledger.message(done.id)
    assert final is not None and final.state is State.CANCELLED
    asked = await claim(ledger, clock)
    assert {message.id for message in asked} == {ready.id, carried.id, intended.id}
    assert {message.state for message in asked} == {State.INQUIRING}


async def test_a_worker_of_before_can_write_nothing(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 1)
    (carried,) = await claim(ledger, clock)
    await ledger.take_on_restore(taking(clock), told)
    with pytest.raises(LeaseLost):
        await ledger.apply(move(carried, State.READY, clock, next_at=now(clock)))


async def test_whoever_takes_it_on_second_does_nothing(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 2)
    first, second = await asyncio.gather(
        ledger.take_on_restore(taking(clock), told), ledger.take_on_restore(taking(clock), told)
    )
    assert first == second == await ledger.restoration()
    noted = [
        row.entry for row in await ledger.journal(after=0, limit=1_000) if row.entry.action == "restored"
    ]
    assert [entry.detail for entry in noted] == [{"lost_from": now(clock), "asked_about": 2}]


async def test_the_outbox_goes_on_behind_every_number_that_was_given(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1, "a")
    (one,) = await claim(ledger, clock)
    await ledger.apply(move(one, State.CANCELLED, clock))
    *_, before = await ledger.events(PARTY, after=0, limit=10)
    await ledger.take_on_restore(taking(clock), told)
    await accepted_batch(ledger, clock, 1, "b")
    (two,) = await claim(ledger, clock)
    await ledger.apply(move(two, State.CANCELLED, clock))
    after, *_ = await ledger.events(PARTY, after=before.seq, limit=10)
    assert after.seq > before.seq + 1_000_000


async def test_a_forgotten_visa_is_found_by_its_person_until_the_books_know_it(
    ledger: Ledger, clock: ManualClock
) -> None:
    visa = ForgottenVisa(b"person", b"number", FOREIGN, "r/visa_issuance")

    def remember(books: Books) -> None:
        books.remember_forgotten(visa)
        books.remember_forgotten(visa)

    await ledger.work(remember)
    assert await ledger.look(lambda books: books.forgotten_visas(b"person")) == [visa]
    assert await ledger.look(lambda books: books.forgotten_visas(b"another")) == []
    await ledger.work(lambda books: books.let_forgotten_go(b"person"))
    assert await ledger.look(lambda books: books.forgotten_visas(b"person")) == []


async def test_our_calls_are_found_by_reference_and_by_day(ledger: Ledger, clock: ManualClock) -> None:
    await accepted_batch(ledger, clock, 2)
    first, second = await claim(ledger, clock)
    await intend(ledger, first, clock)
    clock.pass_by(hours=2)
    await intend(ledger, second, clock)
    named = await ledger.calls_of(FOREIGN, ISSUANCE, [_reference(first.id), "unknown"])
    assert [(call.message.id, call.effect, call.visa_index) for call in named] == [(first.id, "open", None)]
    later = await ledger.calls_between(FOREIGN, ISSUANCE, now(clock, s=-60), now(clock, s=60))
    assert [call.message.id for call in later] == [second.id]
