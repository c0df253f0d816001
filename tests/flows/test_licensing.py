"""Licensees, centers and groups: records by message."""

from __future__ import annotations

import pytest

from gateway.errors import Conflict, Refused
from gateway.pipeline.day import new_day
from tests.flows.office import CENTER, LICENSING, OTHER_CENTER, World, send, told


async def test_a_status_replaces_the_record_and_tells_the_centers_that_serve_the_licensee(
    world: World,
) -> None:
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="suspended")
    record = await world.engine.ledger.record("licensee", "LIC-1001")
    assert record is not None
    assert (record.facts["status"], record.version) == ("suspended", "2")
    (event,) = await told(world, CENTER, "licensee.status")
    assert event["status"] == "suspended"
    assert await told(world, OTHER_CENTER, "licensee.status") == []


async def test_a_version_that_is_not_newer_changes_nothing(world: World) -> None:
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=3, status="suspended")
    with pytest.raises(Conflict, match="stale_version"):
        await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="active")
    record = await world.engine.ledger.record("licensee", "LIC-1001")
    assert record is not None
    assert record.facts["status"] == "suspended"


async def test_the_same_message_again_gets_the_first_answer_and_does_nothing(world: World) -> None:
    first = await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2)
    again = await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2)
    assert (again.message_id, again.duplicate) == (first.message_id, True)
    assert len(await told(world, CENTER, "licensee.status")) == 1


async def test_the_same_key_with_another_body_is_a_conflict(world: World) -> None:
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="active")
    with pytest.raises(Conflict, match="idempotency_key_reused"):
        await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="suspended")


async def test_a_center_may_not_send_what_the_ministry_sends(world: World) -> None:
    with pytest.raises(Refused, match="not_your_message"):
        await send(world, CENTER, "licensee.status")


async def test_every_version_can_be_asked_for_later(world: World) -> None:
    before = await world.engine.ledger.record("licensee", "LIC-1001")
    assert before is not None
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="suspended")
    then = await world.engine.ledger.record("licensee", "LIC-1001", at=before.seq)
    assert then is not None
    assert then.facts["status"] == "active"


async def test_a_center_that_does_not_conform_cannot_submit(world: World) -> None:
    await send(
        world, LICENSING, "service_center.registration",
        center_id="sc-01", version=2, conforms=False, licensees=["LIC-1001"],
    )  # fmt: skip
    with pytest.raises(Refused, match="center_not_licensed"):
        await world.submit(1)


async def test_published_controls_judge_what_comes_after_them(world: World) -> None:
    rules = {"passport_validity_months": 6, "request_windows": None, "overstay": None, "mahram": None}
    await send(world, LICENSING, "controls.published", version=2, max_stay_days=1, **rules)
    receipt = await world.submit(1)
    assert receipt.rejected[0].violations[0].code == "stay_too_long"
    await send(world, LICENSING, "controls.published", version=3, max_stay_days=90, **rules)
    assert (await world.submit(1, key="key-2")).counts["accepted"] == 1


async def test_a_window_that_is_closed_refuses_batches_and_opens_by_its_date(world: World) -> None:
    windows = [{"opens": "2026-12-01", "closes": "2026-12-31"}]
    await send(world, LICENSING, "controls.published", version=2, request_windows=windows)
    with pytest.raises(Refused, match="window_closed"):
        await world.submit(1)


async def test_each_decision_says_how_far_the_records_had_come(world: World) -> None:
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    record = await world.engine.ledger.record("licensee", "LIC-1001")
    assert record is not None
    entries = await world.engine.ledger.audit(row.id)
    assert entries
    assert all(entry.records >= record.seq for entry in entries)


async def test_a_center_submits_for_the_agents_of_its_registration_only(world: World) -> None:
    named = {"center_id": "sc-01", "conforms": True, "licensees": ["LIC-1001"]}
    await send(world, LICENSING, "service_center.registration", **named, version=2, agents=["AGT-2006"])
    with pytest.raises(Refused, match="agent_not_served"):
        await world.submit(1)
    await send(world, LICENSING, "service_center.registration", **named, version=3, agents=["AGT-2001"])
    assert (await world.submit(1)).counts["accepted"] == 1


async def test_a_status_of_a_later_day_begins_then(world: World) -> None:
    later = {"licensee_id": "LIC-1001", "status": "suspended", "effective_from": "2026-11-25"}
    await send(world, LICENSING, "licensee.status", **later, version=2)
    record = await world.engine.ledger.record("licensee", "LIC-1001")
    assert record is not None
    assert record.facts["status"] == "active"
    world.clock.pass_by(days=3)
    await new_day(world.engine)
    begun = await world.engine.ledger.record("licensee", "LIC-1001")
    assert begun is not None
    assert (begun.facts["status"], begun.version, bool(begun.message_id)) == ("suspended", "2", True)


async def test_a_center_without_a_licence_is_told_nothing_of_its_former_licensees(world: World) -> None:
    named = {"center_id": "sc-01", "licensees": ["LIC-1001"], "agents": None}
    await send(world, LICENSING, "service_center.registration", **named, version=2, status="unlicensed")
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="suspended")
    assert await told(world, CENTER, "licensee.status") == []
    await send(world, LICENSING, "service_center.registration", **named, version=3, status="active")
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=3, status="active")
    assert len(await told(world, CENTER, "licensee.status")) == 1
