"""Our calls of a day against the partner's own list of them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Refused
from gateway.pipeline import wishes
from gateway.pipeline.reconcile import reconcile
from gateway.ports import StatementRow
from gateway.states import State
from gateway.values import replace
from tests.pipeline.recalled import Registry, registry, settle_time, world
from tests.pipeline.world import CENTER, World

__all__ = ["registry", "world"]


async def compared(world: World, registry: Registry, **changes: Any) -> dict[str, Any]:
    """With the partner's list of the day as it stands a while later."""
    world.clock.pass_by(seconds=2 * settle_time(world.engine))
    statement = registry.statement(world, **changes)
    return await reconcile("foreign-affairs", statement, "operator-1", world.engine)


async def issued(world: World, registry: Registry, count: int = 3) -> None:
    applications = world.applications(count)
    registry.know(applications)
    await world.submit(applications)
    await world.carry_until_rest()


async def test_a_day_that_agrees_has_no_difference(world: World, registry: Registry) -> None:
    await issued(world, registry)
    found = await compared(world, registry)
    assert found["counts"] == {"both": 3, "only_ours": 0, "only_theirs": 0, "differing": 0, "undecided": 0}
    assert found["lost_days"] == {}


async def test_what_only_we_have_is_told_by_reference_and_message(world: World, registry: Registry) -> None:
    await issued(world, registry)
    reference = next(iter(registry.visas))
    del registry.visas[reference]
    found = await compared(world, registry)
    (row,) = found["only_ours"]
    assert row == {
        "request_reference": reference,
        "message_id": reference.partition("/")[0],
        "ours": "issued",
    }


async def test_what_only_they_have_is_told(world: World, registry: Registry) -> None:
    await issued(world, registry)
    stray = StatementRow("nobody/visa_issuance", "issued", "6999999999")
    rows = [*registry.statement(world).rows, stray]
    found = await compared(world, registry, rows=rows)
    assert found["only_theirs"] == [{"request_reference": "nobody/visa_issuance", "theirs": "issued"}]


async def test_another_number_and_another_state_are_differences(world: World, registry: Registry) -> None:
    await issued(world, registry)
    first, second, third = registry.statement(world).rows
    rows = [replace(first, visa_number="6999999999"), replace(second, status="cancelled"), third]
    found = await compared(world, registry, rows=rows)
    assert {row["what"] for row in found["differing"]} == {"visa_number", "state"}
    assert found["counts"]["both"] == 1


async def test_a_visa_that_they_issued_twice_is_told(world: World, registry: Registry) -> None:
    await issued(world, registry, 1)
    (row,) = registry.statement(world).rows
    found = await compared(world, registry, rows=[row, replace(row, visa_number="6999999999")])
    assert "issued_twice" in [one["what"] for one in found["differing"]]


async def test_a_cancelled_visa_agrees_with_a_cancelled_one(world: World, registry: Registry) -> None:
    receipt = await world.submit(1)
    await world.carry_until_rest()
    row = await world.only(receipt)
    (number,) = registry.person_of
    await wishes.cancel_application(CENTER, row.id, world.engine)
    await world.carry_until_rest()
    assert (await world.only(receipt)).state is State.CANCELLED
    rows = [StatementRow(f"{row.id}/visa_issuance", "cancelled", number)]
    found = await compared(world, registry, rows=rows)
    assert (found["counts"]["both"], found["differing"]) == (1, [])


async def test_a_lost_answer_that_they_list_is_a_difference_until_it_was_asked_about(
    world: World, registry: Registry
) -> None:
    registry.loses_answers = True
    applications = world.applications(1)
    registry.know(applications)
    await world.submit(applications)
    await world.carry_due()
    found = await compared(world, registry)
    assert [(row["what"], row["ours"]) for row in found["differing"]] == [("state", "uncertain")]
    registry.loses_answers = False
    await world.carry_until_rest()
    assert (await compared(world, registry))["counts"]["both"] == 1


async def test_a_call_of_the_last_moments_before_the_list_was_made_is_not_missed(
    world: World, registry: Registry
) -> None:
    await world.submit(1)
    await world.carry_due()
    statement = registry.statement(world, rows=[])
    found = await reconcile("foreign-affairs", statement, "operator-1", world.engine)
    assert found["counts"]["only_ours"] == 0


async def test_nothing_of_a_person_is_told(world: World, registry: Registry) -> None:
    await issued(world, registry)
    rows = [*registry.statement(world).rows]
    found = str(
        await compared(world, registry, rows=[replace(rows[0], request_reference="stray"), *rows[1:]])
    )
    assert not any(row.passport_number in found or row.visa_number in found for row in rows)


async def test_it_stands_in_the_journal_who_compared(world: World, registry: Registry) -> None:
    await issued(world, registry, 1)
    await compared(world, registry)
    last = (await world.engine.ledger.journal(after=0, limit=1_000))[-1].entry
    assert (last.action, last.actor) == ("reconcile", "operator-1")
    assert last.detail is not None and last.detail["both"] == 1


async def test_a_partner_that_is_asked_nothing_irrevocable_has_no_list(
    world: World, registry: Registry
) -> None:
    with pytest.raises(Refused, match="nothing_to_reconcile"):
        await reconcile("nic", registry.statement(world), "operator-1", world.engine)
