"""Sequences that once went wrong, found by reading the code against its promises."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Conflict, Unavailable, Uncertain
from gateway.message import Absent, Answered, Contested, Declined, Deferred, StillProcessing
from gateway.pipeline import operate, report, wishes
from gateway.pipeline.carry import carry
from gateway.pipeline.worker import Worker
from gateway.states import Outcome, State
from tests.doubles import ISSUED
from tests.pipeline.world import CENTER, World


async def test_a_visa_found_by_inquiry_stands_although_the_clearance_became_stale_meanwhile(
    world: World,
) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [StillProcessing(), ISSUED]
    receipt = await world.submit(1)
    await world.carry_due()
    await world.carry_due()
    world.clock.pass_by(hours=3)  # a clearance is good for one hour here
    world.nic.scripts["CheckClearance"] = [Declined("HIT", "refused")]
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    assert world.nic.calls() == {"CheckClearance": 1}


async def test_a_visa_that_took_longer_than_the_clearance_is_good_for_is_settled_as_issued(
    world: World,
) -> None:
    world.foreign_affairs.gate = asyncio.Event()
    receipt = await world.submit(1)
    carrying = asyncio.create_task(world.carry_due())
    while not world.foreign_affairs.sent:
        await asyncio.sleep(0)
    world.clock.pass_by(hours=3)
    world.foreign_affairs.gate.set()
    await carrying
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_message_set_aside_after_its_intent_can_still_be_opened(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Answered({"visa_number": object()})]
    receipt = await world.submit(1)
    engine = world.engine
    await engine.ledger.sweep(now=engine.now(), release=10)
    (message,) = await engine.ledger.claim(
        "w",
        1,
        now=engine.now(),
        lease_until=engine.now() + 60_000_000,  # type: ignore[arg-type]
    )
    await Worker(engine)._carry_one(message, engine)  # settling fails: the result can't be sealed
    row = await world.only(receipt)
    assert row.state is State.UNCERTAIN
    assert [a.outcome for a in await engine.ledger.attempts(row.id)][-1] == "crashed"
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_denial_does_not_count_once_the_partner_said_otherwise(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    replies = [Absent(), Absent(), StillProcessing(), Absent(), StillProcessing(), ISSUED]
    world.foreign_affairs.scripts["GetVisaStatus"] = list(replies)
    receipt = await world.submit(1)
    await world.carry_due()
    for _ in replies:
        await world.carry_due()
        world.clock.pass_by(seconds=0.5)
    # The first came too early to count, so two counting ones in a row were never given.
    assert world.foreign_affairs.calls()["IssueVisa"] == 1
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_proposal_ends_only_the_review_it_was_made_for(world: World) -> None:
    world.with_destination("foreign-affairs", deduplicates=False)
    world.passports.scripts["VerifyPassport"] = [Contested("INVALID_INPUT"), Answered({})]
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    await operate.propose_resolution(
        row.id, "a", decision="send_again", visa_number=None, reason="r", engine=world.engine
    )
    await operate.retry(row.id, "a", "again", world.engine)
    await world.carry_until_rest()
    row = await world.only(receipt)
    assert (row.state, row.code) == (State.UNDER_REVIEW, "absent_not_deduplicated")
    with pytest.raises(Conflict, match="state_changed"):
        await operate.confirm_resolution(row.id, "b", world.engine)
    assert world.foreign_affairs.calls()["IssueVisa"] == 1


async def test_a_wish_to_cancel_is_kept_when_people_find_that_it_was_issued(world: World) -> None:
    world.with_destination("foreign-affairs", deduplicates=False)
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    await wishes.cancel_application(CENTER, row.id, world.engine)
    await operate.propose_resolution(
        row.id, "a", decision="issued", visa_number="6123456789", reason="r", engine=world.engine
    )
    await operate.confirm_resolution(row.id, "b", world.engine)
    await world.carry_until_rest()
    assert (await world.only(receipt)).state is State.CANCELLED
    assert world.foreign_affairs.calls()["CancelVisa"] == 1


async def test_nothing_can_be_resolved_as_issued_that_was_never_sent_but_it_can_be_cancelled(
    world: World,
) -> None:
    world.nic.scripts["CheckClearance"] = [Contested("PERSON_AMBIGUOUS")]
    row = await world.only(await world.submit(1))
    await world.carry_until_rest()
    with pytest.raises(Conflict, match="nothing_was_sent"):
        await operate.propose_resolution(
            row.id, "a", decision="issued", visa_number="6123456789", reason="r", engine=world.engine
        )
    shown = await wishes.cancel_application(CENTER, row.id, world.engine)
    assert shown["state"] == "cancelled"


async def test_a_stale_clearance_is_asked_for_anew_and_not_under_the_old_reference(world: World) -> None:
    world.nic.scripts["CheckClearance"] = [Deferred("answer_pending", "REF-1"), Answered({})]
    world.foreign_affairs.scripts["IssueVisa"] = [Deferred("mission_capacity"), ISSUED]
    receipt = await world.submit(1)
    await world.carry_due()
    world.clock.pass_by(seconds=1)
    await world.carry_due()
    world.clock.pass_by(hours=3)
    await world.carry_until_rest()
    assert world.nic.calls() == {"CheckClearance": 2, "InquireClearance": 1}
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_settled_line_that_changes_raises_the_revision_when_it_settles_again(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Contested("ALREADY_ISSUED")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [ISSUED]
    receipt = await world.submit(1)
    assert receipt.batch_id is not None
    await world.carry_until_rest()
    await wishes.confirm_batch(CENTER, receipt.batch_id, world.engine)
    await operate.retry((await world.only(receipt)).id, "a", "ask", world.engine)
    await world.carry_until_rest()
    batch = await world.batch(receipt)
    assert (batch.counts, batch.revision, batch.confirmed_at) == ({"issued": 1}, 2, None)


async def test_retry_tries_a_waiting_message_now(world: World) -> None:
    world.nic.scripts["CheckClearance"] = [Unavailable("connect_failed"), Answered({})]
    row = await world.only(await world.submit(1))
    await world.carry_due()
    world.clock.pass_by(milliseconds=1)
    await operate.retry(row.id, "a", "now", world.engine)
    await world.carry_due()
    assert world.nic.calls() == {"CheckClearance": 2}


async def test_an_answer_that_came_too_late_is_kept_whole(world: World) -> None:
    receipt = await world.submit(1)
    engine = world.engine
    world.foreign_affairs.gate = asyncio.Event()
    (message,) = await engine.ledger.claim(
        "w",
        1,
        now=engine.now(),
        lease_until=engine.now() + 1_000_000,  # type: ignore[arg-type]
    )
    carrying = asyncio.create_task(carry(message, engine))
    while not world.foreign_affairs.sent:
        await asyncio.sleep(0)
    world.clock.pass_by(seconds=120)
    await engine.ledger.sweep(now=engine.now(), release=10)
    world.foreign_affairs.gate.set()
    await carrying
    late = [a for a in await engine.ledger.attempts(message.id) if a.outcome == "late_ok"]
    assert len(late) == 1
    assert late[0].sealed_result
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    assert world.foreign_affairs.calls()["IssueVisa"] == 1


async def test_questions_about_old_calls_leave_room_for_new_work(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [StillProcessing()]
    await world.submit(world.applications(30), key="old")
    await world.carry_due()
    await world.submit(world.applications(30, seed=8), key="new")
    world.clock.pass_by(seconds=5)
    engine = world.engine
    claimed = await engine.ledger.claim(
        "w",
        20,
        now=engine.now(),
        lease_until=engine.now() + 60_000_000,  # type: ignore[arg-type]
    )
    assert sum(message.state is State.INQUIRING for message in claimed) == 10
    assert sum(message.state is State.CARRIED for message in claimed) == 10


async def test_a_center_cannot_tell_a_refused_clearance_from_a_refused_visa(world: World) -> None:
    reasons = []
    for seed, (partner, action) in enumerate(
        ((world.nic, "CheckClearance"), (world.foreign_affairs, "IssueVisa"))
    ):
        before = partner.scripts[action]
        partner.scripts[action] = [Declined("X", "refused")]
        receipt = await world.submit(world.applications(1, seed=20 + seed), key=f"k{seed}")
        await world.carry_until_rest()
        partner.scripts[action] = before
        row = await world.only(receipt)
        shown = await report.message(CENTER, row.id, world.engine)
        reasons.append((shown["state"], shown["reason"], shown["errors"]))
    assert reasons[0] == reasons[1]
