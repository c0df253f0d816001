"""Where a mahram is asked for, the one that a line names is another line of its batch."""

from __future__ import annotations

from typing import Any

import pytest

from cli.reference import load_initial
from gateway.errors import LeaseLost
from gateway.pipeline import report
from gateway.pipeline.intake import MAX_NAMED, AllOrNothing
from gateway.states import PublicState
from gateway.values import replace
from tests.pipeline.world import CENTER, World

ALONE = ("mahram_not_in_batch", "/mahram/reference")


@pytest.fixture
async def world(world: World) -> World:
    """The control set asks every woman for a mahram."""
    settings = world.engine.settings
    asked = settings.controls.mahram.model_copy(update={"required": True, "below_age": None})
    controls = settings.controls.model_copy(update={"mahram": asked})
    await load_initial(
        settings.model_copy(update={"controls": controls}), world.engine.ledger, world.clock.today()
    )
    intake = settings.gateway.intake.model_copy(update={"chunk_lines": 3})
    gateway = settings.gateway.model_copy(update={"intake": intake})
    changed = settings.model_copy(update={"gateway": gateway})
    world.engine = replace(world.engine, settings=changed)
    return world


def party(world: World, mahrams: dict[int, int | str], count: int = 8) -> list[dict[str, Any]]:
    """Lines of men, but for those at `mahrams`, who name the line (by place) or the reference given."""
    lines = [{**line, "sex": "M"} for line in world.applications(count)]
    for line in lines:
        line.pop("mahram", None)
        line["passport"] = {key: value for key, value in line["passport"].items() if key != "mrz"}
    for place, mahram in mahrams.items():
        named = lines[mahram]["reference"] if isinstance(mahram, int) else mahram
        lines[place] |= {"sex": "F", "mahram": {"reference": named, "relationship": "husband"}}
    return lines


async def states(world: World, receipt: Any) -> list[PublicState]:
    return [row.public_state for row in await world.rows(receipt.batch_id)]


async def test_a_mahram_may_come_before_or_after_the_line_that_names_him(world: World) -> None:
    receipt = await world.submit(party(world, {0: 7, 5: 1}))
    assert receipt.counts == {"total": 8, "accepted": 8}
    await world.carry_until_rest()
    assert (await world.batch(receipt)).counts == {"issued": 8}


async def test_a_line_whose_mahram_never_comes_is_rejected_and_the_others_go_on(world: World) -> None:
    lines = party(world, {1: "nobody-here", 6: 0, 7: "nobody-here"})
    receipt = await world.submit(lines)
    assert receipt.counts == {"total": 8, "accepted": 6, "rejected": 2}
    found = [(rejected.line, rejected.row, rejected.reference) for rejected in receipt.rejected]
    assert found == [(place + 1, place + 2, lines[place]["reference"]) for place in (1, 7)]
    assert [(v.code, v.pointer) for v in receipt.rejected[0].violations] == [ALONE]
    await world.carry_until_rest()
    assert (await world.batch(receipt)).counts == {"issued": 6, "rejected": 2}
    assert world.foreign_affairs.calls()["IssueVisa"] == 6


async def test_the_rejected_line_can_be_fetched_as_it_was_sent_and_is_in_the_metrics(world: World) -> None:
    lines = party(world, {1: "nobody-here"}, count=2)
    receipt = await world.submit(lines)
    assert receipt.batch_id is not None
    (shown,) = [line async for line in report.rejected(CENTER, receipt.batch_id, world.engine)]
    assert (shown["line"], shown["row"], shown["application"]) == (2, 3, lines[1])
    assert [(error["code"], error["pointer"]) for error in shown["errors"]] == [ALONE]
    labels = {"party": CENTER, "kind": "visa.application", "code": ALONE[0]}
    registry = world.engine.metrics.registry
    assert registry.get_sample_value("gateway_messages_rejected_total", labels) == 1


async def test_a_mahram_whose_own_line_is_rejected_travels_with_nobody(world: World) -> None:
    lines = party(world, {0: 4, 7: 4, 2: 3})
    lines[4]["mobile"] = "123"
    receipt = await world.submit(lines)
    assert [rejected.line for rejected in receipt.rejected] == [1, 5, 8]


async def test_a_mahram_with_a_live_application_elsewhere_travels_with_nobody(world: World) -> None:
    lines = party(world, {0: 4})
    await world.submit([lines[4]], key="first")
    receipt = await world.submit(lines, key="second")
    assert [(rejected.line, rejected.violations[0].code) for rejected in receipt.rejected] == [
        (1, "mahram_not_in_batch"),
        (5, "duplicate_application"),
    ]


async def test_the_person_of_a_line_rejected_so_may_apply_again_at_once(world: World) -> None:
    lines = party(world, {1: "nobody-here"}, count=2)
    await world.submit(lines, key="first")
    mended = {**lines[1], "mahram": {"reference": "M-1", "relationship": "husband"}}
    mahram = {**world.applications(1, seed=99)[0], "reference": "M-1", "sex": "M"}
    mahram["passport"].pop("mrz", None)
    receipt = await world.submit([mended, mahram], key="second")
    assert receipt.counts == {"total": 2, "accepted": 2}


async def test_a_repetition_gets_the_first_answer_with_the_late_rejections(world: World) -> None:
    lines = party(world, {1: "nobody-here"})
    first, again = await world.submit(lines), await world.submit(lines)
    assert again.replayed
    assert (again.counts, again.rejected) == (first.counts, first.rejected)


async def test_all_or_nothing_counts_a_missing_mahram_as_wrong(world: World) -> None:
    with pytest.raises(AllOrNothing) as refused:
        await world.submit(party(world, {1: "nobody-here"}), mode="all_or_nothing")
    assert [rejected.line for rejected in refused.value.rejected] == [2]
    receipt = await world.submit(party(world, {1: 7}), mode="all_or_nothing")
    assert receipt.counts == {"total": 8, "accepted": 8}


async def test_a_dry_run_says_the_same_and_records_nothing(world: World) -> None:
    lines = party(world, {1: "nobody-here", 0: 7})
    dry = await world.submit(lines, dry_run=True)
    receipt = await world.submit(lines)
    assert (dry.counts, dry.rejected) == (receipt.counts, receipt.rejected)


async def test_the_first_rejected_lines_are_named_also_when_they_are_found_last(world: World) -> None:
    lines = party(world, {0: "nobody-here"}, count=MAX_NAMED + 5)
    for line in lines[2:]:
        line["mobile"] = "123"
    receipt = await world.submit(lines)
    assert receipt.counts["rejected"] == MAX_NAMED + 4
    assert receipt.more_rejected
    assert [rejected.line for rejected in receipt.rejected] == [1, *range(3, MAX_NAMED + 2)]


async def test_who_lost_the_intake_lease_rejects_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = world.engine.ledger
    reject_lines = ledger.reject_lines

    async def late(batch_id: Any, _token: str, *rest: Any, **more: Any) -> None:
        await reject_lines(batch_id, "another's", *rest, **more)

    monkeypatch.setattr(ledger, "reject_lines", late)
    with pytest.raises(LeaseLost):
        await world.submit(party(world, {1: "nobody-here"}))


async def test_nobody_is_asked_where_the_control_set_does_not(world: World) -> None:
    settings = world.engine.settings
    asked = settings.controls.mahram.model_copy(update={"required": False})
    controls = settings.controls.model_copy(update={"mahram": asked})
    changed = settings.model_copy(update={"controls": controls})
    await load_initial(changed, world.engine.ledger, world.clock.today())
    receipt = await world.submit(party(world, {1: "nobody-here"}))
    assert receipt.counts == {"total": 8, "accepted": 8}
