"""Moves that stand side by side in a group: written together, each with an end of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.errors import LeaseLost
from gateway.ledger.books import Books, Movement, Presence, Quota, Visa
from gateway.ledger.port import Applied, AttemptRecord, CancelAsked, Claimed, GateClosed, Ledger, Move
from gateway.ledger.sql.among import among
from gateway.message import MessageId
from gateway.states import Outcome, State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import FACTS, ISSUANCE, PARTY, accepted_batch, claim, intend, intent_move, move, now

PLAN = Quota("plan", "LIC-1")


async def together(ledger: Any, moves: Sequence[Move]) -> list[Any]:
    """These moves as one group has them."""
    return list(await ledger._write(lambda tx: ledger._apply_all(tx, moves)))


async def claimed(ledger: Ledger, clock: ManualClock, count: int) -> list[Claimed]:
    await accepted_batch(ledger, clock, count)
    return await claim(ledger, clock)


def taking(message_id: MessageId) -> Callable[[Books], GateClosed | None]:
    """A gate that takes a place."""
    return lambda books: None if books.reserve(message_id, [PLAN]) is None else _full()


def _full() -> GateClosed:
    return GateClosed("plan_exceeded", waits_for=PLAN.name)


def taking_intent(message: Claimed, clock: ManualClock) -> Move:
    return replace(intent_move(message, clock), gate=taking(message.id))


def refused(message: Claimed, clock: ManualClock) -> Move:
    return move(message, State.COMPLETED, clock, outcome=Outcome.REFUSED)


def call_ended(outcome: str, clock: ManualClock) -> AttemptRecord:
    return AttemptRecord(
        step=ISSUANCE, action="IssueVisa", kind="call", repeatable=False, started_at=now(clock),
        send_by=now(clock), outcome=outcome, policy="1", finished_at=now(clock),
    )  # fmt: skip


async def set_ceiling(ledger: Ledger, ceiling: int) -> None:
    await ledger.work(lambda books: books.set_ceiling(PLAN, ceiling))


async def taken(ledger: Ledger) -> int:
    state = await ledger.look(lambda books: books.quota(PLAN))
    assert state is not None
    return state.taken


async def test_each_move_of_a_group_ends_in_its_own_way(ledger: Ledger, clock: ManualClock) -> None:
    good, stale, gated, cancelled, last = await claimed(ledger, clock, 5)
    await ledger.cancel(cancelled.id, actor="sc-01", now=now(clock))
    asked: list[str] = []

    def looked_at(books: Books) -> None:
        asked.append("stale")

    ends = await together(
        ledger,
        [
            intent_move(good, clock),
            replace(intent_move(replace(stale, token=stale.token - 1), clock), gate=looked_at),
            replace(intent_move(gated, clock), gate=lambda _: GateClosed("mission_closed")),
            intent_move(cancelled, clock),
            refused(last, clock),
        ],
    )
    assert [type(end) for end in ends] == [Applied, LeaseLost, GateClosed, CancelAsked, Applied]
    assert not asked
    rows = {id: await ledger.message(id) for id in (good.id, stale.id, gated.id, cancelled.id, last.id)}
    opened = {id for id, row in rows.items() if row is not None and row.open_step == ISSUANCE}
    assert opened == {good.id}
    for untouched in (stale, gated, cancelled):
        row = rows[untouched.id]
        assert row is not None
        assert row.state is State.CARRIED
        assert not await ledger.attempts(untouched.id)
        assert [entry.action for entry in await ledger.audit(untouched.id)] in ([], ["cancel_requested"])
    settled = rows[last.id]
    assert settled is not None
    assert settled.state is State.COMPLETED


@pytest.mark.parametrize("in_state", [State.INQUIRING, State.READY])
async def test_a_move_from_a_state_that_the_message_left_is_refused_before_its_gate_takes_a_place(
    ledger: Ledger, clock: ManualClock, in_state: State
) -> None:
    await set_ceiling(ledger, 1)
    message, other = await claimed(ledger, clock, 2)
    stale = replace(taking_intent(message, clock), message=replace(message, state=in_state))
    ends = await together(ledger, [stale, intent_move(other, clock)])
    assert [type(end) for end in ends] == [LeaseLost, Applied]
    assert await taken(ledger) == 0


async def test_an_intent_under_anothers_reference_fails_alone(ledger: Ledger, clock: ManualClock) -> None:
    first, second, third = await claimed(ledger, clock, 3)
    moves = [intent_move(message, clock) for message in (first, second, third)]
    assert moves[0].intent is not None
    moves[1] = replace(moves[1], intent=moves[0].intent)
    ends = await asyncio.gather(*(ledger.apply(one) for one in moves), return_exceptions=True)
    assert [type(end) for end in ends] == [Applied, RuntimeError, Applied]
    assert [len(await ledger.attempts(one.id)) for one in (first, second, third)] == [1, 0, 1]


async def test_the_second_move_of_a_message_goes_by_what_the_first_one_left(
    ledger: Ledger, clock: ManualClock
) -> None:
    message, other = await claimed(ledger, clock, 2)
    after = replace(message, open_step=ISSUANCE)
    settled = move(after, State.COMPLETED, clock, outcome=Outcome.ISSUED, intent_ends="done")
    ends = await together(
        ledger, [intent_move(message, clock), intent_move(other, clock), settled, refused(message, clock)]
    )
    assert [type(end) for end in ends] == [Applied, Applied, Applied, LeaseLost]
    row = await ledger.message(message.id)
    assert row is not None
    assert (row.state, row.outcome, row.revision) == (State.COMPLETED, Outcome.ISSUED, 3)


async def test_the_end_of_a_call_is_noted_where_its_intent_opened_it(
    ledger: Ledger, clock: ManualClock
) -> None:
    messages = await claimed(ledger, clock, 3)
    opened = [await intend(ledger, message, clock) for message in messages[:2]]
    done = {"outcome": Outcome.ISSUED, "attempts": [call_ended("ok", clock)]}
    await together(
        ledger,
        [move(message, State.COMPLETED, clock, intent_ends="done", **done) for message in opened]
        + [move(messages[2], State.COMPLETED, clock, **done)],  # nobody had opened it
    )
    for message in messages:
        assert [attempt.outcome for attempt in await ledger.attempts(message.id)] == ["ok"]


async def test_a_group_takes_no_more_places_than_there_are(ledger: Ledger, clock: ManualClock) -> None:
    await set_ceiling(ledger, 3)
    messages = await claimed(ledger, clock, 5)
    ends = await together(ledger, [taking_intent(message, clock) for message in messages])
    assert [type(end) for end in ends] == [Applied] * 3 + [GateClosed] * 2
    assert await taken(ledger) == 3


async def test_who_holds_a_place_already_takes_no_second_one(ledger: Ledger, clock: ManualClock) -> None:
    await set_ceiling(ledger, 2)
    first, second = await claimed(ledger, clock, 2)
    await together(ledger, [taking_intent(first, clock)])
    back = replace(first, open_step=ISSUANCE)
    ended = [call_ended("unavailable", clock)]
    await ledger.apply(move(back, State.READY, clock, intent_ends="free", next_at=now(clock), attempts=ended))
    (again,) = await claim(ledger, clock)
    ends = await together(ledger, [taking_intent(one, clock) for one in (again, second)])
    assert [type(end) for end in ends] == [Applied, Applied]
    assert await taken(ledger) == 2


@pytest.mark.parametrize("held_first", [True, False])
async def test_a_place_given_back_in_the_same_group_wakes_who_waits_for_it(
    ledger: Ledger, clock: ManualClock, held_first: bool
) -> None:
    await set_ceiling(ledger, 1)
    first, second = await claimed(ledger, clock, 2)
    await together(ledger, [taking_intent(first, clock)])
    held = move(second, State.HELD, clock, next_at=now(clock, s=3600), waits_for=PLAN.name)
    ended = replace(refused(replace(first, open_step=ISSUANCE), clock), intent_ends="free")
    await together(ledger, [held, ended] if held_first else [ended, held])
    row = await ledger.message(second.id)
    assert row is not None
    assert row.next_at == now(clock)
    assert await taken(ledger) == 0


async def test_places_taken_within_a_transaction_are_seen_by_who_looks_next(
    ledger: Ledger, clock: ManualClock
) -> None:
    await set_ceiling(ledger, 2)
    first, second = await claimed(ledger, clock, 2)

    def take(books: Books) -> list[int]:
        seen = []
        for message in (first, second):
            assert books.reserve(message.id, [PLAN]) is None
            state = books.quota(PLAN)
            assert state is not None
            seen.append(state.free)
        return seen

    assert await ledger.work(take) == [1, 0]


async def test_a_person_is_free_again_when_refused_and_not_when_issued(
    ledger: Ledger, clock: ManualClock
) -> None:
    persons = [b"refused", b"issued", b"waits"]
    batch = await accepted_batch(ledger, clock, 3, persons=persons)
    first, second, third = sorted(await claim(ledger, clock), key=lambda message: message.line or 0)
    issued = move(second, State.COMPLETED, clock, outcome=Outcome.ISSUED)
    waits = move(third, State.READY, clock, next_at=now(clock))
    await together(ledger, [refused(first, clock), issued, waits])
    assert await ledger.holders(persons) == {b"issued": batch.batch_id, b"waits": batch.batch_id}


async def test_a_visas_number_stays_with_the_message_that_it_was_issued_for(
    ledger: Ledger, clock: ManualClock
) -> None:
    visa = Visa(b"number", MessageId("m1"), PARTY, FACTS, "IDN", clock.today())
    inside = replace(visa, presence=Presence.INSIDE)
    assert await ledger.work(lambda books: books.put_visa(visa))
    assert await ledger.work(lambda books: books.put_visa(inside))
    assert not await ledger.work(lambda books: books.put_visa(replace(visa, message_id=MessageId("m2"))))
    found = await ledger.look(lambda books: books.visa(b"number"))
    assert found is not None
    assert (found.message_id, found.presence) == ("m1", Presence.INSIDE)


def issuing(message: Claimed, visa: Visa, put: Callable[[Books, Visa], None], clock: ManualClock) -> Move:
    own = replace(visa, message_id=message.id)
    issued = move(message, State.COMPLETED, clock, outcome=Outcome.ISSUED)
    return replace(issued, then=lambda books: put(books, own))


def a_visa(number: bytes, clock: ManualClock) -> Visa:
    return Visa(number, MessageId(""), PARTY, FACTS, "IDN", clock.today())


async def test_of_two_in_a_group_that_are_given_one_number_the_second_does_not_get_it(
    ledger: Ledger, clock: ManualClock
) -> None:
    """Neither when the number is new, nor when it was another's before."""
    messages = await claimed(ledger, clock, 4)
    got: dict[str, bool] = {}

    def put(books: Books, visa: Visa) -> None:
        got[visa.message_id] = books.put_visa(visa)

    for pair, number in ((messages[:2], b"new"), (messages[2:], b"known")):
        if number == b"known":
            known = replace(a_visa(number, clock), message_id=MessageId("before"))
            assert await ledger.work(lambda books, known=known: books.put_visa(known))  # type: ignore[misc]
        moves = [issuing(message, a_visa(number, clock), put, clock) for message in pair]
        await asyncio.gather(*(ledger.apply(one) for one in moves))
    assert [got[message.id] for message in messages] == [True, False, False, False]
    found = await ledger.look(lambda books: [books.visa(b"new"), books.visa(b"known")])
    assert [visa and visa.message_id for visa in found] == [messages[0].id, "before"]
    assert {(await ledger.message(message.id)).state for message in messages} == {State.COMPLETED}  # type: ignore[union-attr]


async def test_visas_of_a_group_meet_the_movements_that_came_before_them(
    ledger: Ledger, clock: ManualClock
) -> None:
    messages = await claimed(ledger, clock, 3)
    arrival = Movement(MessageId("arrival"), b"1", "arrival", now(clock), clock.today(), matched=False)
    await ledger.work(lambda books: books.note_movement(arrival))
    met: dict[bytes, list[Movement]] = {}

    def put(books: Books, visa: Visa) -> None:
        assert books.put_visa(visa)
        met[visa.index] = list(books.parked_movements(visa.index))

    moves = [
        issuing(message, a_visa(b"%d" % number, clock), put, clock) for number, message in enumerate(messages)
    ]
    await asyncio.gather(*(ledger.apply(one) for one in moves))
    assert met == {b"0": [], b"1": [arrival], b"2": []}


async def test_who_asks_for_a_visa_of_its_own_group_finds_it(ledger: Ledger, clock: ManualClock) -> None:
    first, second = await claimed(ledger, clock, 2)
    found: list[Any] = []

    def put(books: Books, visa: Visa) -> None:
        books.put_visa(visa)
        found.append((books.visa_of(visa.message_id), books.visa(visa.index)))
        found.append(books.presences(season=FACTS.season))

    moves = [issuing(message, a_visa(message.id.encode(), clock), put, clock) for message in (first, second)]
    await together(ledger, moves)
    visas = [
        replace(
            a_visa(message.id.encode(), clock),
            message_id=message.id,
            facts=replace(FACTS, batch_reference=""),
        )
        for message in (first, second)
    ]
    assert found == [
        (visas[0], visas[0]), {Presence.ISSUED: 1}, (visas[1], visas[1]), {Presence.ISSUED: 2}
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "marks"), [(1, 1), (2, 2), (3, 4), (5, 8), (8, 8)])
def test_few_texts_serve_any_number_of_values(count: int, marks: int) -> None:
    text, values = among(list(range(count)))
    assert text == f"IN ({', '.join('?' * marks)})"
    assert len(values) == marks
    assert set(values) == set(range(count))
