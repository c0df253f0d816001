"""What every backend promises of photos, and of lines rejected before their batch is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import LeaseLost, Refused
from gateway.ledger.port import Acceptance, BatchOpening, Ledger, MessageRow, NewMessage
from gateway.message import PartyId
from gateway.states import Outcome, PublicState, State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import PARTY, accept, accepted_batch, claim, line, now, opening, rejected

# --- photos ------------------------------------------------------------


async def put(ledger: Ledger, clock: ManualClock, digest: bytes, party: PartyId = PARTY) -> bool:
    return await ledger.put_photo(party, digest, data_key=b"k", sealed=b"photo", now=now(clock))


async def test_a_photo_put_twice_at_once_is_new_once(ledger: Ledger, clock: ManualClock) -> None:
    answers = await asyncio.gather(*(put(ledger, clock, b"one") for _ in range(20)))
    assert sorted(answers) == [False] * 19 + [True]


async def test_a_party_knows_its_own_photos_only(ledger: Ledger, clock: ManualClock) -> None:
    await put(ledger, clock, b"one")
    await put(ledger, clock, b"two", PartyId("sc-02"))
    assert await ledger.photos_known(PARTY, [b"one", b"two", b"three"]) == {b"one"}
    assert await ledger.photos_known(PARTY, []) == frozenset()
    assert await put(ledger, clock, b"one", PartyId("sc-02"))


async def test_any_number_of_photos_may_be_asked_for_at_once(ledger: Ledger, clock: ManualClock) -> None:
    for number in (0, 4_999):
        await put(ledger, clock, number.to_bytes(4, "big"))
    asked = [number.to_bytes(4, "big") for number in range(5_000)]
    assert await ledger.photos_known(PARTY, asked) == {asked[0], asked[-1]}


# --- lines that are rejected late -----------------------------------------


async def receiving(ledger: Ledger, clock: ManualClock, key: str = "k") -> BatchOpening:
    """A batch of three lines that is not accepted yet."""
    batch = opening(clock, key)
    await ledger.begin_batch(batch)
    lines = [line(batch, n, clock, person_key=b"%d" % n) for n in (1, 2, 3)]
    await ledger.add_lines(batch.batch_id, batch.intake_token, lines, rejected, intake_until=now(clock, s=60))
    return batch


async def reject(
    ledger: Ledger, batch: BatchOpening, clock: ManualClock, *lines: int, token: str | None = None
) -> list[MessageRow]:
    """Reject these lines; the rows that were sealed for it."""
    sealed_for: list[MessageRow] = []

    def seal(row: MessageRow) -> bytes:
        sealed_for.append(row)
        return b"why"

    await ledger.reject_lines(
        batch.batch_id,
        token or batch.intake_token,
        lines,
        "mahram_not_in_batch",
        seal,
        intake_until=now(clock, s=60),
        now=now(clock),
    )
    return sealed_for


async def test_a_line_rejected_late_is_rejected_and_never_claimed(ledger: Ledger, clock: ManualClock) -> None:
    batch = await receiving(ledger, clock)
    (sealed_for,) = await reject(ledger, batch, clock, 2)
    await accept(ledger, batch, clock, 3)
    row = (await ledger.lines(batch.batch_id, after_line=1, limit=1))[0]
    assert (row.id, row.line, row.data_key) == (sealed_for.id, 2, b"k")
    assert (row.state, row.outcome, row.public_state) == (
        State.COMPLETED,
        Outcome.REJECTED,
        PublicState.REJECTED,
    )
    assert (row.code, row.sealed_progress, row.progress_revision) == ("mahram_not_in_batch", b"why", 1)
    assert row.completed_at == now(clock)
    assert sorted(message.line or 0 for message in await claim(ledger, clock)) == [1, 3]
    found = await ledger.batch(batch.batch_id)
    assert found is not None
    assert found.counts["rejected"] == 1
    assert sum(found.counts.values()) == 3


async def test_a_batch_of_nothing_but_lines_rejected_late_is_completed(
    ledger: Ledger, clock: ManualClock
) -> None:
    batch = await receiving(ledger, clock)
    await reject(ledger, batch, clock, 1, 2, 3)
    await accept(ledger, batch, clock, 3)
    found = await ledger.batch(batch.batch_id)
    assert found is not None
    assert (found.state, found.counts) == ("completed", {"rejected": 3})


async def test_the_person_of_a_line_rejected_late_is_free_again(ledger: Ledger, clock: ManualClock) -> None:
    batch = await receiving(ledger, clock)
    await reject(ledger, batch, clock, 2)
    assert set(await ledger.holders([b"1", b"2", b"3"])) == {b"1", b"3"}


async def test_a_line_is_rejected_once_and_an_unknown_one_never(ledger: Ledger, clock: ManualClock) -> None:
    batch = await receiving(ledger, clock)
    await reject(ledger, batch, clock, 2)
    assert await reject(ledger, batch, clock, 2, 9) == []
    found = await ledger.batch(batch.batch_id)
    assert found is not None
    assert found.counts == {"accepted": 2, "rejected": 1}


async def test_rejecting_late_renews_the_intake_lease(ledger: Ledger, clock: ManualClock) -> None:
    batch = await receiving(ledger, clock)
    clock.pass_by(seconds=50)
    await reject(ledger, batch, clock, 2)
    clock.pass_by(seconds=50)
    await ledger.sweep(now=now(clock), release=10)
    await accept(ledger, batch, clock, 3)


async def test_only_the_receiver_of_a_batch_rejects_its_lines(ledger: Ledger, clock: ManualClock) -> None:
    batch = await receiving(ledger, clock)
    with pytest.raises(LeaseLost):
        await reject(ledger, batch, clock, 2, token="another's")
    await accept(ledger, batch, clock, 3)
    with pytest.raises(LeaseLost):
        await reject(ledger, batch, clock, 2)
    assert {row.outcome for row in await ledger.lines(batch.batch_id, after_line=0, limit=9)} == {None}


# --- lines that come with the accepting commit -----------------------------


async def begun(ledger: Ledger, clock: ManualClock, key: str = "k") -> BatchOpening:
    batch = opening(clock, key)
    await ledger.begin_batch(batch)
    return batch


async def test_the_last_lines_are_recorded_counted_and_released_with_their_batch(
    ledger: Ledger, clock: ManualClock
) -> None:
    batch = await begun(ledger, clock)
    first, *last = (line(batch, n, clock, person_key=b"%d" % n) for n in (1, 2, 3))
    await ledger.add_lines(
        batch.batch_id, batch.intake_token, [first], rejected, intake_until=now(clock, s=60)
    )
    assert await accept(ledger, batch, clock, 3, last) == last
    found = await ledger.batch(batch.batch_id)
    assert found is not None
    assert (found.state, found.lines, found.counts) == ("processing", 3, {"accepted": 3})
    assert sorted(message.line or 0 for message in await claim(ledger, clock)) == [1, 2, 3]
    assert set(await ledger.holders([b"1", b"2", b"3"])) == {b"1", b"2", b"3"}


async def test_a_last_line_whose_person_has_a_live_application_is_recorded_as_a_duplicate(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1, persons=[b"one"])
    await claim(ledger, clock)
    batch = await begun(ledger, clock, "another")
    last = [line(batch, n, clock, person_key=person) for n, person in ((1, b"one"), (2, b"two"))]
    again, new = await accept(ledger, batch, clock, 2, last)
    assert (again, new) == (rejected(last[0]), last[1])
    found = await ledger.batch(batch.batch_id)
    assert found is not None
    assert found.counts == {"accepted": 1, "rejected": 1}
    assert [message.line for message in await claim(ledger, clock)] == [2]


async def test_a_batch_of_nothing_but_duplicates_is_completed_by_its_acceptance(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1, persons=[b"one"])
    batch = await begun(ledger, clock, "another")
    await accept(ledger, batch, clock, 1, [line(batch, 1, clock, person_key=b"one")])
    found = await ledger.batch(batch.batch_id)
    assert found is not None
    assert (found.state, found.counts) == ("completed", {"rejected": 1})


async def test_nothing_is_written_of_a_batch_whose_acceptance_refuses(
    ledger: Ledger, clock: ManualClock
) -> None:
    await accepted_batch(ledger, clock, 1, persons=[b"one"])
    batch = await begun(ledger, clock, "another")
    last = [line(batch, n, clock, person_key=person) for n, person in ((1, b"one"), (2, b"two"))]

    def refuse(recorded: Sequence[NewMessage]) -> Acceptance:
        raise Refused(f"{sum(message.outcome is not None for message in recorded)} of {len(recorded)}")

    with pytest.raises(Refused, match="1 of 2"):
        await ledger.accept_batch(batch.batch_id, batch.intake_token, last, rejected, refuse)
    assert await ledger.lines(batch.batch_id, after_line=0, limit=9) == []
    assert set(await ledger.holders([b"one", b"two"])) == {b"one"}
    assert await accept(ledger, batch, clock, 1, last[1:]) == last[1:]  # it is still being received


async def test_only_the_receiver_of_a_batch_accepts_it(ledger: Ledger, clock: ManualClock) -> None:
    batch = await begun(ledger, clock)
    last = [line(batch, 1, clock, person_key=b"one")]
    with pytest.raises(LeaseLost):
        await accept(ledger, replace(batch, intake_token="another's"), clock, 1, last)
    assert await ledger.lines(batch.batch_id, after_line=0, limit=9) == []
    await accept(ledger, batch, clock, 1, last)
    with pytest.raises(LeaseLost):
        await accept(ledger, batch, clock, 2, [line(batch, 2, clock, person_key=b"two")])
    assert [row.line for row in await ledger.lines(batch.batch_id, after_line=0, limit=9)] == [1]


async def test_whose_lease_was_lost_is_not_told_of_duplicates(ledger: Ledger, clock: ManualClock) -> None:
    """Whoever received the batch in its place has those persons now."""
    late = await begun(ledger, clock)
    clock.pass_by(seconds=120)
    batch = await begun(ledger, clock)
    await accept(ledger, batch, clock, 1, [line(batch, 1, clock, person_key=b"one")])

    def never(recorded: Sequence[NewMessage]) -> Acceptance:
        raise AssertionError(recorded)

    with pytest.raises(LeaseLost):
        await ledger.accept_batch(
            late.batch_id, late.intake_token, [line(late, 1, clock, person_key=b"one")], rejected, never
        )


async def test_of_a_large_batch_only_the_first_lines_go_at_once(ledger: Ledger, clock: ManualClock) -> None:
    batch = await begun(ledger, clock)
    last = [line(batch, n, clock, person_key=b"%d" % n) for n in range(1, 503)]
    await accept(ledger, batch, clock, 502, last)
    assert len(await claim(ledger, clock, limit=1000)) == 500
    await ledger.sweep(now=now(clock), release=10)
    assert sorted(message.line or 0 for message in await claim(ledger, clock, limit=1000)) == [501, 502]
