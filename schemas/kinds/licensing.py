"""Who may take part: licensees, service centers, groups, the controls, and what an activation needs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from schemas.kinds.kind import CENTER, MINISTRY, NOBODY, SYSTEM, Fields, KindSchema, Rule
from schemas.kinds.record import (
    MAX_COUNT,
    PUBLIC,
    RESTRICTED,
    SECRET,
    City,
    Code,
    Count,
    Day,
    Id,
    LongText,
    Ratio,
    Record,
    Revision,
    Season,
    ShortText,
    Status,
    Version,
    Window,
)
from schemas.kinds.rules import distinct, in_order
from schemas.violation import Violation


class LicenseeStatus(Record):
    """Where a licensee stands with the ministry."""

    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    version: Version
    status: Annotated[Status, PUBLIC, Field(description="Only an active licensee's applications are taken.")]
    name_en: Annotated[ShortText | None, RESTRICTED, Field(description="Its name in English.")] = None
    name_ar: Annotated[ShortText | None, RESTRICTED, Field(description="Its name in Arabic.")] = None
    reason_code: Annotated[Code | None, PUBLIC, Field(description="Why the status changed.")] = None
    effective_from: Annotated[
        Day | None, PUBLIC, Field(description="First day of the status; without it, at once.")
    ] = None


class ServiceCenterRegistration(Record):
    """A service center's licence, and whom it works for."""

    center_id: Annotated[Id, PUBLIC, Field(description="The service center: its party id.")]
    version: Version
    status: Annotated[Status, PUBLIC, Field(description="Only an active center may submit.")]
    conforms: Annotated[
        bool,
        PUBLIC,
        Field(description="Whether it meets the specifications and controls; if not, it can't submit."),
    ]
    licensees: Annotated[
        list[Id], Field(min_length=1, max_length=1000, description="The licensees it submits for."), PUBLIC
    ]
    agents: Annotated[
        list[Id] | None,
        Field(
            min_length=1,
            max_length=2000,
            description="The agents abroad it submits for; without it, all of its licensees' agents.",
        ),
        PUBLIC,
    ] = None


class GroupRegistration(Record):
    """A group of pilgrims belongs to one licensee."""

    group_number: Annotated[Id, PUBLIC, Field(description="The group.")]
    version: Version
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee it is registered to.")]
    agent_id: Annotated[Id | None, PUBLIC, Field(description="The agent abroad it is registered to.")] = None
    pilgrims: Annotated[Count | None, PUBLIC, Field(description="How many it may hold.")] = None


class MahramControl(Record):
    """Who must name a mahram."""

    required: Annotated[bool, PUBLIC, Field(description="Whether anybody must.")]
    sex: Annotated[Literal["F", "M"], PUBLIC, Field(description="Whose applications need one.")]
    below_age: Annotated[
        int | None,
        Field(ge=1, le=150, description="Younger than this at arrival; without it, at any age."),
        PUBLIC,
    ] = None


class OverstayControl(Record):
    """When too many of a licensee's or an agent's pilgrims have stayed too long."""

    max_ratio: Annotated[
        Ratio | None, PUBLIC, Field(description="Overstays to arrivals at most, as a number from 0 to 1.")
    ] = None
    max_count: Annotated[Count | None, PUBLIC, Field(description="Overstays at most.")] = None
    minimum_arrivals: Annotated[
        int,
        Field(ge=0, le=MAX_COUNT, description="With fewer arrivals the ratio isn't judged. 1 unless given."),
        BeforeValidator(lambda value: 1 if value is None else value),
        PUBLIC,
    ] = 1
    grace_days: Annotated[
        int,
        Field(ge=0, le=365, description="Days after the due date that don't count. 0 unless given."),
        BeforeValidator(lambda value: 0 if value is None else value),
        PUBLIC,
    ] = 0


class Controls(Record):
    """The limits that the competent authorities set, all of them: a version replaces the one before."""

    version: Version
    passport_validity_months: Annotated[
        int,
        Field(ge=0, le=120, description="How long a passport is valid beyond the day of arrival."),
        PUBLIC,
    ]
    max_stay_days: Annotated[
        int | None, Field(ge=1, le=366, description="Longest stay; without it, no limit."), PUBLIC
    ] = None
    mahram: Annotated[
        MahramControl | None, Field(description="Who must name a mahram; without it, nobody.")
    ] = None
    request_windows: Annotated[
        list[Window] | None,
        Field(min_length=1, max_length=50, description="When applications are taken; without it, always."),
    ] = None
    unplanned_months: Annotated[
        Literal["closed", "open", "quota"],
        PUBLIC,
        Field(description="What holds in the months that no part of a plan covers, Ramadan among them."),
    ]
    overstay: Annotated[
        OverstayControl | None, Field(description="The limit of overstays; without it, there is none.")
    ] = None
    overstay_levels_days: Annotated[
        list[Annotated[int, Field(ge=1, le=365)]] | None,
        Field(
            min_length=1,
            max_length=20,
            description="Days after the due date on which notice of an overstay is given, rising; without "
            "it, 1, 7 and 30.",
        ),
        PUBLIC,
    ] = None


class ActivationCheck(Record):
    """The ministry asks whether anything prevents a licensee's activation."""

    check_id: Annotated[Id, PUBLIC, Field(description="The ministry's name for the check.")]
    version: Version
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    season: Season


class SourceStanding(Record):
    """What one source says of a licensee."""

    source: Annotated[Code, PUBLIC, Field(description="Who was asked, such as `nic` or `gosi`.")]
    standing: Annotated[
        Literal["CLEAR", "BLOCK", "UNKNOWN"],
        RESTRICTED,
        Field(description="Nothing prevents it, something does, or no answer came."),
    ]
    valid_until: Annotated[Day | None, RESTRICTED, Field(description="Last day for which this holds.")] = None
    code: Annotated[Code | None, SECRET, Field(description="What prevents it.")] = None


class Activation(Record):
    """Whether a licensee is activated for a season, and what each source said."""

    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    season: Season
    check_id: Annotated[Id, PUBLIC, Field(description="The check that this answers.")]
    revision: Revision
    active: Annotated[bool, PUBLIC, Field(description="True only if every source is clear.")]
    sources: Annotated[
        list[SourceStanding], Field(min_length=1, max_length=20, description="Everyone who was asked.")
    ]


class Site(Record):
    """An office of a licensee."""

    city: Annotated[City, PUBLIC, Field(description="Where.")]
    address: Annotated[LongText, RESTRICTED, Field(description="Its address.")]


class Equipment(Record):
    """Things of one sort."""

    item: Annotated[ShortText, PUBLIC, Field(description="What.")]
    count: Annotated[Count, PUBLIC, Field(description="How many.")]


class ReadinessReport(Record):
    """What a licensee has ready for a season."""

    report_id: Annotated[Id, PUBLIC, Field(description="The center's name for the report.")]
    revision: Revision
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    season: Season
    administrative_staff: Annotated[Count, PUBLIC, Field(description="Administrative employees.")]
    sites: Annotated[
        list[Site],
        Field(min_length=1, max_length=3, description="Its offices; an activation needs all three."),
    ]
    vehicles: Annotated[Count, PUBLIC, Field(description="Vehicles.")]
    equipment: Annotated[
        list[Equipment] | None, Field(min_length=1, max_length=100, description="Other equipment.")
    ] = None


def _levels_rise(fields: Fields) -> Iterator[Violation]:
    levels = [level for level in fields.get("overstay_levels_days") or () if level is not None]
    if any(later <= earlier for earlier, later in pairwise(levels)):
        yield Violation("levels_not_rising", "/overstay_levels_days")


KINDS: Final = (
    KindSchema(
        kind="licensee.status",
        model=LicenseeStatus,
        title_en="Status of a licensee",
        title_ar="الوضع النظامي للمرخص له",
        summary_en="The ministry says where a licensee stands. Every later application is judged by it, "
        "and so is every one not yet sent on.",
        key=("licensee_id", "version"),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The gateway's record; the service centers that serve the licensee are notified.",
        example={
            "licensee_id": "LIC-1001",
            "version": 3,
            "status": "active",
            "name_en": "Dar Al Safa Umrah",
            "name_ar": "دار الصفا للعمرة",
            "reason_code": "licence_renewed",
            "effective_from": "2026-06-17",
        },
    ),
    KindSchema(
        kind="service_center.registration",
        model=ServiceCenterRegistration,
        title_en="Registration of a service center",
        title_ar="تسجيل مركز خدمات",
        summary_en="The ministry licenses a service center and names the licensees and agents it serves. "
        "A center that isn't active or doesn't conform can't submit.",
        key=("center_id", "version"),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The gateway's record; the center is notified.",
        example={
            "center_id": "sc-01",
            "version": 2,
            "status": "active",
            "conforms": True,
            "licensees": ["LIC-1001", "LIC-1006"],
            "agents": ["AGT-2001", "AGT-2006"],
        },
        rules=(distinct("licensees"), distinct("agents")),
    ),
    KindSchema(
        kind="group.registration",
        model=GroupRegistration,
        title_en="Registration of a group",
        title_ar="تسجيل مجموعة",
        summary_en="The ministry registers a group to one licensee. An application that names it for another "
        "is refused and reported.",
        key=("group_number", "version"),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The gateway's record; the service centers that serve the licensee are notified.",
        example={
            "group_number": "GRP-4001",
            "version": 1,
            "licensee_id": "LIC-1001",
            "agent_id": "AGT-2001",
            "pilgrims": 45,
        },
    ),
    KindSchema(
        kind="controls.published",
        model=Controls,
        title_en="Controls",
        title_ar="الضوابط",
        summary_en="The control set as the competent authorities built or amended it. It replaces the one "
        "before as a whole, and every decision records the version it was taken under.",
        key=("version",),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The gateway's record; all service centers are notified.",
        example={
            "version": 4,
            "passport_validity_months": 6,
            "max_stay_days": 90,
            "mahram": {"required": True, "sex": "F", "below_age": 18},
            "request_windows": [{"opens": "2026-06-17", "closes": "2027-04-10"}],
            "unplanned_months": "closed",
            "overstay": {"max_ratio": 0.02, "max_count": 50, "minimum_arrivals": 100, "grace_days": 1},
            "overstay_levels_days": [1, 7, 30],
        },
        rules=(
            in_order("request_windows.opens", "request_windows.closes"),
            Rule(("levels_not_rising",), "The days of `overstay_levels_days` rise", _levels_rise),
        ),
    ),
    KindSchema(
        kind="licensee.activation_check",
        model=ActivationCheck,
        title_en="Activation check",
        title_ar="طلب التحقق لتفعيل مرخص له",
        summary_en="The ministry asks whether anything prevents a licensee's activation for a season. The "
        "gateway asks every source and answers with `licensee.activation`.",
        key=("check_id", "version"),
        senders=MINISTRY,
        receivers=SYSTEM,
        goes_to="National Information Center, Passports, social insurance, the dues registry, the gateway's "
        "own record.",
        example={"check_id": "CHK-7001", "version": 1, "licensee_id": "LIC-1001", "season": 1448},
    ),
    KindSchema(
        kind="licensee.activation",
        model=Activation,
        title_en="Activation of a licensee",
        title_ar="تفعيل مرخص له",
        summary_en="The answer to `licensee.activation_check`, all sources gathered. A source that is "
        "unknown means: not activated.",
        key=("check_id", "revision"),
        senders=NOBODY,
        receivers=CENTER | MINISTRY,
        goes_to="The ministry; the service centers that serve the licensee are notified.",
        example={
            "licensee_id": "LIC-1001",
            "season": 1448,
            "check_id": "CHK-7001",
            "revision": 1,
            "active": False,
            "sources": [
                {"source": "nic", "standing": "CLEAR", "valid_until": "2026-12-31"},
                {"source": "passports", "standing": "UNKNOWN"},
                {"source": "dues", "standing": "BLOCK", "code": "DUES_UNPAID"},
            ],
        },
        rules=(distinct("sources", "source"),),
    ),
    KindSchema(
        kind="readiness.report",
        model=ReadinessReport,
        title_en="Readiness of a licensee",
        title_ar="جاهزية المرخص له",
        summary_en="Staff, offices in Makkah, Madinah and Jeddah, vehicles and equipment of a licensee, "
        "before a season. It becomes part of the activation answer.",
        key=("report_id", "revision"),
        senders=CENTER,
        receivers=MINISTRY,
        goes_to="The ministry.",
        example={
            "report_id": "RDY-1001-1448",
            "revision": 1,
            "licensee_id": "LIC-1001",
            "season": 1448,
            "administrative_staff": 24,
            "sites": [
                {"city": "makkah", "address": "Ibrahim Al Khalil Street 12"},
                {"city": "madinah", "address": "King Faisal Road 4"},
                {"city": "jeddah", "address": "Airport Road 88"},
            ],
            "vehicles": 18,
            "equipment": [{"item": "Wheelchairs", "count": 30}],
        },
        rules=(distinct("sites", "city"), distinct("equipment", "item")),
    ),
)
