"""Phantom companies and trade in groups: what is refused for it is reported to the ministry."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Refused
from gateway.ledger.port import MessageFilter, MessageRow
from gateway.message import PartyId
from gateway.pipeline.admit import admit
from tests.flows.audience import audience, hold_to_their_kinds, parties
from tests.flows.office import CENTER, LICENSING, OTHER_CENTER, World, send, told
from tests.pipeline.world import sample_batch, submission

KIND = "unauthorised_activity.reported"


@pytest.fixture(autouse=True)
def whole_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_to_their_kinds(monkeypatch)


async def refused(world: World, party: PartyId = CENTER, **header: Any) -> str:
    """Hand in a batch with these fields in its header; the code it is refused with."""
    options = {"dry_run": header.pop("dry_run", False), "party": party}
    first, lines = sample_batch(1, 7, world.clock.today(), clean=True)
    with pytest.raises(Refused) as caught:
        await admit(submission([{**first, **header}, *lines], **options), world.engine)
    return caught.value.code


async def reports(world: World) -> list[dict[str, Any]]:
    return await told(world, LICENSING, KIND)


async def recorded(world: World) -> list[MessageRow]:
    return list(await world.engine.ledger.messages(MessageFilter(kind=KIND), after_id="", limit=100))


async def put(world: World, kind: str, id: str, **facts: Any) -> None:
    await world.engine.ledger.work(lambda books: books.put(kind, id, facts, version="9"))


# --- batches ------------------------------------------------------------------------------------------


async def test_a_batch_for_a_licensee_that_is_not_the_centers_is_reported(world: World) -> None:
    assert await refused(world, licensee_id="LIC-1002") == "center_not_licensed"
    (event,) = await reports(world)
    (row,) = await recorded(world)
    assert event.pop("event_id") == row.id
    assert event == {
        "center_id": "sc-01",
        "licensee_id": "LIC-1002",
        "agent_id": "AGT-2001",
        "group_number": "GRP-4001",
        "code": "center_not_licensed",
        "at": "2026-11-22T12:00:00+03:00",
    }
    assert await audience(world, KIND) == parties("licensing")


async def test_each_refusal_of_this_sort_is_reported_with_its_code(world: World) -> None:
    await put(world, "service_center", "sc-01", status="active", licensees=["LIC-1001", "LIC-X", "LIC-1009"])
    tried = {
        "licensee_unknown": {"licensee_id": "LIC-X"},
        "licensee_inactive": {"licensee_id": "LIC-1009"},
        "agent_unknown": {"agent_id": "AGT-X"},
        "agent_contract_invalid": {"agent_id": "AGT-2002"},
        "group_of_another_licensee": {"group_number": "GRP-4002"},
    }
    for code, header in tried.items():
        assert await refused(world, **header) == code
    assert await refused(world, OTHER_CENTER) == "center_not_licensed"
    assert [event["code"] for event in await reports(world)] == [*tried, "center_not_licensed"]


@pytest.mark.parametrize(
    "header", [{"mission_id": "MSN-XXX-YYY"}, {"package_id": "PKG-3002"}, {"season": "wrong"}]
)
async def test_other_refusals_are_not_reported(world: World, header: dict[str, Any]) -> None:
    assert await refused(world, **header) in {"mission_unknown", "package_not_approved", "header_invalid"}
    assert await recorded(world) == []


async def test_a_dry_run_reports_nothing(world: World) -> None:
    await refused(world, dry_run=True, licensee_id="LIC-1002")
    assert await recorded(world) == []
    assert await reports(world) == []


async def test_the_same_attempt_is_reported_once_a_business_day(world: World) -> None:
    for _ in range(3):
        await refused(world, licensee_id="LIC-1002")
    assert len(await reports(world)) == len(await recorded(world)) == 1
    world.clock.pass_by(days=1)
    await refused(world, licensee_id="LIC-1002")
    first, second = await reports(world)
    assert first["event_id"] != second["event_id"]


@pytest.mark.parametrize(
    "other",
    [
        {"licensee_id": "LIC-1003"},
        {"agent_id": "AGT-2002"},
        {"group_number": "GRP-4002"},
        {"party": OTHER_CENTER},
    ],
)
async def test_another_attempt_on_the_same_day_is_another_report(world: World, other: dict[str, Any]) -> None:
    first = {"licensee_id": "LIC-1004"}
    await refused(world, **first)
    await refused(world, **{**first, **other})
    assert len(await reports(world)) == 2


async def test_a_report_is_settled_from_the_beginning_and_is_not_carried(world: World) -> None:
    await refused(world, licensee_id="LIC-1002")
    assert await world.carry_due() == 0
    (row,) = await recorded(world)
    assert (row.party, row.facts.licensee, row.facts.agent) == ("gateway", "LIC-1002", "AGT-2001")


async def test_refusing_a_batch_still_leaves_nothing_of_it_behind(world: World) -> None:
    await refused(world, licensee_id="LIC-1002")
    assert (await world.submit(1)).batch_id is not None  # under the same key


# --- other messages -----------------------------------------------------------------------------------


async def test_a_message_for_a_licensee_that_is_not_the_centers_is_reported(world: World) -> None:
    with pytest.raises(Refused):
        await send(world, OTHER_CENTER, "compliance.report", group_number=None)
    (event,) = await reports(world)
    assert event["center_id"] == "sc-02"
    assert event["licensee_id"] == "LIC-1001"
    assert event["code"] == "center_not_licensed"
    assert event.keys() >= {"event_id", "at"}
    assert "agent_id" not in event


async def test_a_message_about_a_group_of_another_licensee_is_reported(world: World) -> None:
    with pytest.raises(Refused):
        await send(world, CENTER, "compliance.report", group_number="GRP-4002")
    (event,) = await reports(world)
    assert (event["group_number"], event["code"]) == ("GRP-4002", "group_of_another_licensee")


async def test_a_message_that_is_wrong_by_itself_is_not_reported(world: World) -> None:
    with pytest.raises(Refused, match="message_invalid"):
        await send(world, OTHER_CENTER, "compliance.report", revision=0)
    assert await recorded(world) == []


async def test_what_the_ministry_gets_wrong_is_no_unauthorised_activity(world: World) -> None:
    with pytest.raises(Refused, match="licensee_unknown"):
        await send(world, LICENSING, "licensee.activation_check", licensee_id="LIC-X")
    assert await recorded(world) == []
