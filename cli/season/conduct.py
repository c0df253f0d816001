"""Part two: pilgrims are cared for, and whoever breaks the rules is called to account."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cli.season.applications import people
from cli.season.cast import Licensee
from cli.season.pace import WEEK, at, rest
from cli.season.readiness import ENOUGH, TIGHT_LICENSEES, plan
from cli.season.stage import PARTS, Season


async def care(season: Season) -> None:
    """Cases, complaints, compliance: from centers and from the ministry."""
    licensee = season.working[2]
    visa = next((one.visa for one in season.pilgrims.values() if one.licensee is licensee), None)
    await _cases(season, licensee, visa)
    await _visits(season, licensee, visa)
    await _complaints(season, licensee, visa)


async def _cases(season: Season, licensee: Licensee, visa: str | None) -> None:
    center, ministry = season.center(licensee), season.players.pilgrim_services
    for number, (kind, sender) in enumerate(
        (
            ("lost", center),
            ("health", center),
            ("transport", center),
            ("lost", ministry),
            ("health", ministry),
        )
    ):
        answer = await sender.send(
            "case.report",
            case_id=f"CASE-{number}", revision=1, type=kind, licensee_id=licensee.id, visa_number=visa,
            at=at(season.today, 9), place="Haram, gate 79",
            description="Found by a guide, taken care of.", status="open",
        )  # fmt: skip
        season.note(f"case {kind}", answer.body["message_id"])


async def _visits(season: Season, licensee: Licensee, visa: str | None) -> None:
    """Compliance with the package, as the center and as the ministry's inspectors find it."""
    report: dict[str, Any] = {
        "revision": 1, "licensee_id": licensee.id, "package_id": licensee.package,
        "visited_at": at(season.today, 9), "group_number": licensee.group,
        "findings": [{"item": "housing", "complies": True}, {"item": "transport", "complies": False}],
        "visa_numbers": [visa] if visa else None,
    }  # fmt: skip
    await season.center(licensee).send("compliance.report", report_id="CMP-1", **report)
    await season.players.licensing.send("inspection.report", report_id="INS-1", **report)


async def _complaints(season: Season, licensee: Licensee, visa: str | None) -> None:
    complaint: dict[str, Any] = {
        "revision": 1, "licensee_id": licensee.id, "visa_number": visa, "subject": "housing",
        "text": "The rooms were not as agreed.", "at": at(season.today, 9),
    }  # fmt: skip
    await season.center(licensee).send("complaint.submission", complaint_id="CPL-1", **complaint)
    await season.players.pilgrim_services.send("complaint.submission", complaint_id="CPL-2", **complaint)


async def discipline(season: Season) -> None:
    """A violation goes to the committee; its decision leads to a suspension that closes the gate at once."""
    licensee = _culprit(season)
    await _accuse(season, licensee)
    await _judge(season)
    await _suspend(season, licensee)
    answer = await season.center(licensee).submit(*people(season, licensee, 1, seed=8))
    season.saw("a suspended licensee is refused", answer.code == "licensee_inactive")
    for part in PARTS:  # its plan is raised all the same: what waited must go on waiting
        await plan(season, licensee, part, ENOUGH, revision=2)
    await rest(season)


def _culprit(season: Season) -> Licensee:
    """One whose applications still wait for its plan when it is suspended."""
    return season.numbered(TIGHT_LICENSEES[1])


async def _accuse(season: Season, licensee: Licensee) -> None:
    licensing = season.players.licensing
    await licensing.send(
        "violation.recorded",
        violation_id="VIO-1", version=1, licensee_id=licensee.id, code="housing_not_provided",
        text="Pilgrims were left without housing.", at=at(season.today, 9),
    )  # fmt: skip
    await licensing.send(
        "investigation.opened",
        investigation_id="INV-1", version=1, licensee_id=licensee.id, documents_due=["Housing contracts"],
        due_date=(season.today + WEEK).isoformat(), grounds="Complaints of several groups.",
    )  # fmt: skip


async def _judge(season: Season) -> None:
    """The committee decides every case that it was referred."""
    committee = season.players.committee
    for event in await committee.notifications():
        if event["kind"] == "committee.referral":
            case, about = event["data"]["case_id"], event["data"]["about"]
            decision = "upheld" if about == "violation" else "dismissed"
            await committee.send("committee.decision", case_id=case, revision=1, decision=decision)


async def _suspend(season: Season, licensee: Licensee) -> None:
    await season.players.licensing.send(
        "penalty.issued",
        penalty_id="PEN-1", version=1, licensee_id=licensee.id, type="suspension",
        from_date=season.today.isoformat(), grounds="Decision of the committee.",
    )  # fmt: skip
    season.suspended[licensee.id] = datetime.now().astimezone()
