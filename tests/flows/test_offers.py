"""Packages and plans: submitted, decided, and what they open."""

from __future__ import annotations

import pytest

from gateway.errors import Conflict, Refused
from gateway.flows.visas import plan_place
from gateway.states import State
from tests.flows.office import CENTER, LICENSING, OTHER_CENTER, World, send, told

_PLAN = {"plan_id": "PLN-9", "licensee_id": "LIC-1001", "season": 1448, "part": 1}


async def test_a_package_can_be_used_once_it_is_approved(world: World) -> None:
    await send(world, CENTER, "package.submission", package_id="PKG-9", licensee_id="LIC-1001")
    (submitted,) = await told(world, LICENSING, "package.submission")
    assert submitted["package_id"] == "PKG-9"
    await send(world, LICENSING, "package.decision", package_id="PKG-9", revision=1, decision="approved")
    record = await world.engine.ledger.record("package", "PKG-9")
    assert record is not None
    assert record.facts["status"] == "approved"
    assert [event["decision"] for event in await told(world, CENTER, "package.decision")] == ["approved"]
    assert await told(world, OTHER_CENTER) == []


async def test_a_center_submits_for_the_licensees_it_serves_only(world: World) -> None:
    with pytest.raises(Refused, match="center_not_licensed") as refusal:
        await send(world, OTHER_CENTER, "package.submission", package_id="PKG-9", licensee_id="LIC-1001")
    assert refusal.value.violations[0].pointer == "/licensee_id"
    assert await world.engine.ledger.record("package", "PKG-9") is None
    assert await told(world, LICENSING, "package.submission") == []


async def test_a_decision_on_what_is_not_known_or_was_revised_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="record_unknown"):
        await send(world, LICENSING, "plan.decision", plan_id="PLN-9", revision=1, decision="approved")
    await send(world, CENTER, "package.submission", package_id="PKG-9", revision=2, licensee_id="LIC-1001")
    with pytest.raises(Conflict, match="stale_version"):
        await send(world, LICENSING, "package.decision", package_id="PKG-9", revision=1, decision="approved")


async def _plan(world: World, pilgrims: int, revision: int = 1) -> None:
    """Approve a plan for the month and country of the sample's arrivals."""
    quotas = [{"month": 6, "country": "IDN", "pilgrims": pilgrims}]
    await send(world, CENTER, "plan.submission", **_PLAN, revision=revision, quotas=quotas)
    await send(
        world,
        LICENSING,
        "plan.decision",
        plan_id="PLN-9",
        revision=revision,
        decision="approved",
        quotas=None,
    )


async def test_what_a_plan_has_no_place_for_waits_and_goes_on_when_the_ceiling_rises(world: World) -> None:
    await _plan(world, 2)
    receipt = await world.submit(_arriving(world, 5, "2026-12-01"))
    await world.carry_until_rest()
    states = [row.state for row in await world.rows(receipt.batch_id)]
    assert states.count(State.HELD) == 3
    assert world.foreign_affairs.calls() == {"IssueVisa": 2}
    assert {row.code for row in await world.rows(receipt.batch_id)} == {None, "plan_exceeded"}

    await _plan(world, 4, revision=2)
    await world.carry_until_rest()
    assert world.foreign_affairs.calls() == {"IssueVisa": 4}
    quota = plan_place("LIC-1001", 1448, 6, "IDN")
    state = await world.engine.ledger.look(lambda books: books.quota(quota))
    assert state is not None
    assert (state.taken, state.ceiling) == (4, 4)


def _arriving(world: World, count: int, day: str) -> list[dict[str, object]]:
    lines = world.applications(count)
    for line in lines:
        line["travel"] = {**line["travel"], "arrival_date": day, "departure_date": "2026-12-10"}
        line["travel"] = {name: value for name, value in line["travel"].items() if "hijri" not in name}
    return lines
