"""Overstays: found when the due day has passed, noticed level by level, cleared by leaving."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.flows.overstays import over_limit
from gateway.flows.subjects import visa_index
from gateway.ledger.books import Presence
from gateway.ledger.records import MessageFilter
from gateway.message import MessageId, PartyId
from gateway.pipeline.day import new_day
from gateway.states import Outcome
from schemas.kinds import check
from tests.flows import border
from tests.flows.border import NUMBER, arrives, day, departs, issue, presence, visa
from tests.flows.office import CENTER, LICENSING, OTHER_CENTER, PILGRIM_SERVICES, World, open_office, told

SECOND, THIRD = "6000000002", "6000000003"


async def _reports(world: World) -> list[int]:
    """The levels that Passports was given notice of, in order."""
    await world.carry_until_rest()
    rows = await world.engine.ledger.messages(MessageFilter(kind="overstay.notice"), after_id="", limit=100)
    assert {row.outcome for row in rows} <= {Outcome.DONE}
    assert world.passports.calls().get("ReportOverstay", 0) == len(rows)
    return [values["level"] for values in world.passports.requests if "level" in values]


async def _levels(world: World, party: PartyId = PILGRIM_SERVICES) -> list[int]:
    return [event["level"] for event in await told(world, party, "overstay.notice")]


async def test_the_day_after_the_due_day_everybody_concerned_is_told(world: World) -> None:
    (application,) = await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-20")
    assert await _levels(world) == []
    done = await day(world, "2026-12-21")
    assert done.counts["overstay_notices"] == 1
    assert await presence(world) is Presence.OVERSTAYED
    (notice,) = await told(world, PILGRIM_SERVICES, "overstay.notice")
    assert notice == {
        "visa_number": NUMBER, "application_id": application, "licensee_id": "LIC-1001",
        "agent_id": "AGT-2001", "mission_id": "MSN-IDN-JKT", "due_date": "2026-12-20", "level": 1,
        "noticed_on": "2026-12-21",
    }  # fmt: skip
    assert check("overstay.notice", notice) == notice
    (shown,) = await told(world, CENTER, "overstay.notice")
    assert shown.keys() == {"application_id", "due_date", "level", "noticed_on"}
    assert "visa_number" not in (await told(world, LICENSING, "overstay.notice"))[0]
    assert await told(world, OTHER_CENTER) == []
    assert await _reports(world) == [1]
    assert world.passports.requests[-1] == {"visa_number": NUMBER, "due_date": "2026-12-20", "level": 1}


async def test_a_notice_goes_out_once_a_level_and_the_levels_rise(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    expected = {"2026-12-21": 1, "2026-12-22": 1, "2026-12-26": 1, "2026-12-27": 2, "2027-01-18": 2,
                "2027-01-19": 3, "2027-03-01": 3}  # fmt: skip
    for text, level in expected.items():
        await day(world, text)
        assert (await visa(world)).notices == level, text
    assert await _reports(world) == await _levels(world) == [1, 2, 3]


async def test_after_days_without_a_gateway_every_level_is_given_in_order(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2027-02-01")
    assert await _reports(world) == await _levels(world) == [1, 2, 3]


async def test_grace_days_of_the_controls_move_the_due_day(world: World) -> None:
    await _controls(world, overstay={"grace_days": 2})
    await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-22")
    assert await _levels(world) == []
    await day(world, "2026-12-23")
    assert await _levels(world) == [1]


async def test_the_controls_set_the_levels(world: World) -> None:
    await _controls(world, overstay_levels_days=[3])
    await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-22")
    assert await _levels(world) == []
    await day(world, "2027-02-22")
    assert await _levels(world) == [1]


async def test_only_holders_who_are_inside_are_looked_for(world: World) -> None:
    await issue(world, 3)
    await arrives(world, "2026-12-01", number=SECOND)
    await departs(world, "2026-12-20T23:00:00+03:00", number=SECOND)
    await arrives(world, "2026-12-01", number=THIRD)
    await day(world, "2026-12-25")
    assert [await presence(world, n) for n in (NUMBER, SECOND, THIRD)] == [
        Presence.ISSUED, Presence.DEPARTED, Presence.OVERSTAYED,
    ]  # fmt: skip


async def test_more_overstays_than_one_transaction_takes_are_all_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pipeline.day._PAGE", 2)
    await issue(world, 5)
    for number in range(6000000001, 6000000006):
        await arrives(world, "2026-12-01", number=str(number))
    await _due_in_turn(world)
    assert (await day(world, "2026-12-21")).counts["overstay_notices"] == 5
    assert len({event["application_id"] for event in await told(world, CENTER, "overstay.notice")}) == 5


async def _due_in_turn(world: World) -> None:
    """Different due days, in another order than that of the index."""

    def spread(books: Any) -> None:
        for days, row in enumerate(books._tx.all("SELECT number_index FROM visa ORDER BY 1 DESC")):
            due = ("2026-12-15", "2026-12-16", "2026-12-17", "2026-12-18", "2026-12-19")[days]
            books._tx.run("UPDATE visa SET due_on = ? WHERE number_index = ?", (due, row["number_index"]))

    # All within one level, so that each gets one notice.
    await world.engine.ledger.work(spread)


async def test_a_late_departure_clears_the_overstay_for_all_who_were_told(world: World) -> None:
    (application,) = await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-25")
    await departs(world, "2026-12-26")
    assert await presence(world) is Presence.DEPARTED
    (event,) = await told(world, PILGRIM_SERVICES, "overstay.cleared")
    assert event == {
        "visa_number": NUMBER, "application_id": application, "licensee_id": "LIC-1001",
        "agent_id": "AGT-2001", "due_date": "2026-12-20", "departed_on": "2026-12-26",
    }  # fmt: skip
    assert check("overstay.cleared", event) == event
    for party in (CENTER, LICENSING):
        assert len(await told(world, party, "overstay.cleared")) == 1
    await day(world, "2027-02-01")
    assert await _levels(world) == [1]


async def test_one_who_had_left_in_time_is_cleared_when_that_is_known(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-21")
    await departs(world, "2026-12-15")
    (event,) = await told(world, CENTER, "overstay.cleared")
    assert event["departed_on"] == "2026-12-15"


async def test_one_who_was_noticed_stays_so_whatever_else_is_told_of_earlier_days(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-05")
    await day(world, "2026-12-21")
    await arrives(world, "2026-12-01")
    await departs(world, "2026-12-03")
    assert await presence(world) is Presence.OVERSTAYED
    assert await told(world, CENTER, "overstay.cleared") == []


async def test_a_departure_in_time_clears_nothing(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await departs(world, "2026-12-15")
    assert await told(world, CENTER, "overstay.cleared") == []


async def test_a_visa_whose_data_is_damaged_keeps_no_other_from_being_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pipeline.day._PAGE", 1)
    first, _ = await issue(world, 2)
    await arrives(world, "2026-12-01")
    await arrives(world, "2026-12-01", number=SECOND)
    kept = await _damage(world, first)
    assert (await day(world, "2026-12-21")).counts["overstay_notices"] == 1
    assert [await presence(world, n) for n in (NUMBER, SECOND)] == [Presence.OVERSTAYED] * 2
    await _repair(world, first, kept)
    assert (await day(world, "2026-12-22")).counts["overstay_notices"] == 1
    assert sorted(await _reports(world)) == [1, 1]


async def _damage(world: World, id: MessageId) -> bytes:
    row = await world.engine.ledger.message(id)
    assert row is not None
    assert row.sealed_progress is not None
    await _repair(world, id, bytes(40))
    return row.sealed_progress


async def _repair(world: World, id: MessageId, sealed: bytes) -> None:
    await world.engine.ledger.work(
        lambda books: books._tx.run(  # type: ignore[attr-defined]
            "UPDATE message SET sealed_progress = ? WHERE id = ?", (sealed, id)
        )
    )


async def test_no_clear_column_holds_the_number_of_a_visa_that_was_noticed(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-21")
    await world.carry_until_rest()
    await departs(world, "2026-12-22")

    def text(books: Any) -> str:
        tables = ("message", "movement", "visa", "outbox", "audit", "record", "attempt")
        return "".join(str([*row]) for name in tables for row in books._tx.all(f"SELECT * FROM {name}"))

    assert NUMBER not in await world.engine.ledger.work(text)


# --- limits -----------------------------------------------------------------------------------------------


async def _controls(world: World, **changes: Any) -> None:
    record = await world.engine.ledger.record("controls", "current")
    assert record is not None
    facts = {**record.facts, **changes}
    await world.engine.ledger.work(
        lambda books: books.put("controls", "current", facts, version="9", message_id="m")
    )


async def _over(world: World, id: str) -> bool | None:
    record = await world.engine.ledger.record("overstay_standing", id)
    return None if record is None else record.facts["over"]


async def test_over_the_limit_the_gate_closes_and_it_opens_when_they_have_left(world: World) -> None:
    await _controls(world, overstay={"max_count": 1})
    await issue(world, 3)
    for number in (NUMBER, SECOND):
        await arrives(world, "2026-12-01", number=number)
    await day(world, "2026-12-21")
    assert (await _over(world, "licensee/LIC-1001"), await _over(world, "agent/AGT-2001")) == (True, True)
    assert await _over(world, "licensee/LIC-1002") is None
    with pytest.raises(Refused, match="overstay_limit"):
        await world.submit(world.applications(1, seed=8), key="later")
    await departs(world, "2026-12-22", number=SECOND)
    assert (await _over(world, "licensee/LIC-1001"), await _over(world, "agent/AGT-2001")) == (False, False)
    assert (await world.submit(world.applications(1, seed=8), key="later")).rejected == ()


async def test_what_was_not_sent_yet_is_held_by_the_limit_and_goes_on_by_itself(world: World) -> None:
    await _controls(world, overstay={"max_ratio": 0.5})
    await issue(world, 1)
    waiting = await world.submit(world.applications(1, seed=8), key="later")
    await arrives(world, "2026-12-01")
    await _as_if_due(world, "2026-11-20")
    await world.carry_until_rest()
    row = await world.only(waiting)
    assert (row.state, row.code) == ("held", "overstay_limit")
    await departs(world, "2026-12-22")
    await world.carry_until_rest()
    assert (await world.only(waiting)).outcome is Outcome.ISSUED


async def _as_if_due(world: World, text: str) -> None:
    """Today's work, as if the visa had been due then: the travel days of what waits are still ahead."""
    await world.engine.ledger.work(
        lambda books: books._tx.run("UPDATE visa SET due_on = ?", (text,))  # type: ignore[attr-defined]
    )
    await new_day(world.engine)


async def test_a_new_record_is_put_only_when_the_standing_flips(world: World) -> None:
    await _controls(world, overstay={"max_count": 1})
    await issue(world, 3)
    for number in (NUMBER, SECOND, THIRD):
        await arrives(world, "2026-12-01", number=number)
    await day(world, "2026-12-21")
    flipped = await world.engine.ledger.record("overstay_standing", "licensee/LIC-1001")
    await departs(world, "2026-12-22", number=THIRD)
    still = await world.engine.ledger.record("overstay_standing", "licensee/LIC-1001")
    assert flipped is not None
    assert still is not None
    assert (still.seq, still.facts["over"]) == (flipped.seq, True)


async def test_other_controls_are_judged_by_on_the_next_day(world: World) -> None:
    await issue(world)
    await arrives(world, "2026-12-01")
    await day(world, "2026-12-21")
    assert await _over(world, "licensee/LIC-1001") is None
    await _controls(world, overstay={"max_ratio": 0.1})
    await day(world, "2026-12-22")
    assert await _over(world, "licensee/LIC-1001") is True
    await _controls(world, overstay=None)
    await day(world, "2026-12-23")
    assert await _over(world, "licensee/LIC-1001") is False


@pytest.mark.parametrize(
    ("overstayed", "arrived", "limits", "over"),
    [
        (2, 100, {"max_count": 2}, False),
        (3, 100, {"max_count": 2}, True),
        (1, 10, {"max_ratio": 0.1}, False),
        (2, 10, {"max_ratio": 0.1}, True),
        (2, 10, {"max_ratio": 0.1, "minimum_arrivals": 11}, False),
        (2, 11, {"max_ratio": 0.1, "minimum_arrivals": 11}, True),
        (3, 5, {"max_count": 2, "minimum_arrivals": 100}, True),
        (5, 5, {"max_count": None, "max_ratio": None}, False),
        (5, 5, {}, False),
    ],
)
def test_what_is_allowed_is_not_over(
    overstayed: int, arrived: int, limits: dict[str, Any], over: bool
) -> None:
    assert over_limit(overstayed, arrived, limits) is over


# --- in any order -----------------------------------------------------------------------------------------

_ARRIVAL, _DEPARTURE = st.just("arrival"), st.just("departure")
_HOURS = st.integers(0, 23)
_MOVES = st.tuples(st.one_of(_ARRIVAL, _DEPARTURE), st.integers(1, 31), _HOURS)


_DAYS = ("2026-12-02", "2026-12-21", "2026-12-22", "2026-12-27", "2027-01-10", "2027-01-19")
_END = "2027-02-10"


@dataclass(frozen=True)
class _Move:
    at: str
    direction: str

    async def happen(self, world: World) -> None:
        # Named by what it says, so that the same one again is a repetition.
        event_id = f"{self.direction}-{self.at[:13]}"
        await border.moves(world, self.direction, self.at, event_id=event_id)


@dataclass(frozen=True)
class _Day:
    text: str

    async def happen(self, world: World) -> None:
        if self.text > world.clock.today().isoformat():
            await day(world, self.text)


@dataclass(frozen=True)
class _Issue:
    async def happen(self, world: World) -> None:
        await issue(world)


_MOVES = st.builds(
    _Move,
    st.builds("2026-12-{:02}T{:02}:00:00+03:00".format, st.integers(1, 31), st.integers(0, 23)),
    st.sampled_from(("arrival", "departure")),
)
_Story = list[_Move | _Day | _Issue]


@st.composite
def _stories(draw: st.DrawFn) -> _Story:
    """What happens to one visa, some of it told more than once, in any order; and days that pass."""
    moves = draw(st.lists(_MOVES, min_size=1, max_size=4, unique=True))
    repeated = draw(st.lists(st.sampled_from(moves), max_size=3))
    days = draw(st.lists(st.builds(_Day, st.sampled_from(_DAYS)), max_size=3, unique=True))
    return list(draw(st.permutations([_Issue(), *moves, *repeated, *days])))


@settings(max_examples=60, deadline=None)
@given(_stories())
def test_whatever_the_order_it_ends_the_same_and_nothing_is_lost_or_told_twice(story: _Story) -> None:
    asyncio.run(_holds(story))


async def _holds(story: _Story) -> None:
    moves = {part for part in story if isinstance(part, _Move)}
    last = max(moves, key=lambda move: (move.at, move.direction))
    with tempfile.TemporaryDirectory() as folder:
        world = await open_office(Path(folder))
        try:
            for part in story:
                await part.happen(world)
            await day(world, _END)
            await _is_as_told(world, moves, left=last.direction == "departure")
        finally:
            await world.engine.ledger.close()


async def _is_as_told(world: World, moves: set[_Move], *, left: bool) -> None:
    found = await visa(world)
    assert found.presence is (Presence.DEPARTED if left else Presence.OVERSTAYED)
    heard = [event["event_id"] for event in await told(world, CENTER) if "event_id" in event]
    assert len(heard) == len(set(heard)) == len(moves)
    index = visa_index(NUMBER, world.engine.vault)
    kept = await world.engine.ledger.look(lambda books: books.movements(index))
    assert [movement.matched for movement in kept] == [True] * len(moves)
    levels = await _levels(world)
    assert levels == list(range(1, found.notices + 1))
    assert left or levels == [1, 2, 3]
