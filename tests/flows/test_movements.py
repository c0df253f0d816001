"""Arrivals and departures: matched whenever the visa is known, in whatever order they come."""

from __future__ import annotations

import json

import pytest

from gateway.errors import Conflict, Refused
from gateway.flows.subjects import visa_index
from gateway.ledger.books import Presence
from gateway.message import MessageId, PartyId
from gateway.pipeline import wishes
from gateway.states import Outcome, State
from tests.flows.border import NUMBER, arrives, departs, issue, number_visas, presence, visa
from tests.flows.office import CENTER, LICENSING, OTHER_CENTER, PILGRIM_SERVICES, World, send, told
from tests.pipeline.world import CENTER as SUBMITTER


def _parked(world: World, kind: str = "movement.arrival") -> float:
    found = world.engine.metrics.registry.get_sample_value(
        "gateway_parked_total", {"kind": kind, "reason": "visa_unknown"}
    )
    return found or 0.0


async def test_an_arrival_puts_the_holder_inside_and_tells_those_who_may_know(world: World) -> None:
    (application,) = await issue(world)
    await arrives(world, "2026-12-01T23:30:00+03:00", event_id="E1", port="JED")
    found = await visa(world)
    assert (found.presence, str(found.arrived_on), found.departed_on) == (
        Presence.INSIDE, "2026-12-01", None,
    )  # fmt: skip
    (event,) = await told(world, PILGRIM_SERVICES, "movement.arrival")
    assert event == {
        "event_id": "E1", "application_id": application, "licensee_id": "LIC-1001",
        "at": "2026-12-01T23:30:00+03:00", "port": "JED",
    }  # fmt: skip
    (event,) = await told(world, CENTER, "movement.arrival")
    assert event.keys() == {"event_id", "application_id", "at", "port"}
    assert await told(world, OTHER_CENTER, "movement.arrival") == []
    assert await told(world, LICENSING, "movement.arrival") == []


async def test_the_day_of_a_movement_is_the_day_in_riyadh(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01T22:30:00Z")
    assert str((await visa(world)).arrived_on) == "2026-12-02"


async def test_a_departure_ends_the_stay(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await departs(world, "2026-12-09", event_id="E2")
    found = await visa(world)
    assert (found.presence, str(found.departed_on)) == (Presence.DEPARTED, "2026-12-09")
    (event,) = await told(world, CENTER, "movement.departure")
    assert event["event_id"] == "E2"


async def test_a_departure_may_come_before_the_arrival_that_it_ends(world: World) -> None:
    await issue(world)
    await departs(world, "2026-12-09")
    assert await presence(world) is Presence.DEPARTED
    await arrives(world, "2026-12-01")
    found = await visa(world)
    assert (found.presence, str(found.arrived_on)) == (Presence.DEPARTED, "2026-12-01")


async def test_the_holder_of_a_visa_for_several_entries_is_inside_again(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await departs(world, "2026-12-04")
    await arrives(world, "2026-12-06")
    found = await visa(world)
    assert (found.presence, str(found.arrived_on), found.departed_on) == (
        Presence.INSIDE, "2026-12-06", None,
    )  # fmt: skip


async def test_hours_of_one_day_tell_which_movement_was_the_later_one(world: World) -> None:
    await issue(world)
    await departs(world, "2026-12-01T20:00:00+03:00")
    await arrives(world, "2026-12-01T17:30:00Z")
    assert await presence(world) is Presence.INSIDE
    await arrives(world, "2026-12-01T08:00:00+03:00")
    assert await presence(world) is Presence.INSIDE


async def test_the_same_event_again_counts_once(world: World) -> None:
    await issue(world)
    first = await arrives(world, "2026-12-01", event_id="E1")
    again = await arrives(world, "2026-12-01", event_id="E1")
    assert (again.message_id, again.duplicate) == (first.message_id, True)
    assert len(await told(world, CENTER, "movement.arrival")) == 1
    with pytest.raises(Conflict, match="idempotency_key_reused"):
        await arrives(world, "2026-12-02", event_id="E1")


@pytest.mark.parametrize("party", ["foreign-affairs", "nic", "sc-01", "licensing"])
async def test_only_passports_tells_of_movements(world: World, party: str) -> None:
    await issue(world)
    with pytest.raises(Refused, match="not_your_message"):
        await arrives(world, "2026-12-01", party=PartyId(party))
    assert await presence(world) is Presence.ISSUED


# --- before the visa is known -------------------------------------------------------------------------


async def test_a_movement_of_an_unknown_visa_is_parked_and_says_so(world: World) -> None:
    taken = await arrives(world, "2026-12-01", event_id="E1")
    row = await world.engine.ledger.message(taken.message_id)
    assert row is not None
    assert (row.state, row.outcome, row.code) == (State.COMPLETED, Outcome.DONE, "visa_unknown")
    (entry,) = await world.engine.ledger.audit(taken.message_id)
    assert (entry.action, entry.code) == ("take", "visa_unknown")
    assert await told(world, PILGRIM_SERVICES, "movement.arrival") == []
    await arrives(world, "2026-12-01", event_id="E1")
    assert _parked(world) == 1


async def test_parked_movements_are_applied_in_order_of_time_once_the_visa_is_issued(world: World) -> None:
    later = await departs(world, "2026-12-01T20:00:00+03:00", event_id="E2")
    sooner = await arrives(world, "2026-12-01T08:00:00+03:00", event_id="E1")
    (application,) = await issue(world)
    found = await visa(world)
    assert (found.presence, str(found.arrived_on), str(found.departed_on)) == (
        Presence.DEPARTED, "2026-12-01", "2026-12-01",
    )  # fmt: skip
    events = await told(world, PILGRIM_SERVICES)
    assert [(event["event_id"], event["application_id"]) for event in events] == [
        ("E1", application), ("E2", application),
    ]  # fmt: skip
    for taken in (sooner, later):
        row = await world.engine.ledger.message(taken.message_id)
        assert row is not None
        assert row.code is None
    parked = await world.engine.ledger.look(
        lambda books: books.parked_movements(visa_index(NUMBER, world.engine.vault))
    )
    assert parked == []


async def test_an_event_of_a_parked_movement_names_the_movements_own_message(world: World) -> None:
    taken = await arrives(world, "2026-12-01")
    await issue(world)
    (event,) = [
        event
        for event in await world.engine.ledger.events(PILGRIM_SERVICES, after=0, limit=10)
        if event.kind == "movement.arrival"
    ]
    assert (event.message_id, event.correlation_id) == (taken.message_id, taken.message_id)


async def test_a_damaged_parked_movement_still_counts_and_the_visa_is_issued(world: World) -> None:
    taken = await arrives(world, "2026-12-01")
    await world.engine.ledger.work(
        lambda books: books._tx.run(  # type: ignore[attr-defined]
            "UPDATE message SET sealed_payload = zeroblob(40) WHERE id = ?", (taken.message_id,)
        )
    )
    await issue(world)
    assert await presence(world) is Presence.INSIDE
    assert await told(world, PILGRIM_SERVICES, "movement.arrival") == []


# --- the person and the visa --------------------------------------------------------------------------


async def test_after_departure_the_person_may_apply_again(world: World) -> None:
    lines = world.applications(1)
    number_visas(world)
    await world.submit(lines, key="one")
    await world.carry_until_rest()
    assert len((await world.submit(lines, key="two")).rejected) == 1
    await arrives(world, "2026-12-01")
    assert len((await world.submit(lines, key="three")).rejected) == 1
    await departs(world, "2026-12-09")
    assert (await world.submit(lines, key="four")).rejected == ()


async def _cancelled(world: World) -> MessageId:
    (application,) = await issue(world)
    await wishes.cancel_application(SUBMITTER, application, world.engine)
    await world.carry_until_rest()
    return application


async def test_somebody_who_comes_on_a_cancelled_visa_is_inside_all_the_same(world: World) -> None:
    await _cancelled(world)
    assert await presence(world) is Presence.CANCELLED
    await arrives(world, "2026-12-01")
    assert await presence(world) is Presence.INSIDE
    assert len(await told(world, PILGRIM_SERVICES, "movement.arrival")) == 1


async def test_a_cancellation_that_comes_after_the_arrival_does_not_hide_the_holder(world: World) -> None:
    (application,) = await issue(world)
    await arrives(world, "2026-12-01")
    await wishes.cancel_application(SUBMITTER, application, world.engine)
    await world.carry_until_rest()
    assert await presence(world) is Presence.INSIDE


# --- what must not show -------------------------------------------------------------------------------


async def test_no_clear_column_holds_the_visas_number(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01", border_number="3098765432")
    await arrives(world, "2026-12-01", number="6999999999")
    tables = ("message", "movement", "visa", "outbox", "audit", "record")

    def text(books: object) -> str:
        run = books._tx.all  # type: ignore[attr-defined]
        return json.dumps([str([*row]) for name in tables for row in run(f"SELECT * FROM {name}")])

    found = await world.engine.ledger.work(text)
    for number in (NUMBER, "6999999999", "3098765432"):
        assert number not in found


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
async def test_a_moment_that_no_calendar_has_is_refused(world: World, at: str) -> None:
    with pytest.raises(Refused, match="message_invalid"):
        await send(world, PartyId("passports"), "movement.arrival", at=at)


async def test_a_movement_of_next_season_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="date_in_future"):
        await send(world, PartyId("passports"), "movement.arrival", at="2027-06-29T10:00:00+03:00")
