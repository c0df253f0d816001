"""How licensees and their agents act: inspections, cases, complaints, violations, decisions, penalties."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.kinds.kind import CENTER, COMMITTEE, MINISTRY, NOBODY, KindSchema
from schemas.kinds.record import (
    PUBLIC,
    RESTRICTED,
    SECRET,
    Amount,
    Code,
    Count,
    Day,
    DecidedRevision,
    Id,
    LongText,
    Moment,
    Prose,
    Record,
    Revision,
    ShortText,
    Version,
    VisaNumber,
)
from schemas.kinds.rules import distinct, exactly_one, in_order, needed_when


class Finding(Record):
    """One thing that was looked at."""

    item: Annotated[ShortText, PUBLIC, Field(description="What was looked at.")]
    complies: Annotated[bool, PUBLIC, Field(description="Whether it is as the package promises.")]
    note: Annotated[LongText | None, RESTRICTED, Field(description="What was seen.")] = None


class VisitReport(Record):
    """How far a licensee keeps to its service package."""

    report_id: Annotated[Id, PUBLIC, Field(description="The sender's name for the report.")]
    revision: Revision
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    package_id: Annotated[Id | None, PUBLIC, Field(description="The service package.")] = None
    group_number: Annotated[Id | None, PUBLIC, Field(description="The group.")] = None
    visited_at: Annotated[Moment, PUBLIC, Field(description="When it was looked at.")]
    findings: Annotated[list[Finding], Field(min_length=1, max_length=200, description="What was found.")]
    visa_numbers: Annotated[
        list[VisaNumber] | None,
        Field(min_length=1, max_length=1000, description="The pilgrims concerned, by visa."),
        RESTRICTED,
    ] = None


class MatchedVisitReport(VisitReport):
    """A report as the departments get it: with what the gateway's own records say of it."""

    package_known: Annotated[
        bool | None, PUBLIC, Field(description="Whether the package named is this licensee's, and approved.")
    ] = None
    pilgrims_matched: Annotated[
        Count | None,
        PUBLIC,
        Field(description="How many of the visas named are of this licensee's pilgrims."),
    ] = None


class CaseReport(Record):
    """A pilgrim needs help."""

    case_id: Annotated[Id, PUBLIC, Field(description="The case.")]
    revision: Revision
    type: Annotated[
        Literal["lost", "health", "transport"], RESTRICTED, Field(description="What kind of help is needed.")
    ]
    licensee_id: Annotated[Id | None, PUBLIC, Field(description="The pilgrim's licensee.")] = None
    visa_number: Annotated[VisaNumber | None, RESTRICTED, Field(description="The pilgrim's visa.")] = None
    at: Annotated[Moment, RESTRICTED, Field(description="When.")]
    place: Annotated[LongText | None, RESTRICTED, Field(description="Where.")] = None
    description: Annotated[
        Prose, SECRET, Field(description="What happened. Secret for every type: it may speak of health.")
    ]
    status: Annotated[Literal["open", "closed"], PUBLIC, Field(description="Whether help is still needed.")]


class ComplaintSubmission(Record):
    """A pilgrim complains about a licensee."""

    complaint_id: Annotated[Id, PUBLIC, Field(description="The complaint.")]
    revision: Revision
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee complained about.")]
    visa_number: Annotated[VisaNumber | None, RESTRICTED, Field(description="The pilgrim's visa.")] = None
    subject: Annotated[Code, PUBLIC, Field(description="What it is about, as a code such as `housing`.")]
    text: Annotated[Prose, RESTRICTED, Field(description="The complaint.")]
    at: Annotated[Moment, PUBLIC, Field(description="When it was made.")]


class ViolationRecorded(Record):
    """The ministry found that a rule was broken."""

    violation_id: Annotated[Id, PUBLIC, Field(description="The violation.")]
    version: Version
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    agent_id: Annotated[Id | None, PUBLIC, Field(description="The agent abroad.")] = None
    code: Annotated[Code, PUBLIC, Field(description="Which rule.")]
    text: Annotated[Prose, RESTRICTED, Field(description="What happened.")]
    at: Annotated[Moment, PUBLIC, Field(description="When.")]


class CommitteeReferral(Record):
    """A complaint or violation, for the committee to decide."""

    case_id: Annotated[Id, PUBLIC, Field(description="The case.")]
    revision: Revision
    about: Annotated[Literal["complaint", "violation"], PUBLIC, Field(description="What is referred.")]
    subject_id: Annotated[Id, PUBLIC, Field(description="The complaint or violation.")]
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    agent_id: Annotated[Id | None, PUBLIC, Field(description="The agent abroad.")] = None
    code: Annotated[Code, PUBLIC, Field(description="The complaint's subject or the rule broken.")]
    text: Annotated[Prose, RESTRICTED, Field(description="The complaint, or what happened.")]
    at: Annotated[Moment, PUBLIC, Field(description="When.")]


class CommitteeDecision(Record):
    """What the committee decided."""

    case_id: Annotated[Id, PUBLIC, Field(description="The case that was referred.")]
    revision: DecidedRevision
    decision: Annotated[
        Literal["upheld", "dismissed", "not_competent", "duplicate_case"],
        PUBLIC,
        Field(description="Right, wrong, for somebody else to decide, or known already under another case."),
    ]
    code: Annotated[Code | None, PUBLIC, Field(description="The ground of the decision.")] = None
    text: Annotated[Prose | None, RESTRICTED, Field(description="The decision in words.")] = None


class InvestigationOpened(Record):
    """A licensee or agent is investigated."""

    investigation_id: Annotated[Id, PUBLIC, Field(description="The investigation.")]
    version: Version
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    agent_id: Annotated[Id | None, PUBLIC, Field(description="The agent abroad.")] = None
    documents_due: Annotated[
        list[LongText], Field(min_length=1, max_length=50, description="What must be handed in."), RESTRICTED
    ]
    due_date: Annotated[Day, PUBLIC, Field(description="Last day to hand it in.")]
    grounds: Annotated[Prose, SECRET, Field(description="Why. No service center is told.")]


class PenaltyIssued(Record):
    """A penalty on a licensee or on an agent."""

    penalty_id: Annotated[Id, PUBLIC, Field(description="The penalty.")]
    version: Version
    licensee_id: Annotated[Id | None, PUBLIC, Field(description="The licensee it is on.")] = None
    agent_id: Annotated[Id | None, PUBLIC, Field(description="The agent it is on.")] = None
    type: Annotated[
        Literal["warning", "fine", "suspension", "revocation"],
        PUBLIC,
        Field(description="A suspension or revocation closes the way for visas at once."),
    ]
    from_date: Annotated[Day, PUBLIC, Field(description="First day.")]
    until_date: Annotated[Day | None, PUBLIC, Field(description="Last day; without it, no end is set.")] = (
        None
    )
    amount: Annotated[Amount | None, RESTRICTED, Field(description="Of a fine, in riyals.")] = None
    grounds: Annotated[Prose, RESTRICTED, Field(description="Why.")]


class UnauthorisedActivity(Record):
    """Someone tried to act for a licensee, agent or group that isn't theirs."""

    event_id: Annotated[Id, PUBLIC, Field(description="The gateway's name for the event.")]
    center_id: Annotated[Id, PUBLIC, Field(description="The service center that submitted.")]
    licensee_id: Annotated[Id | None, PUBLIC, Field(description="The licensee named.")] = None
    agent_id: Annotated[Id | None, PUBLIC, Field(description="The agent named.")] = None
    group_number: Annotated[Id | None, PUBLIC, Field(description="The group named.")] = None
    code: Annotated[Code, PUBLIC, Field(description="Why it was refused: an error code.")]
    at: Annotated[Moment, PUBLIC, Field(description="When.")]


_VISIT: Final = {
    "report_id": "CMP-0001",
    "revision": 1,
    "licensee_id": "LIC-1001",
    "package_id": "PKG-3001",
    "group_number": "GRP-4001",
    "visited_at": "2026-07-03T16:30:00+03:00",
    "findings": [
        {"item": "Housing in Makkah", "complies": True},
        {"item": "Coaches", "complies": False, "note": "Two coaches fewer than promised"},
    ],
    "visa_numbers": ["6012345678", "6012345679"],
}

KINDS: Final = (
    KindSchema(
        kind="compliance.report",
        model=VisitReport,
        title_en="Compliance with a service package",
        title_ar="تقرير التقيد بحزمة الخدمات",
        summary_en="A center reports how a licensee keeps to its service package.",
        key=("report_id", "revision"),
        senders=CENTER,
        receivers=MINISTRY,
        goes_to="The ministry, matched to package and pilgrims.",
        example=_VISIT,
        rules=(distinct("visa_numbers"),),
        published=MatchedVisitReport,
    ),
    KindSchema(
        kind="inspection.report",
        model=VisitReport,
        title_en="Inspection",
        title_ar="تقرير رقابة ميدانية",
        summary_en="The ministry's inspectors report what they found in the field.",
        key=("report_id", "revision"),
        senders=MINISTRY,
        receivers=MINISTRY,
        goes_to="The gateway's record, matched to package and pilgrims; other departments of the ministry.",
        example={**_VISIT, "report_id": "INS-0001"},
        rules=(distinct("visa_numbers"),),
        published=MatchedVisitReport,
    ),
    KindSchema(
        kind="case.report",
        model=CaseReport,
        title_en="Case of a pilgrim",
        title_ar="حالة معتمر",
        summary_en="A pilgrim is lost, ill, or stranded on the way. Sent by the ministry, it is not shown to "
        "any center.",
        key=("case_id", "revision"),
        senders=CENTER | MINISTRY,
        receivers=MINISTRY,
        goes_to="The ministry's department of pilgrim services.",
        example={
            "case_id": "CASE-0001",
            "revision": 1,
            "type": "lost",
            "licensee_id": "LIC-1001",
            "visa_number": "6012345678",
            "at": "2026-07-04T21:05:00+03:00",
            "place": "Makkah, near the Ajyad gate",
            "description": "Was separated from the group after the evening prayer.",
            "status": "open",
        },
    ),
    KindSchema(
        kind="complaint.submission",
        model=ComplaintSubmission,
        title_en="Complaint",
        title_ar="شكوى معتمر",
        summary_en="A pilgrim's complaint. The center of the licensee complained about never learns of it "
        "from the gateway, unless it sent it itself.",
        key=("complaint_id", "revision"),
        senders=CENTER | MINISTRY,
        receivers=COMMITTEE | MINISTRY,
        goes_to="The ministry, and the Committee on Pilgrims' Complaints as `committee.referral`.",
        example={
            "complaint_id": "CPL-0001",
            "revision": 1,
            "licensee_id": "LIC-1001",
            "visa_number": "6012345678",
            "subject": "housing",
            "text": "The house is further from the mosque than the package says.",
            "at": "2026-07-05T10:00:00+03:00",
        },
    ),
    KindSchema(
        kind="violation.recorded",
        model=ViolationRecorded,
        title_en="Violation",
        title_ar="مخالفة مرصودة",
        summary_en="The ministry records that a licensee or agent broke a rule.",
        key=("violation_id", "version"),
        senders=MINISTRY,
        receivers=CENTER | COMMITTEE,
        goes_to="The Committee on Pilgrims' Complaints, as `committee.referral`; the service centers that "
        "serve the licensee are notified.",
        example={
            "violation_id": "VIO-0001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "agent_id": "AGT-2001",
            "code": "package_not_kept",
            "text": "Two of three promised coaches were missing.",
            "at": "2026-07-03T16:30:00+03:00",
        },
    ),
    KindSchema(
        kind="committee.referral",
        model=CommitteeReferral,
        title_en="Referral to the committee",
        title_ar="إحالة إلى اللجنة",
        summary_en="The gateway refers a complaint or violation to the committee.",
        key=("case_id", "revision"),
        senders=NOBODY,
        receivers=COMMITTEE,
        goes_to="The Committee on Pilgrims' Complaints.",
        example={
            "case_id": "REF-0001",
            "revision": 1,
            "about": "complaint",
            "subject_id": "CPL-0001",
            "licensee_id": "LIC-1001",
            "code": "housing",
            "text": "The house is further from the mosque than the package says.",
            "at": "2026-07-05T10:00:00+03:00",
        },
    ),
    KindSchema(
        kind="committee.decision",
        model=CommitteeDecision,
        title_en="Decision of the committee",
        title_ar="قرار اللجنة",
        summary_en="The committee answers a referral.",
        key=("case_id", "revision"),
        senders=COMMITTEE,
        receivers=CENTER | MINISTRY,
        goes_to="The ministry; the service centers that serve the licensee are notified.",
        example={
            "case_id": "REF-0001",
            "revision": 1,
            "decision": "upheld",
            "code": "package_not_kept",
            "text": "The licensee pays back the difference.",
        },
    ),
    KindSchema(
        kind="investigation.opened",
        model=InvestigationOpened,
        title_en="Investigation",
        title_ar="فتح تحقيق",
        summary_en="The ministry investigates a licensee or agent and asks for documents.",
        key=("investigation_id", "version"),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The service centers that serve the licensee: that it exists and what must be handed in, "
        "no more.",
        example={
            "investigation_id": "INV-0001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "documents_due": ["Contracts with the houses in Makkah", "Coach bookings of July"],
            "due_date": "2026-08-01",
            "grounds": "Several reports of missing coaches.",
        },
    ),
    KindSchema(
        kind="penalty.issued",
        model=PenaltyIssued,
        title_en="Penalty",
        title_ar="عقوبة",
        summary_en="The ministry punishes a licensee or an agent. A suspension closes the way for visas at "
        "once, also for applications not yet sent on.",
        key=("penalty_id", "version"),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The gateway's record; the service centers concerned are notified.",
        example={
            "penalty_id": "PEN-0001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "type": "fine",
            "from_date": "2026-08-10",
            "amount": "25000.00",
            "grounds": "Coaches missing in July, decided under REF-0001.",
        },
        rules=(
            exactly_one("licensee_id", "agent_id"),
            in_order("from_date", "until_date"),
            needed_when("type", "fine", "amount"),
        ),
    ),
    KindSchema(
        kind="unauthorised_activity.reported",
        model=UnauthorisedActivity,
        title_en="Unauthorised activity",
        title_ar="بلاغ عن نشاط غير مصرح",
        summary_en="A center submitted for a licensee, agent or group that is unknown, inactive or "
        "another's. It was refused.",
        key=("event_id",),
        senders=NOBODY,
        receivers=MINISTRY,
        goes_to="The ministry.",
        example={
            "event_id": "0198c0de-7a10-7b10-8f10-1f1de4a1c0f1",
            "center_id": "sc-02",
            "licensee_id": "LIC-1009",
            "group_number": "GRP-4001",
            "code": "group_of_another_licensee",
            "at": "2026-07-01T08:00:00+03:00",
        },
    ),
)
