"""Investigations and penalties: what they close, for how long, and who is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import Conflict, Refused
from gateway.flows import Desk, Subject
from gateway.flows.desk import GATEWAY
from gateway.flows.discipline import lift_ended_penalties, under_penalties
from gateway.ledger.port import Record
from gateway.message import MessageId
from gateway.states import State
from tests.flows.audience import audience, heard, hold_to_their_kinds, parties
from tests.flows.office import CENTER, LICENSING, World, example, send, told

AGENT = {"id": "AGT-2001", "country": "IDN", "status": "active", "contract_until": None}


@pytest.fixture(autouse=True)
def whole_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_to_their_kinds(monkeypatch)


async def punish(world: World, type: str = "suspension", **changes: Any) -> None:
    """A penalty on LIC-1001 from today on, if nothing else is said."""
    from_date = changes.pop("from_date", day(world))
    await send(world, LICENSING, "penalty.issued", type=type, from_date=from_date, **changes)


def day(world: World, ahead: int = 0) -> str:
    """So many days from today."""
    return (world.clock.today() + timedelta(days=ahead)).isoformat()


async def the_day_after(world: World, days: int = 1) -> None:
    """So many days later, the day's work done on each."""
    for _ in range(days):
        world.clock.pass_by(days=1)
        await days_work(world)


async def days_work(world: World) -> None:
    subject = Subject(MessageId(""), "day", GATEWAY)
    office = world.engine.office
    await world.engine.ledger.work(lambda books: lift_ended_penalties(Desk(office, books, subject)))


async def record(world: World, kind: str, id: str) -> Record:
    found = await world.engine.ledger.record(kind, id)
    assert found is not None
    return found


async def status(world: World, id: str = "LIC-1001", kind: str = "licensee") -> str:
    return str((await record(world, kind, id)).facts["status"])


# --- investigations -----------------------------------------------------------------------------------


async def test_the_licensees_center_learns_what_must_be_handed_in_and_not_why(world: World) -> None:
    await send(world, LICENSING, "investigation.opened", agent_id="AGT-2001")
    assert await audience(world, "investigation.opened") == parties("sc-01")
    body = example("investigation.opened")
    del body["grounds"]
    assert await told(world, CENTER) == [body]


async def test_the_record_of_an_investigation_holds_neither_grounds_nor_documents(world: World) -> None:
    await send(world, LICENSING, "investigation.opened")
    assert (await record(world, "investigation", "INV-0001")).facts == {
        "licensee": "LIC-1001",
        "agent": None,
        "due_date": "2026-08-01",
        "status": "open",
    }


async def test_an_older_version_of_an_investigation_is_told_to_nobody(world: World) -> None:
    await send(world, LICENSING, "investigation.opened", version=2)
    with pytest.raises(Conflict, match="stale_version"):
        await send(world, LICENSING, "investigation.opened", version=1)
    assert await heard(world, "sc-01") == ["investigation.opened"]


# --- penalties: what they close -----------------------------------------------------------------------


@pytest.mark.parametrize(("type", "left"), [("suspension", "suspended"), ("revocation", "unlicensed")])
async def test_a_penalty_on_a_licensee_refuses_its_next_batch(world: World, type: str, left: str) -> None:
    await punish(world, type)
    assert await status(world) == left
    with pytest.raises(Refused, match="licensee_inactive"):
        await world.submit(1)


async def test_a_penalty_on_an_agent_refuses_its_next_batch_and_spares_the_licensee(world: World) -> None:
    await punish(world, licensee_id=None, agent_id="AGT-2001")
    assert await status(world, "AGT-2001", "agent") == "suspended"
    assert await status(world) == "active"
    with pytest.raises(Refused, match="agent_contract_invalid"):
        await world.submit(1)


@pytest.mark.parametrize("type", ["warning", "fine"])
async def test_a_warning_or_a_fine_closes_nothing(world: World, type: str) -> None:
    await punish(world, type)
    assert await status(world) == "active"
    receipt = await world.submit(1)
    await world.carry_until_rest()
    assert (await world.only(receipt)).state is State.COMPLETED


async def test_what_was_accepted_and_not_sent_is_held_and_no_visa_is_asked_for(world: World) -> None:
    receipt = await world.submit(3)
    await punish(world)
    await world.carry_until_rest()
    rows = await world.rows(receipt.batch_id)
    assert {(row.state, row.code) for row in rows} == {(State.HELD, "licensee_inactive")}
    assert "IssueVisa" not in world.foreign_affairs.calls()


@pytest.mark.parametrize("on", [{}, {"licensee_id": None, "agent_id": "AGT-2001"}])
async def test_a_suspension_during_clearance_comes_in_time(world: World, on: dict[str, Any]) -> None:
    """The call to clear the pilgrim is under way when the penalty is recorded."""
    receipt = await world.submit(1)
    world.nic.gate = asyncio.Event()
    carrying = asyncio.create_task(world.carry_until_rest())
    while not world.nic.sent:
        await asyncio.sleep(0)
    await punish(world, **on)
    world.nic.gate.set()
    await carrying
    assert (await world.only(receipt)).state is State.HELD
    assert "IssueVisa" not in world.foreign_affairs.calls()


# --- for how long -------------------------------------------------------------------------------------


async def test_a_penalty_ends_when_its_last_day_has_passed_and_what_it_held_goes_on(world: World) -> None:
    receipt = await world.submit(1)
    await punish(world, until_date=day(world, 1))
    await world.carry_until_rest()
    await the_day_after(world)
    assert await status(world) == "suspended"  # its last day
    await the_day_after(world)
    assert await status(world) == "active"
    await world.carry_until_rest()
    assert (await world.only(receipt)).state is State.COMPLETED
    assert world.foreign_affairs.calls()["IssueVisa"] == 1


async def test_a_penalty_that_is_still_to_come_begins_on_its_first_day(world: World) -> None:
    await punish(world, from_date=day(world, 2))
    await the_day_after(world)
    assert await status(world) == "active"
    await the_day_after(world)
    assert await status(world) == "suspended"


async def test_a_penalty_whose_days_are_over_closes_nothing(world: World) -> None:
    await punish(world, from_date=day(world, -9), until_date=day(world, -1))
    assert await status(world) == "active"


async def test_a_revocation_without_an_end_stays(world: World) -> None:
    await punish(world, "revocation")
    await the_day_after(world, 3)
    assert await status(world) == "unlicensed"


async def test_the_days_work_done_twice_changes_nothing_more(world: World) -> None:
    await punish(world, until_date=day(world))
    await the_day_after(world)
    lifted = (await record(world, "licensee", "LIC-1001")).seq
    await days_work(world)
    assert (await record(world, "licensee", "LIC-1001")).seq == lifted
    assert await world.engine.ledger.look(lambda books: books.records("suspension", owner="open")) == []


async def test_a_day_without_anything_to_lift_writes_nothing(world: World) -> None:
    await punish(world, until_date=day(world, 5))
    before = (await record(world, "licensee", "LIC-1001")).seq
    await the_day_after(world)
    assert (await record(world, "licensee", "LIC-1001")).seq == before
    ended = await world.engine.ledger.look(lambda books: books.records("suspension", owner="ended"))
    assert ended == []


async def test_the_end_of_a_penalty_frees_nobody_who_was_suspended_before(world: World) -> None:
    await punish(world, "revocation", licensee_id="LIC-1010", until_date=day(world))
    assert await status(world, "LIC-1010") == "unlicensed"
    await the_day_after(world)
    assert await status(world, "LIC-1010") == "suspended"


async def test_the_worst_of_several_penalties_is_in_force_and_then_the_next(world: World) -> None:
    await punish(world, until_date=day(world, 2))
    await punish(world, "revocation", penalty_id="PEN-0002", until_date=day(world, 1))
    await punish(world, "warning", penalty_id="PEN-0003")
    assert await status(world) == "unlicensed"
    await the_day_after(world, 2)
    assert await status(world) == "suspended"
    await the_day_after(world)
    assert await status(world) == "active"


async def test_a_later_version_may_lift_a_penalty_or_move_it_to_another(world: World) -> None:
    await punish(world)
    await punish(world, version=2, licensee_id="LIC-1002")
    assert (await status(world, "LIC-1001"), await status(world, "LIC-1002")) == ("active", "suspended")
    await punish(world, "warning", version=3, licensee_id="LIC-1002")
    assert await status(world, "LIC-1002") == "active"


async def test_a_later_version_may_set_another_last_day(world: World) -> None:
    await punish(world, until_date=day(world))
    await punish(world, version=2, until_date=day(world, 1))
    await the_day_after(world)
    assert await status(world) == "suspended"
    await the_day_after(world)
    assert await status(world) == "active"


async def test_a_version_that_is_not_newer_changes_nothing(world: World) -> None:
    await punish(world, "warning", version=2)
    with pytest.raises(Conflict, match="stale_version"):
        await punish(world, version=1)
    assert await status(world) == "active"
    assert await heard(world, "sc-01") == ["penalty.issued"]


async def test_the_ministrys_next_status_needs_no_other_number_because_of_a_penalty(world: World) -> None:
    await punish(world, version=7)
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=2, status="unlicensed")
    assert await status(world) == "unlicensed"


async def test_a_status_that_the_ministry_sets_meanwhile_does_not_end_a_penalty(world: World) -> None:
    await punish(world, until_date=day(world))
    desk_of = Subject(MessageId(""), "day", GATEWAY)
    office = world.engine.office
    facts = (await record(world, "licensee", "LIC-1001")).facts

    async def facts_under(own: str) -> dict[str, Any]:
        return await world.engine.ledger.look(
            lambda books: under_penalties(
                "licensee", "LIC-1001", {**facts, "status": own}, Desk(office, books, desk_of)
            )
        )

    said = await facts_under("active")
    assert (said["status"], said["own_status"]) == ("suspended", "active")
    said = await facts_under("unlicensed")
    assert (said["status"], said["own_status"]) == ("unlicensed", "unlicensed")
    world.clock.pass_by(days=1)
    said = await facts_under("active")
    assert (said["status"], "own_status" in said) == ("active", False)


async def test_a_suspension_shows_in_the_answer_on_the_licensees_activation(world: World) -> None:
    await send(world, LICENSING, "licensee.activation_check", licensee_id="LIC-1001")
    await punish(world, until_date=day(world))
    await the_day_after(world)
    answers = await told(world, LICENSING, "licensee.activation")
    standings = [
        source["standing"]
        for answer in answers
        for source in answer["sources"]
        if source["source"] == "record"
    ]
    assert standings == ["CLEAR", "BLOCK", "CLEAR"]


# --- who is told, what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize("type", ["warning", "fine", "suspension", "revocation"])
async def test_the_licensees_center_is_told_what_it_must_act_upon_and_nobody_else_is(
    world: World, type: str
) -> None:
    await punish(world, type, until_date=day(world, 30))
    assert await audience(world, "penalty.issued") == parties("sc-01")
    assert await told(world, CENTER) == [
        {
            "penalty_id": "PEN-0001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "type": type,
            "from_date": day(world),
            "until_date": day(world, 30),
        }
    ]


async def test_of_an_agents_penalty_the_centers_of_all_its_licensees_are_told(world: World) -> None:
    await world.engine.ledger.work(
        lambda books: books.put(
            "agent", "AGT-2001", {**AGENT, "licensees": ["LIC-1001", "LIC-1002"]}, version="2"
        )
    )
    await punish(world, licensee_id=None, agent_id="AGT-2001")
    assert await audience(world, "penalty.issued") == parties("sc-01", "sc-02")
    assert (await told(world, CENTER))[0]["agent_id"] == "AGT-2001"


@pytest.mark.parametrize(
    ("on", "pointer"),
    [
        ({"licensee_id": "LIC-9999"}, "/licensee_id"),
        ({"licensee_id": None, "agent_id": "AGT-9999"}, "/agent_id"),
    ],
)
async def test_a_penalty_on_somebody_unknown_is_refused_so_that_a_slip_is_noticed(
    world: World, on: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Refused, match="record_unknown") as caught:
        await punish(world, **on)
    assert [fault.pointer for fault in caught.value.violations] == [pointer]
    assert await audience(world, "penalty.issued") == set()


async def test_the_record_of_a_penalty_holds_neither_amount_nor_grounds(world: World) -> None:
    await punish(world, "fine")
    assert (await record(world, "penalty", "PEN-0001")).facts == {
        "on": "licensee",
        "id": "LIC-1001",
        "type": "fine",
        "from": day(world),
        "until": None,
    }


async def test_a_status_from_the_ministry_counts_when_the_penalty_has_ended(world: World) -> None:
    await punish(world, until_date=day(world))
    said = {"licensee_id": "LIC-1001"}
    await send(world, LICENSING, "licensee.status", **said, version=2, status="active")
    assert await status(world) == "suspended"
    await send(world, LICENSING, "licensee.status", **said, version=3, status="unlicensed")
    await the_day_after(world)
    assert await status(world) == "unlicensed"
