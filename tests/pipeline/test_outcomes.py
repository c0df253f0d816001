"""What each kind of answer, and each kind of silence, makes of an application."""

from __future__ import annotations

import pytest

from gateway.errors import Unavailable, Uncertain
from gateway.message import Absent, Answered, Contested, Declined, Deferred, Micros, StillProcessing
from gateway.pipeline import operate, report, views
from gateway.pipeline.inquire import inquire
from gateway.states import Outcome, State
from gateway.values import replace
from tests.doubles import ISSUED
from tests.pipeline.world import CENTER, World


async def test_an_application_that_goes_well_is_issued_after_both_checks(world: World) -> None:
    receipt = await world.submit(1)
    await world.carry_until_rest()

    row = await world.only(receipt)
    assert (row.state, row.outcome) == (State.COMPLETED, Outcome.ISSUED)
    assert world.nic.calls() == {"CheckClearance": 1}
    assert world.passports.calls() == {"VerifyPassport": 1}
    assert world.foreign_affairs.calls() == {"IssueVisa": 1}
    shown = await report.message(CENTER, row.id, world.engine)
    assert shown["visa"]["number"] == "6000000001"
    assert (await world.batch(receipt)).state == "completed"


async def test_a_clearance_refusal_ends_it_before_anything_is_issued_and_its_reason_stays_inside(
    world: World,
) -> None:
    world.nic.scripts["CheckClearance"] = [Declined("HIT", "refused")]
    row = await world.only(await world.submit(1))
    await world.carry_until_rest()

    shown = await report.message(CENTER, row.id, world.engine)
    assert (shown["state"], shown["reason"]) == ("refused", "refused")
    assert "HIT" not in str(shown)
    assert "HIT" not in str(await views.show(row.id, world.engine))
    assert world.foreign_affairs.sent == []


async def test_a_call_provably_not_sent_is_made_again_later(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Unavailable("connect_failed"), ISSUED]
    row = await world.only(await world.submit(1))
    await world.carry_due()

    waiting = await world.engine.ledger.message(row.id)
    assert waiting is not None
    assert waiting.state is State.READY
    assert waiting.next_at is not None
    assert waiting.next_at > world.engine.now()
    await world.carry_until_rest()
    assert world.foreign_affairs.calls() == {"IssueVisa": 2}


async def test_a_lost_answer_is_inquired_about_before_anything_else(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("connection_lost")]
    receipt = await world.submit(1)
    await world.carry_until_rest()

    row = await world.only(receipt)
    assert row.outcome is Outcome.ISSUED
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 1}


async def test_absent_counts_only_when_asked_twice_after_the_settle_time_then_it_is_sent_again(
    world: World,
) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("fault", answered=True), ISSUED]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(1)
    await world.carry_due()
    await world.carry_due()  # the first question, at once: too early to count
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 1}
    world.clock.pass_by(seconds=0.5)
    await world.carry_due()  # the first that counts
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 2}
    world.clock.pass_by(seconds=0.5)
    await world.carry_until_rest()  # the second that counts, and then the same reference again

    assert world.foreign_affairs.calls() == {"IssueVisa": 2, "GetVisaStatus": 3}
    references = {reference for action, reference in world.foreign_affairs.sent if action == "IssueVisa"}
    assert len(references) == 1
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_denials_are_judged_by_what_the_ledger_knows_and_not_by_what_was_claimed(world: World) -> None:
    """The clock was set ahead between the claim and the question: the claimed instant seems long past."""
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    await world.submit(1)
    await world.carry_due()
    for _ in range(3):
        now = world.engine.now()
        (claimed,) = await world.engine.ledger.claim("w", 1, now=now, lease_until=Micros(now + 60_000_000))
        assert claimed.send_by is not None
        await inquire(replace(claimed, send_by=Micros(claimed.send_by - 600_000_000)), world.engine)
        world.clock.pass_by(seconds=0.5)

    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 3}


async def test_absent_at_a_partner_that_does_not_deduplicate_goes_to_a_person_and_is_never_repeated(
    world: World,
) -> None:
    world.with_destination("foreign-affairs", deduplicates=False)
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(1)
    await world.carry_until_rest()

    row = await world.only(receipt)
    assert (row.state, row.code) == (State.UNDER_REVIEW, "absent_not_deduplicated")
    assert world.foreign_affairs.calls()["IssueVisa"] == 1
    assert (await world.batch(receipt)).state == "completed"


async def test_a_partner_that_cannot_be_asked_leaves_the_decision_to_a_person(world: World) -> None:
    inquiry = world.engine.settings.destinations["foreign-affairs"].inquiry
    world.with_destination("foreign-affairs", inquiry=inquiry.model_copy(update={"enabled": False}))
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    receipt = await world.submit(1)
    await world.carry_until_rest()

    row = await world.only(receipt)
    assert (row.state, row.code) == (State.UNDER_REVIEW, "no_inquiry")
    assert world.foreign_affairs.calls() == {"IssueVisa": 1}


async def test_still_processing_is_asked_again(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [StillProcessing(), Uncertain("timeout"), ISSUED]
    receipt = await world.submit(1)
    await world.carry_until_rest()

    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 3}
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_pending_clearance_is_followed_up_with_its_reference(world: World) -> None:
    pending = Deferred("answer_pending", "REF-1")
    world.nic.scripts["CheckClearance"] = [pending]
    world.nic.scripts["InquireClearance"] = [pending, Answered({})]
    receipt = await world.submit(1)
    await world.carry_due()
    assert (await world.only(receipt)).state is State.AWAITING
    shown = await report.message(CENTER, (await world.only(receipt)).id, world.engine)
    assert (shown["state"], shown["reason"]) == ("waiting", "answer_pending")
    assert shown["expected_at"] is not None

    await world.carry_until_rest()
    assert world.nic.calls() == {"CheckClearance": 1, "InquireClearance": 2}
    assert world.passports.calls() == {"VerifyPassport": 1}
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_no_capacity_holds_the_application_and_it_goes_on_by_itself(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Deferred("mission_capacity"), ISSUED]
    receipt = await world.submit(1)
    await world.carry_due()
    assert (await world.only(receipt)).state is State.HELD

    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_contested_answer_waits_for_a_person_and_retry_only_asks_again(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Contested("ALREADY_ISSUED")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [StillProcessing()]
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    assert row.state is State.UNDER_REVIEW

    await operate.retry(row.id, "operator-1", "ask once more", world.engine)
    await world.carry_due()
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 1}


async def test_a_stale_clearance_is_fetched_again_before_the_intent(world: World) -> None:
    world.passports.scripts["VerifyPassport"] = [Unavailable("connect_failed"), Answered({})]
    receipt = await world.submit(1)
    await world.carry_due()
    world.clock.pass_by(hours=2)
    await world.carry_until_rest()

    assert world.nic.calls() == {"CheckClearance": 2}
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_suspension_after_acceptance_holds_what_was_not_sent_and_lifting_it_lets_it_go(
    world: World,
) -> None:
    receipt = await world.submit(1)
    await _set_licensee(world, "suspended")
    await world.carry_due()
    row = await world.only(receipt)
    assert (row.state, row.code) == (State.HELD, "licensee_inactive")
    assert world.foreign_affairs.sent == []

    await _set_licensee(world, "active")
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def _set_licensee(world: World, status: str) -> None:
    record = await world.engine.ledger.record("licensee", "LIC-1001")
    assert record is not None
    facts = {**record.facts, "status": status}
    await world.engine.ledger.work(lambda books: books.put("licensee", "LIC-1001", facts, version="2"))


async def test_what_waits_past_its_travel_date_expires_and_frees_the_person(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Deferred("mission_capacity")]
    lines = world.applications(1)
    receipt = await world.submit(lines)
    await world.carry_due()
    world.clock.pass_by(days=400)
    await world.carry_due()
    assert (await world.only(receipt)).state is State.EXPIRED


@pytest.mark.parametrize("answer", [Declined("X", "visa_refused"), ISSUED])
async def test_a_refusal_frees_the_person_for_another_application_and_a_visa_does_not(
    world: World, answer: Answered | Declined
) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [answer]
    lines = world.applications(1)
    await world.submit(lines, key="first")
    await world.carry_until_rest()
    again = await world.submit(lines, key="second")
    codes = [violation.code for line in again.rejected for violation in line.violations]
    assert codes == ([] if isinstance(answer, Declined) else ["duplicate_application"])


async def test_without_any_reply_absence_counts_only_after_what_may_still_be_on_its_way(
    world: World,
) -> None:
    """Two deadlines of 5 s after the call, where a call that was answered would be sent again after 1 s."""
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("timeout"), ISSUED]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    receipt = await world.submit(1)
    for _ in range(40):
        await world.carry_due()
        world.clock.pass_by(seconds=0.25)
    assert world.foreign_affairs.calls()["IssueVisa"] == 1
    for _ in range(10):
        await world.carry_due()
        world.clock.pass_by(seconds=0.25)
    assert world.foreign_affairs.calls()["IssueVisa"] == 2
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_after_an_answer_failures_are_counted_anew(world: World) -> None:
    """A partner that says "later" is well: its next failure waits as long as a first one."""
    retry = world.engine.settings.destinations["nic"].retry.model_copy(update={"give_up_after_s": 60.0})
    world.with_destination("nic", retry=retry)
    world.nic.scripts["CheckClearance"] = [Deferred("answer_pending", "REF-1")]
    world.nic.scripts["InquireClearance"] = [Unavailable("connect_failed"), Answered({})]
    receipt = await world.submit(1)
    await world.carry_due()
    world.clock.pass_by(hours=2)  # far beyond the time after which retries would be given up
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_call_that_was_never_made_leaves_no_intent_when_nobody_tries_any_more(world: World) -> None:
    retry = world.engine.settings.destinations["foreign-affairs"].retry
    world.with_destination("foreign-affairs", retry=retry.model_copy(update={"give_up_after_s": 1.0}))
    world.foreign_affairs.scripts["IssueVisa"] = [Unavailable("not_connected")]
    receipt = await world.submit(1)
    await world.carry_until_rest(step_s=5)
    row = await world.only(receipt)
    assert (row.state, row.code, row.open_step) == (State.UNDER_REVIEW, "retries_exhausted", None)
