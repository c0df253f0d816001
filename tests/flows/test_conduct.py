"""Complaints, violations and the committee: who is told, and who never is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.errors import Conflict, Refused
from gateway.message import PartyId
from schemas.kinds import KINDS
from tests.flows.audience import audience, granting, heard, hold_to_their_kinds, parties, subjects
from tests.flows.office import (
    CENTER,
    COMMITTEE,
    LICENSING,
    OTHER_CENTER,
    PILGRIM_SERVICES,
    World,
    example,
    send,
    told,
)

CENTERS = [PartyId(f"sc-0{number}") for number in range(1, 6)]
SYSTEMS = [PartyId(name) for name in ("nic", "passports", "foreign-affairs", "gosi", "dues", "iata", "banks")]


@pytest.fixture(autouse=True)
def whole_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_to_their_kinds(monkeypatch)


async def referral(world: World) -> dict[str, Any]:
    """The latest case that the committee was handed."""
    return (await told(world, COMMITTEE, "committee.referral"))[-1]


async def decide(world: World, **changes: Any) -> None:
    await send(world, COMMITTEE, "committee.decision", **changes)


async def status(world: World, kind: str, id: str) -> str:
    record = await world.engine.ledger.record(kind, id)
    assert record is not None
    return str(record.facts["status"])


# --- complaints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", [LICENSING, PILGRIM_SERVICES, CENTER, OTHER_CENTER])
async def test_a_complaint_reaches_the_committee_and_pilgrim_services_and_nobody_else(
    world: World, sender: PartyId
) -> None:
    """LIC-1001 is complained about: sc-01 serves it, and may send the complaint itself."""
    await send(world, sender, "complaint.submission")
    assert await heard(world, "committee") == ["committee.referral"]
    assert await heard(world, "pilgrim-services") == ["complaint.submission"]
    for party in (LICENSING, *CENTERS, *SYSTEMS):
        assert await heard(world, party) == []


@pytest.mark.parametrize("kind", ["complaint.submission", "committee.referral", "committee.decision"])
async def test_no_center_learns_of_a_complaint_even_where_the_policy_grants_it(
    world: World, kind: str
) -> None:
    for center in CENTERS:
        world = granting(world, center, kind, KINDS[kind].key[0])
    await send(world, LICENSING, "complaint.submission")
    await decide(world, case_id=(await referral(world))["case_id"])
    for center in CENTERS:
        assert await heard(world, center) == []


async def test_a_referral_says_what_the_complaint_said(world: World) -> None:
    await send(world, CENTER, "complaint.submission")
    said, body = await referral(world), example("complaint.submission")
    assert said.pop("case_id")
    assert said == {
        "revision": 1,
        "about": "complaint",
        "subject_id": "CPL-0001",
        "licensee_id": "LIC-1001",
        "code": body["subject"],
        "text": body["text"],
        "at": body["at"],
    }


async def test_a_complaint_about_a_licensee_that_nobody_knows_is_referred_too(world: World) -> None:
    await send(world, OTHER_CENTER, "complaint.submission", licensee_id="LIC-PHANTOM")
    assert (await referral(world))["licensee_id"] == "LIC-PHANTOM"


async def test_a_center_without_a_licence_cannot_send_complaints(world: World) -> None:
    await send(
        world, LICENSING, "service_center.registration",
        center_id="sc-02", version=2, conforms=False, licensees=["LIC-1002"],
    )  # fmt: skip
    with pytest.raises(Refused, match="center_not_licensed"):
        await send(world, OTHER_CENTER, "complaint.submission")
    assert await heard(world, "committee") == []


async def test_a_later_revision_is_the_same_case(world: World) -> None:
    await send(world, CENTER, "complaint.submission")
    await send(world, CENTER, "complaint.submission", revision=2, text="It is in another city.")
    first, second = await told(world, COMMITTEE, "committee.referral")
    assert (first["case_id"], first["revision"]) == (second["case_id"], 1)
    assert (second["revision"], second["text"]) == (2, "It is in another city.")


async def test_an_earlier_revision_changes_nothing(world: World) -> None:
    await send(world, CENTER, "complaint.submission", revision=2)
    with pytest.raises(Conflict, match="stale_version"):
        await send(world, CENTER, "complaint.submission", revision=1)
    assert await heard(world, "committee") == ["committee.referral"]


async def test_two_senders_complaints_of_the_same_name_are_two_cases(world: World) -> None:
    """Nor does the second sender find out that there is a first."""
    for sender in (CENTER, OTHER_CENTER, LICENSING):
        await send(world, sender, "complaint.submission")
    cases = [event["case_id"] for event in await told(world, COMMITTEE, "committee.referral")]
    assert len(set(cases)) == 3
    assert all(re.fullmatch(r"CPL-0001\.[0-9a-f]{20}", case) for case in cases)


async def test_a_case_fits_the_longest_name_of_a_complaint(world: World) -> None:
    await send(world, CENTER, "complaint.submission", complaint_id="C" * 40)
    assert len((await referral(world))["case_id"]) == 40


async def test_the_record_holds_nothing_that_a_pilgrim_said(world: World) -> None:
    await send(world, CENTER, "complaint.submission")
    record = await world.engine.ledger.record("complaint", "sc-01/CPL-0001")
    assert record is not None
    assert record.facts == {
        "licensee": "LIC-1001",
        "agent": None,
        "code": "housing",
        "at": "2026-07-05T10:00:00+03:00",
        "case": (await referral(world))["case_id"],
        "status": "referred",
    }


# --- violations ---------------------------------------------------------------------------------------


async def test_a_violation_reaches_the_committee_and_the_licensees_own_center(world: World) -> None:
    await send(world, LICENSING, "violation.recorded")
    assert await audience(world, "committee.referral") == parties("committee")
    assert await audience(world, "violation.recorded") == parties("sc-01")
    said = await referral(world)
    assert (said["about"], said["subject_id"], said["agent_id"]) == ("violation", "VIO-0001", "AGT-2001")
    assert said["text"] == example("violation.recorded")["text"]


async def test_the_center_is_told_which_rule_was_broken_and_not_what_was_seen(world: World) -> None:
    await send(world, LICENSING, "violation.recorded")
    assert await told(world, CENTER) == [
        {
            "violation_id": "VIO-0001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "code": "package_not_kept",
            "at": "2026-07-03T16:30:00+03:00",
        }
    ]


async def test_a_version_of_a_violation_that_is_not_newer_changes_nothing(world: World) -> None:
    await send(world, LICENSING, "violation.recorded", version=2)
    with pytest.raises(Conflict, match="stale_version"):
        await send(world, PILGRIM_SERVICES, "violation.recorded", version=2)
    assert await heard(world, "committee") == ["committee.referral"]


async def test_a_center_records_no_violations(world: World) -> None:
    with pytest.raises(Refused, match="not_your_message"):
        await send(world, CENTER, "violation.recorded")


# --- decisions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["upheld", "dismissed", "not_competent", "duplicate_case"])
async def test_a_decision_on_a_complaint_is_for_the_departments_only(world: World, verdict: str) -> None:
    await send(world, CENTER, "complaint.submission")
    await decide(world, case_id=(await referral(world))["case_id"], decision=verdict)
    assert await audience(world, "committee.decision") == parties("licensing", "pilgrim-services")
    assert await heard(world, "sc-01") == []
    assert (await told(world, PILGRIM_SERVICES, "committee.decision"))[0]["decision"] == verdict
    assert await status(world, "complaint", "sc-01/CPL-0001") == verdict


@pytest.mark.parametrize("verdict", ["upheld", "dismissed", "not_competent", "duplicate_case"])
async def test_of_a_decision_on_a_violation_the_licensees_center_learns_how_it_ended(
    world: World, verdict: str
) -> None:
    await send(world, LICENSING, "violation.recorded")
    case = (await referral(world))["case_id"]
    await decide(world, case_id=case, decision=verdict)
    assert await audience(world, "committee.decision") == parties("licensing", "pilgrim-services", "sc-01")
    assert await told(world, CENTER, "committee.decision") == [
        {"case_id": case, "revision": 1, "decision": verdict}
    ]
    assert await status(world, "violation", "VIO-0001") == verdict


async def test_a_decision_is_about_its_case_and_names_nobody_who_complained(world: World) -> None:
    await send(world, OTHER_CENTER, "complaint.submission")
    complaint = (await referral(world))["case_id"]
    await decide(world, case_id=complaint)
    await send(world, LICENSING, "violation.recorded")
    violation = (await referral(world))["case_id"]
    await decide(world, case_id=violation)
    assert await subjects(world, "pilgrim-services", "complaint.submission") == [complaint]
    assert await subjects(world, "pilgrim-services", "committee.decision") == [complaint, violation]
    assert await subjects(world, "sc-01", "committee.decision") == [violation]


async def test_a_decision_on_a_case_that_was_never_referred_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="record_unknown") as caught:
        await decide(world, case_id="REF-9999")
    assert [fault.pointer for fault in caught.value.violations] == ["/case_id"]
    assert await audience(world, "committee.decision") == set()


async def test_a_decision_that_is_not_newer_changes_nothing(world: World) -> None:
    await send(world, CENTER, "complaint.submission")
    case = (await referral(world))["case_id"]
    await decide(world, case_id=case, revision=2, decision="upheld")
    with pytest.raises(Conflict, match="stale_version"):
        await decide(world, case_id=case, revision=1, decision="dismissed")
    assert await status(world, "complaint", "sc-01/CPL-0001") == "upheld"
    assert await heard(world, "licensing") == ["committee.decision"]


async def test_a_revised_complaint_is_open_again_and_is_decided_anew(world: World) -> None:
    await send(world, CENTER, "complaint.submission")
    case = (await referral(world))["case_id"]
    await decide(world, case_id=case, revision=1, decision="dismissed")
    await send(world, CENTER, "complaint.submission", revision=2)
    assert await status(world, "complaint", "sc-01/CPL-0001") == "referred"
    await decide(world, case_id=case, revision=2, decision="upheld")
    assert await status(world, "complaint", "sc-01/CPL-0001") == "upheld"


async def test_a_decision_that_was_overtaken_stays_so_when_the_complaint_is_revised(world: World) -> None:
    await send(world, CENTER, "complaint.submission")
    case = (await referral(world))["case_id"]
    await decide(world, case_id=case, revision=2)
    await send(world, CENTER, "complaint.submission", revision=3)
    with pytest.raises(Conflict, match="stale_version"):
        await decide(world, case_id=case, revision=1)


@pytest.mark.parametrize("sender", [CENTER, LICENSING])
async def test_only_the_committee_decides(world: World, sender: PartyId) -> None:
    with pytest.raises(Refused, match="not_your_message"):
        await send(world, sender, "committee.decision")
