"""A restored ledger has forgotten what was sent since its backup; nobody gets a second visa by that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict, Misconfigured
from gateway.ledger.audit_file import Receipt as KeptReceipt
from gateway.ledger.audit_file import Tampered, Verification
from gateway.ledger.books import Books, Quota
from gateway.ledger.signer_file import FileSigner
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import Contested, Deferred
from gateway.pipeline import operate, views, wishes
from gateway.pipeline.audit_export import export
from gateway.pipeline.intake import Receipt
from gateway.pipeline.notary import Notary
from gateway.pipeline.reconcile import reconcile
from gateway.states import Outcome, State
from gateway.values import replace
from tests.pipeline.recalled import Registry, come_back, keep_copy, registry, settle_time, take_on, world
from tests.pipeline.world import CENTER, World

__all__ = ["registry", "world"]


async def states(world: World, *receipts: Receipt) -> list[str]:
    rows = [row for receipt in receipts for row in await world.rows(receipt.batch_id)]
    return [str(row.outcome or row.state) for row in rows]


# --- the mark -------------------------------------------------------------------------------------------


async def submitted_before_a_restore(world: World, tmp_path: Path) -> Receipt:
    """One application, of which the backup knows no call; restored, taken on and carried until it rests."""
    receipt = await world.submit(1)
    await come_back(world, await keep_copy(world, tmp_path))
    await take_on(world)
    await world.carry_until_rest()
    return receipt


async def test_a_restored_ledger_is_not_served_as_if_it_were_whole(world: World, tmp_path: Path) -> None:
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    with pytest.raises(Misconfigured, match="--after-restore"):
        await take_on(world, told=False)
    await take_on(world)
    await take_on(world, told=False)  # said once, it is served as any other


async def test_a_whole_ledger_is_served_without_a_word(world: World) -> None:
    await take_on(world, told=False)
    assert await world.engine.ledger.restoration() is None


async def test_a_flag_that_was_left_on_takes_nothing_on_again(world: World, tmp_path: Path) -> None:
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    await take_on(world)
    first = await world.engine.ledger.restoration()
    world.clock.pass_by(hours=1)
    await take_on(world)
    assert await world.engine.ledger.restoration() == first


async def test_a_second_restore_is_taken_on_too(world: World, tmp_path: Path) -> None:
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    await take_on(world)
    world.clock.pass_by(days=1)
    (tmp_path / "copy.db").unlink()
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    with pytest.raises(Misconfigured):
        await take_on(world, told=False)
    await take_on(world)
    second = await world.engine.ledger.restoration()
    assert second is not None and (second.id, second.taken_on_at) == (2, world.engine.now())


# --- what the ledger still knows ------------------------------------------------------------------------


async def test_what_was_issued_after_the_backup_is_found_and_not_asked_for_again(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    receipt = await world.submit(5)
    copy = await keep_copy(world, tmp_path)
    await world.carry_until_rest()
    assert len(registry.visas) == 5
    await come_back(world, copy)
    registry.asked.clear()
    await take_on(world)
    await world.carry_until_rest()
    assert await states(world, receipt) == ["issued"] * 5
    assert (registry.calls("IssueVisa"), len(registry.calls("GetVisaStatus"))) == ([], 5)


@pytest.mark.parametrize("deduplicates", [True, False])
async def test_what_was_not_issued_is_asked_about_twice_before_anything_is_sent(
    world: World, registry: Registry, tmp_path: Path, deduplicates: bool
) -> None:
    registry.deduplicates = deduplicates
    world.with_destination("foreign-affairs", deduplicates=deduplicates)
    receipt = await world.submit(3)
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    await take_on(world)
    await world.carry_until_rest()
    asked = [action for action, _ in registry.asked]
    assert asked[:6] == ["GetVisaStatus"] * 6
    assert registry.calls("IssueVisa") == []
    expected = "held" if deduplicates else "under_review"
    assert await states(world, receipt) == [expected] * 3


async def test_a_partner_that_cannot_be_asked_leaves_it_to_a_person(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    destination = world.engine.settings.destinations["foreign-affairs"]
    world.with_destination(
        "foreign-affairs", inquiry=destination.inquiry.model_copy(update={"enabled": False})
    )
    receipt = await world.submit(2)
    copy = await keep_copy(world, tmp_path)
    await world.carry_until_rest()
    await come_back(world, copy)
    await take_on(world)
    await world.carry_until_rest()
    assert await states(world, receipt) == ["under_review"] * 2
    assert registry.issued_twice() == []


async def test_what_may_have_been_sent_can_be_said_to_be_issued(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    """No intent of it is known, and yet a person may have found it with the partner."""
    world.with_destination("foreign-affairs", deduplicates=False, resend_when_absent=False)
    receipt = await submitted_before_a_restore(world, tmp_path)
    row = await world.only(receipt)
    await operate.propose_resolution(
        row.id, "operator-1", decision="issued", visa_number="6123456789", reason="x", engine=world.engine
    )
    await operate.confirm_resolution(row.id, "operator-2", world.engine)
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_a_denial_of_before_the_restore_does_not_count(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    receipt = await world.submit(1)
    await _uncertain(world)
    registry.visas.clear()
    await world.carry_due()  # a denial, which might count
    copy = await keep_copy(world, tmp_path)
    world.clock.pass_by(seconds=settle_time(world.engine))
    await come_back(world, copy)
    registry.asked.clear()
    await take_on(world)
    await world.carry_due()  # the first denial, which does not count yet
    world.clock.pass_by(seconds=settle_time(world.engine))
    await world.carry_due()
    assert (await world.only(receipt)).state is State.UNCERTAIN
    assert registry.calls("IssueVisa") == []


async def _accepted(world: World) -> None:
    """A line of a batch so large that it was not released yet."""
    assert isinstance(world.engine.ledger, SqliteLedger)
    await world.engine.ledger._write(
        lambda tx: tx.run("UPDATE message SET state = 'accepted', next_at = NULL")
    )


async def _ready(world: World) -> None:
    await world.engine.ledger.sweep(now=world.engine.now(), release=10)


async def _held(world: World) -> None:
    mission = world.engine.settings.reference.missions[0].id
    await world.engine.ledger.work(
        lambda books: books.put("mission", mission, {"status": "closed", "country": "IDN"}, version="2")
    )
    await world.carry_due()


async def _awaiting(world: World) -> None:
    world.nic.scripts["CheckClearance"] = [Deferred("answer_pending", "ref")]
    await world.carry_due()


async def _uncertain(world: World) -> None:
    registry = world.engine.partners["foreign-affairs"]
    assert isinstance(registry, Registry)
    registry.loses_answers = True
    await world.carry_due()
    registry.loses_answers = False


async def _under_review(world: World) -> None:
    world.passports.scripts["VerifyPassport"] = [Contested("PERSON_AMBIGUOUS")]
    await world.carry_due()


@pytest.mark.parametrize("come_to", [_accepted, _ready, _held, _awaiting, _uncertain, _under_review])
async def test_whatever_is_not_final_is_asked_about_first(
    world: World, registry: Registry, tmp_path: Path, come_to: Callable[[World], Awaitable[None]]
) -> None:
    receipt = await world.submit(1)
    await come_to(world)
    assert f"_{(await world.only(receipt)).state}" == come_to.__name__
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    registry.asked.clear()
    await take_on(world)
    asked = await world.only(receipt)
    assert (asked.open_step, asked.send_by) == ("foreign_affairs.visa_issuance", world.engine.now())
    await world.carry_due()
    assert [action for action, _ in registry.asked] == ["GetVisaStatus"]


async def test_a_cancellation_waits_for_what_the_partner_says(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    receipt = await world.submit(1)
    row = await world.only(receipt)
    copy = await keep_copy(world, tmp_path)
    await world.carry_until_rest()  # issued, which is forgotten
    await come_back(world, copy)
    await take_on(world)
    await wishes.cancel_application(CENTER, row.id, world.engine)
    assert (await world.only(receipt)).state is State.UNCERTAIN
    await world.carry_until_rest()
    assert "CancelVisa" in [action for action, _ in registry.asked]


async def test_what_was_proposed_for_a_review_before_the_backup_is_not_confirmed_after_it(
    world: World, tmp_path: Path
) -> None:
    world.with_destination("foreign-affairs", deduplicates=False, resend_when_absent=False)
    receipt = await submitted_before_a_restore(world, tmp_path)
    row = await world.only(receipt)
    assert row.state is State.UNDER_REVIEW
    await operate.propose_resolution(
        row.id, "operator-1", decision="send_again", visa_number=None, reason="x", engine=world.engine
    )
    (tmp_path / "copy.db").unlink()
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    await take_on(world)
    with pytest.raises(Conflict, match="state_changed"):
        await operate.confirm_resolution(row.id, "operator-2", world.engine)


async def test_why_says_that_a_restore_is_the_reason(world: World, tmp_path: Path) -> None:
    receipt = await world.submit(1)
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    await take_on(world)
    told = await views.why((await world.only(receipt)).id, world.engine)
    assert "restored" in told["why"] and "may have been sent already" in told["why"]
    shown = await views.show((await world.only(receipt)).id, world.engine)
    assert "asked_after_restore" in [entry["what"] for entry in shown["timeline"]]


async def test_what_is_found_takes_its_place_although_no_intent_took_it(world: World, tmp_path: Path) -> None:
    await _publish_capacity(world, 1)
    receipt = await world.submit(2)
    copy = await keep_copy(world, tmp_path)
    await _publish_capacity(world, 10)
    await world.carry_until_rest()
    await come_back(world, copy)
    await take_on(world)
    await world.carry_until_rest()
    assert await states(world, receipt) == ["issued"] * 2
    (quota,) = [one for one in await world.engine.ledger.quotas() if one.quota.control == "mission_capacity"]
    assert (quota.ceiling, quota.taken) == (1, 2)


async def _publish_capacity(world: World, ceiling: int) -> None:
    """Of every mission, for today."""
    today = world.clock.today().isoformat()

    def publish(books: Books) -> None:
        for mission in world.engine.settings.reference.missions:
            window = {"opens": today, "closes": today, "ceiling": ceiling}
            books.put("mission_capacity", mission.id, {"windows": [window]}, version=str(ceiling))
            if mission.id == world.engine.settings.reference.missions[0].id:
                books.set_ceiling(Quota("mission_capacity", f"{mission.id}/{today}"), ceiling)

    await world.engine.ledger.work(publish)


# --- what it has forgotten ------------------------------------------------------------------------------


async def test_a_batch_that_was_forgotten_and_handed_in_again_gets_nobody_a_second_visa(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    applications = world.applications(6)
    registry.know(applications)
    copy = await keep_copy(world, tmp_path)
    lost = await world.submit(applications[:4], key="lost")
    await world.carry_until_rest()
    assert await states(world, lost) == ["issued"] * 4
    await come_back(world, copy)
    await take_on(world)
    again = await world.submit(applications, key="lost")
    await world.carry_until_rest()
    assert await states(world, again) == ["held"] * 6
    assert len(registry.person_of) == 4

    world.clock.pass_by(seconds=settle_time(world.engine))
    found = await reconcile("foreign-affairs", registry.statement(world), "operator-1", world.engine)
    assert (found["counts"]["only_theirs"], found["lost_days"]) == (4, {"open": []})
    await world.carry_until_rest()
    assert await states(world, again) == ["under_review"] * 4 + ["issued"] * 2
    assert registry.issued_twice() == []
    assert {row.code for row in await world.rows(again.batch_id)} == {"visa_forgotten", None}


async def test_a_list_that_was_made_too_early_lets_nothing_go_on(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    copy = await keep_copy(world, tmp_path)
    await come_back(world, copy)
    await take_on(world)
    receipt = await world.submit(1)
    found = await reconcile("foreign-affairs", registry.statement(world), "operator-1", world.engine)
    assert found["lost_days"]["not_counted"] == "made_too_early"
    await world.carry_until_rest()
    assert await states(world, receipt) == ["held"]


async def test_a_list_without_persons_lets_nothing_go_on(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    await _issued_and_lost(world, registry, tmp_path)
    statement = registry.statement(world, named=False)
    found = await reconcile("foreign-affairs", statement, "operator-1", world.engine)
    assert found["lost_days"]["not_counted"] == "persons_missing"
    assert found["lost_days"]["open"]


async def test_every_day_between_backup_and_restore_is_asked_for(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    await world.submit(1)
    copy = await keep_copy(world, tmp_path)
    world.clock.pass_by(days=2)
    await come_back(world, copy)
    await take_on(world)
    world.clock.pass_by(seconds=settle_time(world.engine))
    found = await reconcile("foreign-affairs", registry.statement(world), "operator-1", world.engine)
    assert found["lost_days"]["open"] == ["2026-11-22", "2026-11-23"]


async def test_a_review_of_a_forgotten_visa_can_end_as_issued(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    receipt = await _forgotten(world, registry, tmp_path)
    row = await world.only(receipt)
    (number,) = registry.person_of
    await operate.propose_resolution(
        row.id,
        "operator-1",
        decision="issued",
        visa_number=number,
        reason="on their list",
        engine=world.engine,
    )
    await operate.confirm_resolution(row.id, "operator-2", world.engine)
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def test_two_operators_may_decide_that_somebody_gets_another_one(
    world: World, registry: Registry, tmp_path: Path
) -> None:
    receipt = await _forgotten(world, registry, tmp_path)
    row = await world.only(receipt)
    await operate.propose_resolution(
        row.id, "operator-1", decision="send_again", visa_number=None, reason="expired", engine=world.engine
    )
    await operate.confirm_resolution(row.id, "operator-2", world.engine)
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED


async def _issued_and_lost(world: World, registry: Registry, folder: Path) -> list[dict[str, Any]]:
    """An application that was issued after the backup; restored, taken on, and late enough to ask."""
    applications = world.applications(1)
    registry.know(applications)
    copy = await keep_copy(world, folder)
    await world.submit(applications, key="lost")
    await world.carry_until_rest()
    await come_back(world, copy)
    await take_on(world)
    world.clock.pass_by(seconds=settle_time(world.engine))
    return applications


async def _forgotten(world: World, registry: Registry, folder: Path) -> Receipt:
    """An application under review whose person has a visa that was forgotten."""
    applications = await _issued_and_lost(world, registry, folder)
    await reconcile("foreign-affairs", registry.statement(world), "operator-1", world.engine)
    receipt = await world.submit(applications, key="another key")
    await world.carry_until_rest()
    assert await states(world, receipt) == ["under_review"]
    return receipt


# --- what others keep of it -----------------------------------------------------------------------------


async def test_new_notices_stand_behind_every_cursor_that_was_given(world: World, tmp_path: Path) -> None:
    await world.submit(1)
    copy = await keep_copy(world, tmp_path)
    await world.carry_until_rest()
    cursor = max(event.seq for event in await world.engine.ledger.events(CENTER, after=0, limit=100))
    await come_back(world, copy)
    await take_on(world)
    await world.carry_until_rest()
    assert await world.engine.ledger.events(CENTER, after=cursor, limit=100)


async def test_the_log_tells_a_receipt_of_the_lost_time_from_a_forged_one(
    world: World, tmp_path: Path
) -> None:
    notary = _notary(world, tmp_path)
    await notary.start()
    copy = await keep_copy(world, tmp_path)
    await world.submit(1, key="lost")
    await notary.cover()
    assert notary.latest is not None
    receipt = KeptReceipt(notary.latest.document.encode(), notary.latest.signature)
    await notary.stop()
    await come_back(world, copy)
    await take_on(world)
    notary = _notary(world, tmp_path)
    await notary.start()
    world.engine = replace(world.engine, notary=notary)
    lines = b"".join([piece async for piece in export("auditor-1", world.engine)]).splitlines(keepends=True)
    await notary.stop()
    whole = Verification()
    for line in lines:
        whole.line(line)
    whole.end()
    with pytest.raises(Tampered) as told:
        against = Verification(receipt=receipt)
        for line in lines:
            against.line(line)
        against.end()
    assert told.value.code == "lost_in_restore"


def _notary(world: World, folder: Path) -> Notary:
    engine = world.engine
    return Notary(engine.ledger, FileSigner(folder / "signer"), world.clock, engine.metrics, interval_s=60)
