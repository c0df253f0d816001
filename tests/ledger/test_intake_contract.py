"""What every backend promises of photos, and of lines rejected before their batch is accepted."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import LeaseLost
from gateway.ledger.port import Acceptance, BatchOpening, Ledger, MessageRow
from gateway.message import PartyId
from gateway.states import Outcome, PublicState, State
from tests.doubles import ManualClock
from tests.ledger.records import FACTS, PARTY, claim, line, now, opening, rejected

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


async def accept(ledger: Ledger, batch: BatchOpening, clock: ManualClock) -> None:
    await ledger.accept_batch(
        Acceptance(
            batch.batch_id, batch.intake_token, FACTS, b"sha", 3, b"receipt", now(clock), clock.today()
        )
    )


async def test_a_line_rejected_late_is_rejected_and_never_claimed(ledger: Ledger, clock: ManualClock) -> None:
    batch = await receiving(ledger, clock)
    (sealed_for,) = await reject(ledger, batch, clock, 2)
    await accept(ledger, batch, clock)
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
    await accept(ledger, batch, clock)
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
    await accept(ledger, batch, clock)


async def test_only_the_receiver_of_a_batch_rejects_its_lines(ledger: Ledger, clock: ManualClock) -> None:
    batch = await receiving(ledger, clock)
    with pytest.raises(LeaseLost):
        await reject(ledger, batch, clock, 2, token="another's")
    await accept(ledger, batch, clock)
    with pytest.raises(LeaseLost):
        await reject(ledger, batch, clock, 2)
    assert {row.outcome for row in await ledger.lines(batch.batch_id, after_line=0, limit=9)} == {None}
