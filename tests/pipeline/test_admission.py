"""Taking a batch in: every line gets its receipt, and nothing happens twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from adapters.service_centers.sample import sample_batch
from gateway.errors import Conflict, LeaseLost, Refused
from gateway.message import PartyId
from gateway.pipeline import report
from gateway.pipeline.admit import admit
from gateway.pipeline.intake import AllOrNothing, Receipt
from gateway.states import PublicState, State
from tests.pipeline.world import CENTER, World, stream, submission


def _with(line: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**line, **changes}


async def test_one_bad_line_is_named_and_the_others_go_on(world: World) -> None:
    lines = world.applications(300)
    lines[122] = _with(lines[122], mobile="+966500000")
    receipt = await world.submit(lines)
    assert receipt.counts == {"total": 300, "accepted": 299, "rejected": 1}
    (rejected,) = receipt.rejected
    assert (rejected.line, rejected.row, rejected.reference) == (123, 124, lines[122]["reference"])
    assert [(v.code, v.pointer) for v in rejected.violations] == [("invalid_phone", "/mobile")]

    await world.carry_until_rest()
    assert (await world.batch(receipt)).counts == {"issued": 299, "rejected": 1}


async def test_a_rejected_line_can_be_fetched_with_both_texts_and_as_it_was_sent(world: World) -> None:
    lines = world.applications(2)
    lines[1] = _with(lines[1], mobile="123")
    receipt = await world.submit(lines)
    assert receipt.batch_id is not None
    (shown,) = [line async for line in report.rejected(CENTER, receipt.batch_id, world.engine)]
    assert shown["application"] == lines[1]
    (error,) = shown["errors"]
    assert error["code"] == "invalid_format"
    assert error["detail"]
    assert error["detail_ar"]


async def test_a_repeated_batch_gets_the_first_answer_and_another_body_a_conflict(world: World) -> None:
    lines = world.applications(3)
    lines[2] = _with(lines[2], mobile="123")
    first = await world.submit(lines)
    again = await world.submit(lines)
    assert again.replayed
    assert (again.batch_id, again.counts, again.rejected) == (first.batch_id, first.counts, first.rejected)
    with pytest.raises(Conflict, match="idempotency_key_reused"):
        await world.submit(lines[:2])


async def test_one_key_fifty_times_at_once_makes_one_batch(world: World) -> None:
    lines = world.applications(5)
    answers = await asyncio.gather(*(world.submit(lines) for _ in range(50)), return_exceptions=True)
    batches = {answer.batch_id for answer in answers if isinstance(answer, Receipt)}
    others = [answer for answer in answers if not isinstance(answer, Receipt)]
    assert len(batches) == 1
    assert all(isinstance(other, Conflict) and other.code == "batch_in_progress" for other in others)


async def test_all_or_nothing_records_nothing_when_a_line_is_wrong(world: World) -> None:
    lines = world.applications(3)
    wrong = [*lines[:2], _with(lines[2], mobile="123")]
    with pytest.raises(AllOrNothing) as refused:
        await world.submit(wrong, mode="all_or_nothing")
    assert [rejected.line for rejected in refused.value.rejected] == [3]
    receipt = await world.submit(lines, mode="all_or_nothing")
    assert receipt.counts == {"total": 3, "accepted": 3}


async def test_a_dry_run_says_the_same_and_records_nothing(world: World) -> None:
    lines = world.applications(3)
    lines[2] = _with(lines[2], mobile="123")
    dry = await world.submit(lines, dry_run=True)
    assert dry.batch_id is None
    real = await world.submit(lines)
    assert (dry.counts, dry.rejected) == (real.counts, real.rejected)


async def test_repeated_references_and_persons_in_a_batch_are_named(world: World) -> None:
    first, second, third = world.applications(3)
    second = _with(second, reference=first["reference"])
    third = _with(first, reference="other")
    receipt = await world.submit([first, second, third])
    found = [(line.line, v.code, v.pointer) for line in receipt.rejected for v in line.violations]
    assert found == [
        (2, "duplicate_in_batch", "/reference"),
        (3, "duplicate_in_batch", "/passport/number"),
    ]


async def test_a_person_with_a_live_application_elsewhere_is_a_duplicate_without_saying_whose(
    world: World,
) -> None:
    lines = world.applications(1)
    await world.submit(lines, key="one")
    dry = await world.submit(lines, key="two", dry_run=True)
    receipt = await world.submit(lines, key="two")
    for answer in (dry, receipt):
        (rejected,) = answer.rejected
        assert [v.code for v in rejected.violations] == ["duplicate_application"]
        assert "sc-01" not in str(rejected.violations)


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"licensee_id": "LIC-9999"}, "center_not_licensed", "/licensee_id"),
        ({"agent_id": "AGT-9999"}, "agent_unknown", "/agent_id"),
        ({"mission_id": "MSN-XXX-XXX"}, "mission_unknown", "/mission_id"),
        ({"package_id": "PKG-9999"}, "package_not_approved", "/package_id"),
        ({"group_number": "GRP-4002"}, "group_of_another_licensee", "/group_number"),
    ],
)
async def test_a_closed_gate_refuses_the_batch_at_the_header(
    world: World, change: dict[str, str], code: str, pointer: str
) -> None:
    body = submission([_with(_header(world), **change), *world.applications(1)])
    with pytest.raises(Refused) as refused:
        await admit(body, world.engine)
    assert (refused.value.code, refused.value.status) == (code, 403)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


async def test_a_refused_batch_leaves_its_key_free(world: World) -> None:
    with pytest.raises(Refused):
        await admit(submission([_with(_header(world), agent_id="NO"), *world.applications(1)]), world.engine)
    assert (await world.submit(1)).counts["accepted"] == 1


async def test_an_empty_batch_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="batch_empty"):
        await admit(submission([_header(world)]), world.engine)


async def test_another_partys_batch_and_an_absent_one_look_the_same(world: World) -> None:
    receipt = await world.submit(1)
    assert receipt.batch_id is not None
    for batch in (receipt.batch_id, "0190-none"):
        with pytest.raises(Refused) as refused:
            await report.batch_status(PartyId("sc-02"), batch, world.engine)  # type: ignore[arg-type]
        assert (refused.value.code, refused.value.status, str(refused.value)) == (
            "not_found",
            404,
            "not_found",
        )


async def test_pages_follow_each_other_without_gap_or_overlap(world: World) -> None:
    receipt = await world.submit(25)
    assert receipt.batch_id is not None
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = await report.page(CENTER, receipt.batch_id, world.engine, state=None, cursor=cursor, limit=10)
        seen += [line["line"] for line in page["applications"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(1, 26))
    none = await report.page(
        CENTER, receipt.batch_id, world.engine, state=PublicState.ISSUED, cursor=None, limit=10
    )
    assert none["applications"] == []


async def test_no_name_and_no_passport_number_is_readable_in_the_database_file(
    world: World, tmp_path: Path
) -> None:
    lines = world.applications(20)
    lines[3] = _with(lines[3], mobile="+99912345678")
    await world.submit(lines)
    await world.carry_until_rest()
    written = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert len(written) > 50_000
    for line in lines:
        for value in (line["passport"]["number"], line["name"]["family"], line.get("mobile", "+++")):
            assert value.encode() not in written
    assert b"6000000001" not in written  # the visa number


def _header(world: World) -> dict[str, Any]:
    return dict(sample_batch(1, 7, world.clock.today(), clean=True)[0])


@pytest.mark.parametrize("count", [1, 199, 200, 201, 400, 601])
async def test_a_batch_of_any_length_is_taken_and_released_as_a_whole(world: World, count: int) -> None:
    """200 lines are a chunk; those that fill none any more come with the accepting commit."""
    lines = world.applications(count)
    lines[-1] = _with(lines[-1], mobile="123")
    receipt = await world.submit(lines)
    counts = {"total": count, "accepted": count - 1, "rejected": 1}
    assert receipt.counts == {name: n for name, n in counts.items() if n}
    assert [rejected.line for rejected in receipt.rejected] == [count]
    batch = await world.batch(receipt)
    assert (batch.lines, sum(batch.counts.values())) == (count, count)
    again = await world.submit(lines)
    assert (again.replayed, again.counts, again.rejected) == (True, receipt.counts, receipt.rejected)
    states = [row.state for row in await world.rows(receipt.batch_id)]
    released = min(count - 1, 500)
    assert states == [State.READY] * released + [State.ACCEPTED] * (count - 1 - released) + [State.COMPLETED]


@pytest.mark.parametrize("count", [2, 201])
async def test_all_or_nothing_is_refused_for_a_duplicate_that_only_the_ledger_knows(
    world: World, count: int
) -> None:
    lines = world.applications(count)
    await world.submit([{**lines[-1], "reference": "first"}], key="one")
    with pytest.raises(AllOrNothing) as refused:
        await world.submit(lines, key="two", mode="all_or_nothing")
    (rejected,) = refused.value.rejected
    assert (rejected.line, rejected.violations[0].code) == (count, "duplicate_application")
    receipt = await world.submit(lines[:-1], key="two", mode="all_or_nothing")
    assert receipt.counts == {"total": count - 1, "accepted": count - 1}


@pytest.mark.parametrize("arrival", ["2077-11-17", "2078-01-01", "9999-12-20"])
async def test_an_arrival_beyond_the_calendar_is_rejected_alone(world: World, arrival: str) -> None:
    lines = world.applications(3)
    passport = {name: value for name, value in lines[1]["passport"].items() if name != "mrz"}
    lines[1] = _with(
        lines[1],
        travel={"arrival_date": arrival, "departure_date": arrival[:8] + "29"},
        passport={**passport, "expiry_date": "9999-12-31"},
    )
    receipt = await world.submit(lines)
    (rejected,) = receipt.rejected
    assert rejected.line == 2
    assert ("season_unknown", "/travel/arrival_date") in [(v.code, v.pointer) for v in rejected.violations]
    assert receipt.counts == {"total": 3, "accepted": 2, "rejected": 1}


async def test_a_line_with_an_unknown_photo_keeps_neither_its_reference_nor_its_person(world: World) -> None:
    good, other = world.applications(2)
    unknown = _with(good, photo_sha256="0" * 64)
    receipt = await world.submit([unknown, good, other, good])
    found = [(line.line, [v.code for v in line.violations]) for line in receipt.rejected]
    assert found == [(1, ["photo_unknown"]), (4, ["duplicate_in_batch"] * 2)]


class _SlowSender:
    """Never silent for long: time passes and the sweeper comes by before each piece of its body."""

    def __init__(self, world: World, *, pieces: int, seconds: float) -> None:
        self._world, self._pieces, self._seconds = world, pieces, seconds
        #: When the ledger was told of the lease again, without any lines.
        self.renewed_at: list[float] = []
        self._began = world.clock.boottime_s()
        self._watch()

    def _watch(self) -> None:
        add_lines = self._world.engine.ledger.add_lines

        async def watched(*given: Any, **options: Any) -> Any:
            if not given[2]:
                self.renewed_at.append(self._world.clock.boottime_s() - self._began)
            return await add_lines(*given, **options)

        self._world.engine.ledger.add_lines = watched  # type: ignore[method-assign]

    async def body(self, data: bytes) -> AsyncIterator[bytes]:
        async for piece in stream(data, len(data) // self._pieces + 1):
            self._world.clock.pass_by(seconds=self._seconds)
            await self._world.engine.ledger.sweep(now=self._world.engine.now(), release=100)
            yield piece

    async def submit(self, count: int, **options: Any) -> Receipt:
        given = submission([_header(self._world), *self._world.applications(count)], **options)
        data = b"".join([piece async for piece in given.body])
        return await admit(replace(given, body=self.body(data)), self._world.engine)


@pytest.mark.parametrize("count", [1, 150, 250])
async def test_a_sender_that_is_slow_but_never_silent_keeps_its_lease(world: World, count: int) -> None:
    """Its lease is of 60 seconds; fewer lines than make a chunk come in five times that."""
    sender = _SlowSender(world, pieces=60, seconds=5)
    receipt = await sender.submit(count)
    assert receipt.counts == {"total": count, "accepted": count}
    assert (await world.batch(receipt)).lines == count
    # Once a third of the lease has passed: so no oftener than every 20 seconds.
    assert 0 < len(sender.renewed_at) <= 15
    gaps = [later - earlier for earlier, later in pairwise([0.0, *sender.renewed_at])]
    assert min(gaps) >= 20


async def test_a_lease_that_chunks_renew_is_not_renewed_besides(world: World) -> None:
    sender = _SlowSender(world, pieces=4, seconds=15)
    assert (await sender.submit(1200)).counts == {"total": 1200, "accepted": 1200}
    assert sender.renewed_at == []


async def test_a_dry_run_has_no_lease_to_renew(world: World) -> None:
    sender = _SlowSender(world, pieces=30, seconds=5)
    receipt = await sender.submit(3, dry_run=True)
    assert (receipt.counts, sender.renewed_at) == ({"total": 3, "accepted": 3}, [])


async def test_a_sender_that_falls_silent_loses_its_lease_and_nothing_is_left(world: World) -> None:
    sender = _SlowSender(world, pieces=3, seconds=61)
    with pytest.raises(LeaseLost):
        await sender.submit(5)
    assert (await world.submit(5)).counts == {"total": 5, "accepted": 5}
