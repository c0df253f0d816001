"""Capacity of missions: published by Foreign Affairs, window by window; over it a request waits."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gateway.errors import Conflict, Refused
from gateway.flows.visas import capacity_place
from gateway.ledger.books import QuotaState
from gateway.message import PartyId
from gateway.pipeline import report
from gateway.pipeline.day import new_day
from gateway.states import State
from schemas.kinds import check
from tests.flows.border import FOREIGN_AFFAIRS, day, number_visas
from tests.flows.office import CENTER, LICENSING, PILGRIM_SERVICES, World, send, told

MISSION = "MSN-IDN-JKT"
#: The clock begins on 2026-11-22.
NOW = ("2026-11-01", "2026-11-30")
NEXT = ("2026-12-05", "2026-12-31")


async def _publish(
    world: World,
    window: tuple[str, str],
    ceiling: int,
    version: int = 1,
    *,
    mission: str = MISSION,
    party: PartyId = FOREIGN_AFFAIRS,
) -> None:
    opens, closes = window
    await send(
        world, party, "mission.capacity", mission_id=mission, version=version,
        window={"opens": opens, "closes": closes}, ceiling=ceiling,
    )  # fmt: skip


async def _windows(world: World) -> list[dict[str, Any]]:
    record = await world.engine.ledger.record("mission_capacity", MISSION)
    assert record is not None
    return list(record.facts["windows"])


async def _quota(world: World, opens: str) -> QuotaState | None:
    return await world.engine.ledger.look(lambda books: books.quota(capacity_place(MISSION, opens)))


async def _submit(world: World, count: int) -> Any:
    """Applications for the middle of December, so that they are still of use when the next window opens."""
    number_visas(world)
    lines = world.applications(count)
    for line in lines:
        travel = {name: value for name, value in line["travel"].items() if "hijri" not in name}
        line["travel"] = {**travel, "arrival_date": "2026-12-20", "departure_date": "2026-12-30"}
    return await world.submit(lines)


async def _standing(world: World, receipt: Any) -> list[tuple[str, str | None]]:
    return sorted((row.state.value, row.code) for row in await world.rows(receipt.batch_id))


async def test_a_ceiling_is_recorded_and_told(world: World) -> None:
    await _publish(world, NEXT, 20)
    await _publish(world, NOW, 10)
    assert await _windows(world) == [
        {"opens": NOW[0], "closes": NOW[1], "version": 1, "ceiling": 10},
        {"opens": NEXT[0], "closes": NEXT[1], "version": 1, "ceiling": 20},
    ]
    quota = await _quota(world, NOW[0])
    assert quota is not None
    assert (quota.ceiling, quota.taken) == (10, 0)
    events = await told(world, LICENSING, "mission.capacity")
    assert [event["ceiling"] for event in events] == [20, 10]
    assert all(check("mission.capacity", event) == event for event in events)
    assert await told(world, CENTER) == []
    assert await told(world, PILGRIM_SERVICES) == []


@pytest.mark.parametrize("version", [1, 2])
async def test_a_version_of_a_window_that_is_not_newer_changes_nothing(world: World, version: int) -> None:
    await _publish(world, NOW, 10, version=2)
    with pytest.raises(Conflict):
        await _publish(world, NOW, 99, version=version)
    assert [window["ceiling"] for window in await _windows(world)] == [10]
    assert len(await told(world, LICENSING)) == 1


async def test_a_lower_version_is_called_stale(world: World) -> None:
    await _publish(world, NOW, 10, version=2)
    with pytest.raises(Conflict, match="stale_version"):
        await _publish(world, NOW, 99, version=1)


async def test_each_window_counts_its_own_versions(world: World) -> None:
    await _publish(world, NOW, 10, version=5)
    await _publish(world, NEXT, 20, version=1)
    await _publish(world, NEXT, 30, version=2)
    assert [window["ceiling"] for window in await _windows(world)] == [10, 30]


@pytest.mark.parametrize(
    "window",
    [("2026-11-30", "2026-12-02"), ("2026-10-01", "2026-11-01"), ("2026-11-10", "2026-11-12"),
     ("2026-10-01", "2027-01-01"), ("2026-11-01", "2026-11-29")],
)  # fmt: skip
async def test_two_windows_never_cover_the_same_day(world: World, window: tuple[str, str]) -> None:
    await _publish(world, NOW, 10)
    with pytest.raises(Refused) as refusal:
        await _publish(world, window, 5, version=2)
    (violation,) = refusal.value.violations
    assert (violation.code, violation.pointer, refusal.value.status) == ("windows_overlap", "/window", 422)
    assert len(await _windows(world)) == 1


async def test_a_mission_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await _publish(world, NOW, 5, mission="MSN-ATLANTIS")
    (violation,) = refusal.value.violations
    assert (violation.code, violation.pointer) == ("mission_unknown", "/mission_id")


@pytest.mark.parametrize("party", ["passports", "nic", "licensing", "sc-01"])
async def test_only_foreign_affairs_publishes_capacity(world: World, party: str) -> None:
    with pytest.raises(Refused, match="not_your_message"):
        await _publish(world, NOW, 5, party=PartyId(party))
    assert await world.engine.ledger.record("mission_capacity", MISSION) is None


# --- who waits ----------------------------------------------------------------------------------------


async def test_over_the_ceiling_a_request_waits_and_a_raised_one_lets_it_go_on(world: World) -> None:
    await _publish(world, NOW, 1)
    receipt = await _submit(world, 3)
    await world.carry_until_rest()
    assert await _standing(world, receipt) == [("completed", None), *[("held", "mission_capacity")] * 2]
    await _publish(world, NOW, 2, version=2)
    await world.carry_until_rest()
    assert await _standing(world, receipt) == [*[("completed", None)] * 2, ("held", "mission_capacity")]
    assert world.foreign_affairs.calls() == {"IssueVisa": 2}


async def test_a_lowered_ceiling_acts_on_everything_not_yet_sent(world: World) -> None:
    await _publish(world, NOW, 5)
    receipt = await _submit(world, 2)
    await _publish(world, NOW, 1, version=2)
    await world.carry_until_rest()
    assert await _standing(world, receipt) == [("completed", None), ("held", "mission_capacity")]


async def test_between_two_windows_requests_wait_until_the_next_opens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _publish(world, NEXT, 2)
    receipt = await _submit(world, 3)
    await world.carry_until_rest()
    assert await _standing(world, receipt) == [("held", "mission_capacity")] * 3
    # The date changes and no time passes: nothing is looked at again by itself.
    await new_day(world.engine)
    assert await world.carry_due() == 0
    monkeypatch.setattr(world.clock, "today", lambda: date(2026, 12, 5))
    assert (await new_day(world.engine)).counts["let_go_on"] == 2
    await world.carry_until_rest()
    standing = await _standing(world, receipt)
    assert standing == [*[("completed", None)] * 2, ("held", "mission_capacity")]


async def test_a_window_published_for_today_lets_go_on_who_waits_for_one(world: World) -> None:
    await _publish(world, NEXT, 2)
    receipt = await _submit(world, 2)
    await world.carry_until_rest()
    await _publish(world, NOW, 1)
    await world.carry_due()
    await world.carry_until_rest()
    assert await _standing(world, receipt) == [("completed", None), ("held", "mission_capacity")]


async def test_who_found_a_window_full_goes_on_in_the_next(world: World) -> None:
    await _publish(world, NOW, 0)
    await _publish(world, NEXT, 5)
    receipt = await _submit(world, 2)
    await world.carry_until_rest()
    assert (await _quota(world, NOW[0])) is not None
    assert (await day(world, "2026-12-05")).counts["let_go_on"] == 2
    await world.carry_until_rest()
    assert {row.state for row in await world.rows(receipt.batch_id)} == {State.COMPLETED}


async def test_windows_that_closed_long_ago_are_forgotten_in_the_record(world: World) -> None:
    await _publish(world, ("2026-09-01", "2026-09-30"), 5)
    await _publish(world, ("2026-10-01", "2026-10-31"), 5)
    await _publish(world, NOW, 5)
    assert [window["opens"] for window in await _windows(world)] == ["2026-10-01", NOW[0]]


async def test_who_waits_for_a_window_is_told_when_the_next_one_opens(world: World) -> None:
    await _publish(world, NOW, 0)
    await _publish(world, NEXT, 10)
    receipt = await world.submit(1)
    await world.carry_due()
    shown = await report.message(CENTER, (await world.only(receipt)).id, world.engine)
    assert (shown["state"], shown["reason"]) == ("waiting", "mission_capacity")
    assert shown["expected_at"] == "2026-12-04T21:00:00.000+00:00"  # the day begins in Riyadh


async def test_who_waits_for_what_nobody_knows_the_day_of_is_told_none(world: World) -> None:
    receipt = await world.submit(1)
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="suspended")
    await world.carry_due()
    shown = await report.message(CENTER, (await world.only(receipt)).id, world.engine)
    assert (shown["reason"], shown["expected_at"]) == ("licensee_inactive", None)
