"""What operators are told of a decision: how the records stood then, whatever they say now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger.books import Books
from gateway.message import BatchFacts
from gateway.pipeline import views
from gateway.pipeline.explain import EXPLAINED, Decision, explain
from gateway.policies import gate
from tests.flows.office import CENTER, LICENSING, World, open_office, send

FACTS = BatchFacts("REF", "LIC-1001", "AGT-2001", "MSN-IDN-JKT", 1448, "PKG-1", "GRP-1")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    opened = await open_office(tmp_path)
    yield opened
    await opened.engine.ledger.close()


async def put(world: World, kind: str, id: str, facts: Mapping[str, Any], version: str = "7") -> int:
    """A record made by a message; how far the records have come with it."""

    def write(books: Books) -> int:
        owner = str(facts.get("licensee", ""))
        return books.put(kind, id, facts, version=version, owner=owner, message_id="01m").seq

    return await world.engine.ledger.work(write)


async def told(world: World, code: str, at: int, facts: BatchFacts = FACTS) -> list[str]:
    return await explain(Decision(code, CENTER, facts, at), world.engine.ledger)


async def test_a_held_application_names_the_suspension_it_is_held_under(world: World) -> None:
    row = await world.only(await world.submit(1))
    suspension = await send(
        world, LICENSING, "licensee.status", licensee_id=row.facts.licensee, version=5, status="suspended"
    )
    await world.carry_until_rest()
    shown = await views.show(row.id, world.engine)
    assert shown["state"] == "held"
    sentence = (
        f"licensee {row.facts.licensee} stood as suspended (version 5, message {suspension.message_id})"
    )
    assert shown["decided_under"] == [sentence]
    why = await views.why(row.id, world.engine)
    assert why["why"].endswith(f"; {sentence}")
    assert "\n" not in why["why"]


async def test_what_changed_later_does_not_change_what_was_decided_under(world: World) -> None:
    before = await put(world, "licensee", "LIC-1001", {"status": "suspended"}, "5")
    await put(world, "licensee", "LIC-1001", {"status": "active"}, "6")
    assert await told(world, "licensee_inactive", before) == [
        "licensee LIC-1001 stood as suspended (version 5, message 01m)"
    ]


async def test_a_record_of_the_configuration_says_so(world: World) -> None:
    (sentence,) = await told(world, "mission_closed", 10**6)
    assert sentence.startswith("mission MSN-IDN-JKT stood as open (version ")
    assert sentence.endswith(", from the configuration)")


async def test_what_was_not_known_is_said_to_be_unknown(world: World) -> None:
    assert await told(world, "licensee_unknown", 0) == ["licensee LIC-1001 was not known"]


CASES: list[tuple[str, str, str, dict[str, Any], str]] = [
    ("center_not_licensed", "service_center", "sc-01", {"status": "active", "licensees": ["LIC-2"]},
     "service center sc-01 stood as active, not serving LIC-1001"),
    ("agent_not_served", "service_center", "sc-01",
     {"status": "active", "licensees": ["LIC-1001"], "agents": ["AGT-1", "AGT-2"]},
     "service center sc-01 stood as registered for the agents AGT-1, AGT-2"),
    ("licensee_not_activated", "activation", "LIC-1001/1448", {"active": False, "valid_until": None},
     "the activation of LIC-1001/1448 stood as not active"),
    ("licensee_not_activated", "activation", "LIC-1001/1448", {"active": True, "valid_until": "2026-12-01"},
     "the activation of LIC-1001/1448 stood as active until 2026-12-01"),
    ("agent_contract_invalid", "agent", "AGT-2001",
     {"status": "active", "licensees": ["LIC-1001"], "contract_until": "2026-01-31"},
     "agent AGT-2001 stood as active, serving LIC-1001, contract until 2026-01-31"),
    ("package_not_approved", "package", "PKG-1", {"status": "submitted", "licensee": "LIC-1001"},
     "package PKG-1 stood as submitted, of LIC-1001"),
    ("group_of_another_licensee", "group", "GRP-1", {"licensee": "LIC-9"},
     "group GRP-1 was registered to LIC-9"),
    ("overstay_limit", "overstay_standing", "agent/AGT-2001", {"over": True},
     "the overstays of agent/AGT-2001 stood over the limit"),
    ("overstay_limit", "overstay_standing", "licensee/LIC-1001", {"over": False},
     "the overstays of licensee/LIC-1001 stood within the limit"),
    ("window_closed", "controls", "current",
     {"request_windows": [{"opens": "2026-01-01", "closes": "2026-02-01"}]},
     "the control set had the request windows 2026-01-01 to 2026-02-01"),
    ("month_unplanned", "controls", "current", {"unplanned_months": "closed"},
     "the control set said unplanned_months: closed"),
    ("plan_exceeded", "plan", "PLN-1", {"licensee": "LIC-1001", "part": 2, "status": "approved"},
     "plan PLN-1 (part 2) stood as approved"),
    ("mission_capacity", "mission_capacity", "MSN-IDN-JKT",
     {"windows": [{"opens": "2026-11-22", "closes": "2026-11-22", "ceiling": 40}]},
     "the capacity of mission MSN-IDN-JKT had the windows 2026-11-22 to 2026-11-22 for 40"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "kind", "id", "facts", "said"), CASES)
async def test_each_code_has_its_sentence(
    world: World, code: str, kind: str, id: str, facts: dict[str, Any], said: str
) -> None:
    at = await put(world, kind, id, facts)
    assert f"{said} (version 7, message 01m)" in await told(world, code, at)


def test_every_code_of_the_gate_is_explained() -> None:
    source = Path(gate.__file__).read_text() + (Path(gate.__file__).parents[1] / "flows/visas.py").read_text()
    returned = {word for word in _quoted(source) if word in _codes()}
    assert returned
    assert returned <= EXPLAINED


def _quoted(source: str) -> set[str]:
    return set(source.split('"')[1::2])


def _codes() -> set[str]:
    """Of the section `gate` of the error codes, and those that intake shares with it."""
    text = (Path(__file__).parents[2] / "schemas" / "error_codes.yaml").read_text(encoding="utf-8")
    return {
        line.strip().rstrip(":") for line in text.splitlines() if line.startswith("  ") and line[2] != " "
    }


async def test_a_code_that_no_record_decides_has_no_sentence(world: World) -> None:
    assert await told(world, "refused", 10**6) == []


async def test_a_message_that_only_had_to_be_taken_says_what_it_led_to(world: World) -> None:
    taken = await send(world, LICENSING, "licensee.status")
    shown = await views.show(taken.message_id, world.engine)
    made = shown["led_to"]["records"]
    assert {"kind": "licensee", "id": "LIC-1001", "version": made[0]["version"]} in made
    assert {(event["kind"], event["receiver"]) for event in shown["led_to"]["events"]} == {
        ("licensee.status", "sc-01")
    }
    assert set(shown["led_to"]["events"][0]) == {"kind", "receiver", "cursor"}
    why = (await views.why(taken.message_id, world.engine))["why"]
    assert "it made licensee LIC-1001 version" in why
    assert "told sc-01 of licensee.status" in why


async def test_an_issued_application_says_nothing_of_what_it_led_to(world: World) -> None:
    row = await world.only(await world.submit(1))
    await world.carry_until_rest()
    shown = await views.show(row.id, world.engine)
    assert (shown["led_to"], shown["decided_under"]) == ({}, [])
    assert shown["why"] == "nothing: it ended as issued"
