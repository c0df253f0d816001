"""Complaints and violations: referred to the committee, and what it decides.

Who complained about whom is the committee's and the ministry's business. No center is ever told of a
complaint or of what became of it, whatever it is granted: the one that sent it sees its own message, no more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from gateway.flows.authority import all_centers, licensed, own_name, refused
from gateway.flows.desk import Desk
from gateway.flows.flow import Flow, newer
from gateway.message import Body

_CASE: Final = "committee_case"


@dataclass(frozen=True, slots=True)
class _Matter:
    """What is referred: `id` is that of its record, of the kind that `about` says."""

    about: str
    id: str
    #: Its sender's own name for it.
    name: str
    revision: int
    code: str
    body: Body

    @property
    def licensee(self) -> str:
        return str(self.body["licensee_id"])

    @property
    def case_id(self) -> str:
        """The same for every revision, different for two senders' complaints of one name."""
        digest = hashlib.sha256(f"{self.about}/{self.id}".encode()).hexdigest()
        return f"{self.name[:19]}.{digest[:20]}"


def complaint(body: Body, desk: Desk) -> None:
    """A complaint about any licensee, whoever serves it: to the committee, and to those who care."""
    licensed(desk)
    name = body["complaint_id"]
    matter = _Matter("complaint", own_name(desk, name), name, body["revision"], body["subject"], body)
    newer(desk, "complaint", matter.id, matter.revision)
    _refer(matter, desk)
    desk.publish("complaint.submission", body, about=matter.case_id, without=all_centers(desk))


def violation(body: Body, desk: Desk) -> None:
    """A violation that the ministry found: to the committee; the licensee's centers have to answer it."""
    id = body["violation_id"]
    newer(desk, "violation", id, body["version"])
    _refer(_Matter("violation", id, id, body["version"], body["code"], body), desk)
    desk.publish("violation.recorded", body, about=id, to=desk.centers_of(body["licensee_id"]))


def _refer(matter: _Matter, desk: Desk) -> None:
    agent = matter.body.get("agent_id")
    facts = {
        "licensee": matter.licensee,
        "agent": agent,
        "code": matter.code,
        "at": matter.body["at"],
        "case": matter.case_id,
        "status": "referred",
    }
    desk.put(matter.about, matter.id, facts, version=matter.revision, owner=matter.licensee)
    _open_case(matter, desk)
    referral = {
        "case_id": matter.case_id,
        "revision": matter.revision,
        "about": matter.about,
        "subject_id": matter.name,
        "licensee_id": matter.licensee,
        **({} if agent is None else {"agent_id": agent}),
        "code": matter.code,
        "text": matter.body["text"],
        "at": matter.body["at"],
    }
    desk.publish("committee.referral", referral, about=matter.case_id, without=all_centers(desk))


def _open_case(matter: _Matter, desk: Desk) -> None:
    """The case by the committee's name for it. Its version is the revision that was decided on last."""
    known = desk.books.record(_CASE, matter.case_id)
    facts = {"about": matter.about, "subject": matter.id, "licensee": matter.licensee}
    decided = "0" if known is None else known.version
    desk.put(_CASE, matter.case_id, facts, version=decided, owner=matter.licensee)


def decision(body: Body, desk: Desk) -> None:
    """What the committee decided: for the departments; of a violation, for the licensee's centers too."""
    id = body["case_id"]
    case = desk.fact(_CASE, id)
    if case is None:
        raise refused("record_unknown", "/case_id", status=422)
    newer(desk, _CASE, id, body["revision"])
    ended = {**case, "decision": body["decision"], "code": body.get("code")}
    desk.put(_CASE, id, ended, version=body["revision"], owner=case["licensee"])
    _close(case["about"], case["subject"], body["decision"], desk)
    of_complaint = case["about"] == "complaint"
    desk.publish(
        "committee.decision",
        body,
        about=id,
        to=() if of_complaint else desk.centers_of(case["licensee"]),
        without=all_centers(desk) if of_complaint else (),
    )


def _close(about: str, id: str, status: str, desk: Desk) -> None:
    record = desk.books.record(about, id)
    if record is not None:
        facts = {**record.facts, "status": status}
        desk.put(about, id, facts, version=record.version, owner=record.owner)


FLOWS: Final = (
    Flow("complaint.submission", complaint),
    Flow("violation.recorded", violation),
    Flow("committee.decision", decision),
)
