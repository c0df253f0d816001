"""Cancellations, retries and resolutions: what parties and operators may ask, and what they may not."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from gateway.errors import Conflict, Refused, Uncertain
from gateway.message import Absent, Declined, Deferred, StillProcessing
from gateway.pipeline import operate, report, views, wishes
from gateway.states import Outcome, State
from tests.doubles import ISSUED
from tests.pipeline.world import CENTER, World


async def test_a_waiting_application_is_cancelled_at_once(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Deferred("mission_capacity")]
    receipt = await world.submit(1)
    await world.carry_due()
    row = await world.only(receipt)
    shown = await wishes.cancel_application(CENTER, row.id, world.engine)
    assert shown["state"] == "cancelled"
    with pytest.raises(Conflict, match="already_settled"):
        await wishes.cancel_application(CENTER, row.id, world.engine)


async def test_an_issued_visa_is_cancelled_by_a_message_of_its_own(world: World) -> None:
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    shown = await wishes.cancel_application(CENTER, row.id, world.engine)
    assert (shown["state"], shown["cancel_requested"]) == ("issued", True)
    await wishes.cancel_application(CENTER, row.id, world.engine)  # twice asks once
    await world.carry_until_rest()

    row = await world.only(receipt)
    assert (row.state, row.outcome) == (State.CANCELLED, Outcome.ISSUED)
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "CancelVisa": 1}
    batch = await world.batch(receipt)
    assert (batch.revision, batch.counts) == (2, {"cancelled": 1})


async def test_a_cancellation_that_the_partner_refuses_leaves_the_visa_issued(world: World) -> None:
    world.foreign_affairs.scripts["CancelVisa"] = [Declined("CANCEL_AFTER_ENTRY", "not_cancellable")]
    receipt = await world.submit(1)
    await world.carry_until_rest()
    await wishes.cancel_application(CENTER, (await world.only(receipt)).id, world.engine)
    await world.carry_until_rest()
    row = await world.only(receipt)
    assert (row.state, row.outcome) == (State.COMPLETED, Outcome.ISSUED)


async def test_a_cancellation_asked_for_while_the_visa_is_being_issued_is_resolved_after_it(
    world: World,
) -> None:
    world.foreign_affairs.gate = asyncio.Event()
    receipt = await world.submit(1)
    carrying = asyncio.create_task(world.carry_due())
    while not world.foreign_affairs.sent:
        await asyncio.sleep(0)
    row = await world.only(receipt)
    shown = await wishes.cancel_application(CENTER, row.id, world.engine)
    assert shown["cancel_requested"]
    world.foreign_affairs.gate.set()
    await carrying
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    await world.carry_until_rest()
    assert (await world.only(receipt)).state is State.CANCELLED
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "CancelVisa": 1}


async def test_a_cancelled_uncertain_application_that_is_absent_is_cancelled_and_not_sent_again(
    world: World,
) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout"), ISSUED]
    world.foreign_affairs.scripts["GetVisaStatus"] = [StillProcessing(), Absent()]
    receipt = await world.submit(1)
    await world.carry_due()
    await wishes.cancel_application(CENTER, (await world.only(receipt)).id, world.engine)
    await world.carry_until_rest()
    assert (await world.only(receipt)).state is State.CANCELLED
    assert world.foreign_affairs.calls()["IssueVisa"] == 1


async def test_cancelling_a_batch_cancels_what_still_can_be(world: World) -> None:
    receipt = await world.submit(5)
    assert receipt.batch_id is not None
    status = await wishes.cancel_batch(CENTER, receipt.batch_id, world.engine)
    assert status["cancellations"] == 5
    assert status["counts"] == {"total": 5, "cancelled": 5}
    assert status["state"] == "completed"


async def test_a_batch_is_confirmed_once_its_results_are_complete(world: World) -> None:
    receipt = await world.submit(1)
    assert receipt.batch_id is not None
    with pytest.raises(Conflict, match="batch_not_completed"):
        await wishes.confirm_batch(CENTER, receipt.batch_id, world.engine)
    await world.carry_until_rest()
    first = await wishes.confirm_batch(CENTER, receipt.batch_id, world.engine)
    world.clock.pass_by(seconds=5)
    again = await wishes.confirm_batch(CENTER, receipt.batch_id, world.engine)
    assert first["confirmed_at"] == again["confirmed_at"] is not None


async def test_two_operators_end_a_review_as_issued_and_the_center_gets_its_number(world: World) -> None:
    world.with_destination("foreign-affairs", deduplicates=False)
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    with pytest.raises(Refused, match="invalid_visa_number"):
        await operate.propose_resolution(
            row.id, "a", decision="issued", visa_number="12", reason="r", engine=world.engine
        )
    await operate.propose_resolution(
        row.id, "a", decision="issued", visa_number="6123456789", reason="phoned", engine=world.engine
    )
    proposed = (await views.show(row.id, world.engine))["proposed"]
    assert (proposed["by"], proposed["visa_number_ends_in"]) == ("a", "6789")
    assert "6123456789" not in str(proposed)
    with pytest.raises(Conflict, match="same_operator"):
        await operate.confirm_resolution(row.id, "a", world.engine)
    await operate.confirm_resolution(row.id, "b", world.engine)
    shown = await report.message(CENTER, row.id, world.engine)
    assert (shown["state"], shown["visa"]["number"]) == ("issued", "6123456789")
    assert (await world.batch(receipt)).revision == 2


async def test_resolved_to_be_sent_again_it_is_sent_again_under_the_same_reference(world: World) -> None:
    world.with_destination("foreign-affairs", deduplicates=False)
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout"), ISSUED]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    await operate.propose_resolution(
        row.id, "a", decision="send_again", visa_number=None, reason="r", engine=world.engine
    )
    await operate.confirm_resolution(row.id, "b", world.engine)
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    sent = [reference for action, reference in world.foreign_affairs.sent if action == "IssueVisa"]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert world.nic.calls() == {"CheckClearance": 1}


async def test_a_message_says_in_one_line_what_it_waits_for_and_shows_its_life(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [StillProcessing()]
    lines = world.applications(1)
    receipt = await world.submit(lines)
    await world.carry_due()
    row = await world.only(receipt)
    assert "the partner is asked" in (await views.why(row.id, world.engine))["why"]
    shown = await views.show(row.id, world.engine)
    told = Counter(entry["what"] for entry in shown["timeline"])
    assert told == {"received": 1, "intent": 1, "call": 3, "uncertain": 1}
    text = str(shown)
    for secret in (lines[0]["passport"]["number"], lines[0]["name"]["family"]):
        assert secret not in text


async def test_nobody_ends_a_review_with_the_visa_number_of_another_application(world: World) -> None:
    await world.submit(1)
    await world.carry_until_rest()  # issued as 6000000001
    world.with_destination("foreign-affairs", deduplicates=False)
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(world.applications(1, seed=8), key="key-2")
    await world.carry_until_rest()
    row = await world.only(receipt)
    with pytest.raises(Refused, match="visa_number_taken"):
        await operate.propose_resolution(
            row.id, "a", decision="issued", visa_number="6000000001", reason="r", engine=world.engine
        )
