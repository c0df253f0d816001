"""Compliance with service packages, and cases of pilgrims."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Conflict, Refused
from gateway.message import PartyId
from tests.flows.audience import audience, granting, hold_to_their_kinds, parties, subjects, without
from tests.flows.office import CENTER, LICENSING, OTHER_CENTER, PILGRIM_SERVICES, World, example, send, told

DEPARTMENTS = parties("licensing", "pilgrim-services")
ISSUED = "6000000001"


@pytest.fixture(autouse=True)
def whole_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_to_their_kinds(monkeypatch)


async def report(world: World, **changes: Any) -> dict[str, Any]:
    """A center's report, as the department of licensing is told of it."""
    await send(world, CENTER, "compliance.report", **changes)
    return (await told(world, LICENSING, "compliance.report"))[-1]


async def issue_a_visa(world: World) -> None:
    await world.submit(1)
    await world.carry_until_rest()


# --- compliance and inspections -----------------------------------------------------------------------


async def test_both_departments_are_told_of_a_report_and_nobody_else(world: World) -> None:
    await send(world, CENTER, "compliance.report")
    assert await audience(world, "compliance.report") == DEPARTMENTS


async def test_an_inspection_is_told_to_the_departments_and_to_no_center(world: World) -> None:
    await send(world, PILGRIM_SERVICES, "inspection.report")
    assert await audience(world, "inspection.report") == DEPARTMENTS
    assert (await told(world, LICENSING, "inspection.report"))[0]["package_known"] is True


async def test_only_the_department_for_pilgrims_sees_their_visa_numbers(world: World) -> None:
    await send(world, CENTER, "compliance.report")
    assert (await told(world, PILGRIM_SERVICES))[0]["visa_numbers"] == example("compliance.report")[
        "visa_numbers"
    ]
    assert without(["visa_numbers"], await told(world, LICENSING))


async def test_pilgrims_are_counted_by_the_visas_that_are_known(world: World) -> None:
    await issue_a_visa(world)
    event = await report(world, visa_numbers=[ISSUED, "6099999999"])
    assert event["pilgrims_matched"] == 1


async def test_another_licensees_pilgrims_are_not_counted(world: World) -> None:
    await issue_a_visa(world)  # LIC-1001's
    event = await report(
        world, licensee_id="LIC-1006", package_id=None, group_number=None, visa_numbers=[ISSUED]
    )
    assert event["pilgrims_matched"] == 0


@pytest.mark.parametrize(
    ("licensee", "package", "known"),
    [
        ("LIC-1001", "PKG-3001", True),
        ("LIC-1001", "PKG-9999", False),  # unknown
        ("LIC-1001", "PKG-3006", False),  # another's
        ("LIC-1008", "PKG-3008", False),  # not approved yet
    ],
)
async def test_a_package_is_known_when_it_is_the_licensees_own_and_approved(
    world: World, licensee: str, package: str, known: bool
) -> None:
    await send(
        world, LICENSING, "inspection.report",
        licensee_id=licensee, package_id=package, group_number=None,
    )  # fmt: skip
    assert (await told(world, LICENSING))[0]["package_known"] is known


async def test_of_what_a_report_does_not_name_nothing_is_said(world: World) -> None:
    event = await report(world, package_id=None, visa_numbers=None)
    assert without(["package_known", "pilgrims_matched"], [event])


async def test_a_sender_cannot_say_itself_that_its_report_matches(world: World) -> None:
    with pytest.raises(Refused, match="message_invalid"):
        await send(world, CENTER, "compliance.report", pilgrims_matched=500)


async def test_a_center_reports_on_the_licensees_that_it_serves_only(world: World) -> None:
    with pytest.raises(Refused, match="center_not_licensed") as caught:
        await send(world, OTHER_CENTER, "compliance.report", group_number=None)
    assert [fault.pointer for fault in caught.value.violations] == ["/licensee_id"]
    assert caught.value.status == 403
    assert await audience(world, "compliance.report") == set()


async def test_a_center_cannot_report_on_a_group_of_another_licensee(world: World) -> None:
    with pytest.raises(Refused, match="group_of_another_licensee") as caught:
        await send(world, CENTER, "compliance.report", group_number="GRP-4002")
    assert [fault.pointer for fault in caught.value.violations] == ["/group_number"]


async def test_an_inspector_may_name_any_group(world: World) -> None:
    await send(world, LICENSING, "inspection.report", group_number="GRP-4002")
    assert (await told(world, LICENSING))[0]["group_number"] == "GRP-4002"


async def test_the_report_of_one_center_never_replaces_anothers_of_the_same_name(world: World) -> None:
    await send(world, CENTER, "compliance.report", revision=2)
    await send(
        world, OTHER_CENTER, "compliance.report",
        licensee_id="LIC-1002", package_id=None, group_number=None, revision=1,
    )  # fmt: skip
    assert await subjects(world, "licensing", "compliance.report") == ["sc-01/CMP-0001", "sc-02/CMP-0001"]


async def test_an_older_revision_of_a_report_changes_nothing(world: World) -> None:
    await send(world, CENTER, "compliance.report", revision=2)
    with pytest.raises(Conflict, match="stale_version"):
        await send(world, CENTER, "compliance.report", revision=1)
    assert len(await told(world, LICENSING, "compliance.report")) == 1


async def test_no_visa_number_and_nothing_that_was_seen_stands_in_the_record(world: World) -> None:
    await send(world, CENTER, "compliance.report")
    record = await world.engine.ledger.record("visit", "sc-01/CMP-0001")
    assert record is not None
    assert record.facts == {
        "kind": "compliance.report",
        "licensee": "LIC-1001",
        "package": "PKG-3001",
        "group": "GRP-4001",
        "visited_at": "2026-07-03T16:30:00+03:00",
        "failed": 1,
        "package_known": True,
        "pilgrims_matched": 0,
    }


# --- cases of pilgrims --------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["lost", "health", "transport"])
@pytest.mark.parametrize("sender", [CENTER, LICENSING, PILGRIM_SERVICES])
async def test_a_case_reaches_pilgrim_services_alone_as_secret(
    world: World, type: str, sender: PartyId
) -> None:
    await send(world, sender, "case.report", type=type)
    assert await audience(world, "case.report") == parties("pilgrim-services")
    assert (await told(world, PILGRIM_SERVICES))[0]["description"] == example("case.report")["description"]
    (event,) = await world.engine.ledger.events(PILGRIM_SERVICES, after=0, limit=10)
    assert event.classification == "secret"


async def test_no_center_is_told_of_a_case_even_where_the_policy_grants_it(world: World) -> None:
    careless = granting(world, "sc-01", "case.report", "case_id", "status")
    await send(careless, LICENSING, "case.report")
    assert await audience(careless, "case.report") == parties("pilgrim-services")


async def test_the_record_of_a_case_does_not_say_what_kind_of_help_is_needed(world: World) -> None:
    await send(world, CENTER, "case.report", type="health")
    record = await world.engine.ledger.record("case", "sc-01/CASE-0001")
    assert record is not None
    assert record.facts == {"licensee": "LIC-1001", "status": "open"}


async def test_a_center_may_report_a_pilgrim_whose_licensee_it_does_not_know(world: World) -> None:
    await send(world, OTHER_CENTER, "case.report", licensee_id=None)
    assert len(await told(world, PILGRIM_SERVICES, "case.report")) == 1


async def test_a_center_cannot_report_a_case_for_a_licensee_of_another_center(world: World) -> None:
    with pytest.raises(Refused, match="center_not_licensed"):
        await send(world, OTHER_CENTER, "case.report")
    assert await audience(world, "case.report") == set()


async def test_a_center_that_lost_its_licence_reports_no_case_at_all(world: World) -> None:
    await send(
        world, LICENSING, "service_center.registration",
        center_id="sc-02", version=2, status="suspended", licensees=["LIC-1002"],
    )  # fmt: skip
    with pytest.raises(Refused, match="center_not_licensed"):
        await send(world, OTHER_CENTER, "case.report", licensee_id=None)


async def test_a_case_is_closed_by_a_later_revision_and_by_no_earlier_one(world: World) -> None:
    await send(world, CENTER, "case.report", revision=2, status="closed")
    with pytest.raises(Conflict, match="stale_version"):
        await send(world, CENTER, "case.report", revision=1)
    record = await world.engine.ledger.record("case", "sc-01/CASE-0001")
    assert record is not None
    assert record.facts["status"] == "closed"
