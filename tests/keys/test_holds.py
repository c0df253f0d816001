"""Legal holds: what is held is not shredded, whatever its age; each is in the journal, with its reason."""

from __future__ import annotations

import pytest

from gateway.errors import Conflict, Refused
from gateway.message import MessageId
from gateway.pipeline import operate, report, shred
from gateway.pipeline.shred import Held
from tests.flows.border import arrives, departs
from tests.flows.office import send
from tests.keys.sealed import chain_is_whole, plant
from tests.pipeline.world import CENTER, World

TWO_YEARS = 750
ALL_OF_IT = 4000
WHY = "court order 12/2028"


async def shredded(world: World) -> list[str]:
    begun = await shred.begin_due(world.engine)
    await shred.go_on(world.engine)
    return begun


async def hold(world: World, held: Held) -> int:
    placed = await shred.place_hold(held, "auditor-1", WHY, world.engine)
    return int(placed["hold"])


@pytest.mark.parametrize("scope", ["all", "bucket", "message", "person"])
async def test_what_is_held_stays_until_it_is_released(world: World, scope: str) -> None:
    planted = await plant(world)
    held = {
        "all": Held("all"),
        "bucket": Held("bucket", bucket="visa-2026-11"),
        "message": Held("message", message_id=planted.application),
        "person": Held("person", passport=planted.passport),
    }[scope]
    number = await hold(world, held)
    world.clock.pass_by(days=TWO_YEARS)
    assert await shredded(world) == []
    row = await world.engine.ledger.message(planted.application)
    assert row is not None and not report.is_shredded(row, world.engine)

    await shred.release_hold(number, "admin-1", "the court is done", world.engine)
    assert await shredded(world) == ["visa-2026-11"]


async def test_a_hold_on_somebody_else_stops_nothing(world: World) -> None:
    await plant(world)
    await hold(world, Held("person", passport=("ZZ9999999", "IDN")))
    await hold(world, Held("bucket", bucket="operators-2026-11"))
    world.clock.pass_by(days=TWO_YEARS)
    assert await shredded(world) == ["visa-2026-11"]


async def test_a_hold_on_a_person_holds_what_names_the_visa_and_why_operators_did_something(
    world: World,
) -> None:
    planted = await plant(world)
    await arrives(world, "2026-12-01T23:30:00+03:00", event_id="E1", port="JED")
    world.clock.pass_by(days=20)
    await departs(world, "2026-12-10T23:30:00+03:00", event_id="E2", port="JED")
    await hold(world, Held("person", passport=planted.passport))
    held = set(await world.engine.ledger.held_buckets())
    # The departure was recorded in December, of a kind that is kept by another rule.
    assert held == {"visa-2026-11", "others-2026-11", "others-2026-12"}


async def test_a_hold_on_a_person_holds_what_comes_later(world: World) -> None:
    (application,) = world.applications(1, seed=5)
    passport = application["passport"]
    await hold(world, Held("person", passport=(passport["number"], passport["issuing_state"])))
    assert await world.engine.ledger.held_buckets() == {}
    await world.submit([application])
    assert set(await world.engine.ledger.held_buckets()) == {"visa-2026-11"}


async def test_a_hold_that_comes_while_what_is_due_is_looked_for_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant(world)
    world.clock.pass_by(days=TWO_YEARS)
    looked = shred.buckets

    async def and_then_held(engine: object) -> object:
        found = await looked(world.engine)
        await hold(world, Held("all"))
        return found

    monkeypatch.setattr(shred, "buckets", and_then_held)
    assert await shredded(world) == []


async def test_it_is_told_when_a_hold_comes_too_late(world: World) -> None:
    planted = await plant(world)
    world.clock.pass_by(days=TWO_YEARS)
    await shredded(world)
    for held in (
        Held("bucket", bucket="visa-2026-11"),
        Held("message", message_id=planted.application),
    ):
        with pytest.raises(Conflict, match="retention_ended"):
            await hold(world, held)


@pytest.mark.parametrize(
    "held", [Held("bucket", bucket="visa-1999-01"), Held("message", message_id=MessageId("none"))]
)
async def test_only_what_there_is_can_be_held(world: World, held: Held) -> None:
    with pytest.raises(Refused, match="not_found"):
        await hold(world, held)


async def test_a_hold_is_released_once(world: World) -> None:
    number = await hold(world, Held("all"))
    await shred.release_hold(number, "admin-1", "over", world.engine)
    with pytest.raises(Refused, match="not_found"):
        await shred.release_hold(number, "admin-1", "over", world.engine)


async def test_holds_are_in_the_journal_with_reasons_and_without_a_passport(world: World) -> None:
    planted = await plant(world)
    number = await hold(world, Held("person", passport=planted.passport))
    await shred.release_hold(number, "admin-1", "the court is done", world.engine)
    entries = [one.entry for one in await world.engine.ledger.journal(after=0, limit=10_000)]
    placed, released = [one for one in entries if "hold" in one.action]
    assert (placed.actor, placed.detail) == ("auditor-1", {"scope": "person", "hold": number})
    assert (released.actor, released.detail) == ("admin-1", {"hold": number})
    assert placed.note and world.engine.vault.read_note(placed.note) == WHY
    assert released.note and world.engine.vault.read_note(released.note) == "the court is done"
    assert await chain_is_whole(world)


async def test_the_overview_tells_what_is_kept_and_why(world: World) -> None:
    await plant(world)
    number = await hold(world, Held("bucket", bucket="visa-2026-11"))
    world.clock.pass_by(days=TWO_YEARS)
    await send(world, CENTER, "complaint.submission", complaint_id="C2")
    shown = await shred.overview(world.engine)
    kept = {bucket["bucket"]: bucket for bucket in shown["buckets"]}
    visa = kept["visa-2026-11"]
    assert (visa["due_on"], visa["due"], visa["holds"]) == ("2028-12-01", False, [number])
    assert visa["rows"] == {"message": 4, "batch": 2, "photo": 1}
    assert (visa["live"], visa["unconfirmed"], visa["busy"]) == (0, 0, False)
    assert kept["others-2028-12"]["due"] is False
    await shred.release_hold(number, "admin-1", "over", world.engine)
    assert (await shred.run("admin-1", "now", world.engine))["begun"] == ["visa-2026-11"]
    await shred.go_on(world.engine)
    shown = await shred.overview(world.engine)
    (gone,) = shown["shredded"]
    assert (gone["bucket"], gone["state"], gone["by"]) == ("visa-2026-11", "shredded", "admin-1")
    assert gone["rows"] == {"message": 4, "batch": 2, "photo": 1}
    assert "visa-2026-11" not in {bucket["bucket"] for bucket in shown["buckets"]}


async def test_a_batch_that_is_not_through_keeps_its_own_bucket(world: World) -> None:
    """Its receipt is in another month than its lines, when it came about midnight."""
    receipt = await world.submit(1)
    (row,) = await world.rows(receipt.batch_id)
    await operate.cancel(row.id, "operator-1", "test", world.engine)
    assert await world.engine.ledger.busy_keys() == frozenset()
    await world.submit(world.applications(1, seed=9), key="k2")
    assert await world.engine.ledger.busy_keys() == {"visa-2026-11.1"}
