"""What licensees offer: service packages and operational plans, and what the ministry decides on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.kinds.kind import CENTER, MINISTRY, Fields, KindSchema, Rule
from schemas.kinds.record import (
    PUBLIC,
    City,
    Code,
    Count,
    Country,
    DecidedRevision,
    Id,
    LongText,
    Record,
    Revision,
    Season,
    ShortText,
)
from schemas.kinds.rules import distinct
from schemas.structure import pointer
from schemas.violation import Violation

#: The Hijri months that each part of an operational plan covers: Safar to Jumada II, Rajab to Sha'ban. No
#: part covers Ramadan and later: the control `unplanned_months` decides on those.
PLAN_PARTS: Final = {1: range(2, 7), 2: range(7, 9)}
PLANNED_MONTHS: Final = frozenset(month for part in PLAN_PARTS.values() for month in part)


class Housing(Record):
    """Where the pilgrims stay."""

    city: Annotated[City, PUBLIC, Field(description="Where.")]
    name: Annotated[ShortText, PUBLIC, Field(description="The house.")]
    nights: Annotated[int, Field(ge=1, le=366, description="For how long."), PUBLIC]


class PackageSubmission(Record):
    """A service package, for approval."""

    package_id: Annotated[Id, PUBLIC, Field(description="The package.")]
    revision: Revision
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee that offers it.")]
    season: Season
    title: Annotated[ShortText, PUBLIC, Field(description="What it is sold as.")]
    housing: Annotated[
        list[Housing], Field(min_length=1, max_length=20, description="Where the pilgrims stay, in order.")
    ]
    transport: Annotated[LongText, PUBLIC, Field(description="How the pilgrims travel inside the Kingdom.")]
    ground_services: Annotated[
        list[LongText], Field(min_length=1, max_length=30, description="What else is offered."), PUBLIC
    ]


class PackageDecision(Record):
    """What became of a package."""

    package_id: Annotated[Id, PUBLIC, Field(description="The package.")]
    revision: DecidedRevision
    decision: Annotated[
        Literal["approved", "refused", "withdrawn"],
        PUBLIC,
        Field(description="Only an approved package can be used. Withdrawn: approved before, and no longer."),
    ]
    reason_code: Annotated[Code | None, PUBLIC, Field(description="Why.")] = None


class Quota(Record):
    """How many pilgrims a plan brings in one month from one country."""

    month: Annotated[int, Field(ge=1, le=12, description="Hijri month, 1 (Muharram) to 12."), PUBLIC]
    country: Annotated[Country, PUBLIC, Field(description="Where they come from, in three letters.")]
    pilgrims: Annotated[Count, PUBLIC, Field(description="How many arrive.")]


class PlanSubmission(Record):
    """One part of a licensee's operational plan, for approval."""

    plan_id: Annotated[Id, PUBLIC, Field(description="The plan.")]
    revision: Revision
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee whose plan it is.")]
    season: Season
    part: Annotated[
        int,
        Field(ge=1, le=2, description="1: Safar to Jumada II (months 2 to 6). 2: Rajab and Sha'ban (7, 8)."),
        PUBLIC,
    ]
    quotas: Annotated[
        list[Quota], Field(min_length=1, max_length=1500, description="By month and country, each once.")
    ]


class PlanDecision(Record):
    """What became of a plan's part."""

    plan_id: Annotated[Id, PUBLIC, Field(description="The plan.")]
    revision: DecidedRevision
    decision: Annotated[
        Literal["approved", "refused"], PUBLIC, Field(description="Quota is only given by an approved plan.")
    ]
    quotas: Annotated[
        list[Quota] | None,
        Field(min_length=1, max_length=1500, description="As approved; without it, as submitted."),
    ] = None
    reason_code: Annotated[Code | None, PUBLIC, Field(description="Why.")] = None


def _months_stand_in_their_part(fields: Fields) -> Iterator[Violation]:
    months = PLAN_PARTS.get(fields.get("part") or 0)
    for index, quota in enumerate(fields.get("quotas") or ()):
        month = quota and quota.get("month")
        if months and month and month not in months:
            place = pointer(("quotas", index, "month"))
            yield Violation("month_outside_part", place, {"first": months[0], "last": months[-1]})


KINDS: Final = (
    KindSchema(
        kind="package.submission",
        model=PackageSubmission,
        title_en="Service package",
        title_ar="حزمة خدمات للاعتماد",
        summary_en="A center submits a licensee's service package. It can be used in a visa application only "
        "after `package.decision` has approved it.",
        key=("package_id", "revision"),
        senders=CENTER,
        receivers=MINISTRY,
        goes_to="The ministry.",
        example={
            "package_id": "PKG-3001",
            "revision": 1,
            "licensee_id": "LIC-1001",
            "season": 1448,
            "title": "Fourteen days, two cities",
            "housing": [
                {"city": "makkah", "name": "Ajyad House", "nights": 9},
                {"city": "madinah", "name": "Quba House", "nights": 5},
            ],
            "transport": "Air-conditioned coaches between Jeddah, Makkah and Madinah",
            "ground_services": ["Reception at the airport", "Guided visits in Madinah"],
        },
    ),
    KindSchema(
        kind="package.decision",
        model=PackageDecision,
        title_en="Decision on a service package",
        title_ar="قرار بشأن حزمة خدمات",
        summary_en="The ministry approves, refuses or withdraws a package.",
        key=("package_id", "revision", "decision"),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The gateway's record; the center that submitted it is notified.",
        example={"package_id": "PKG-3001", "revision": 1, "decision": "approved"},
    ),
    KindSchema(
        kind="plan.submission",
        model=PlanSubmission,
        title_en="Operational plan",
        title_ar="خطة تشغيلية للاعتماد",
        summary_en="A center submits one part of a licensee's operational plan: how many pilgrims it brings, "
        "by month and country.",
        key=("plan_id", "revision"),
        senders=CENTER,
        receivers=MINISTRY,
        goes_to="The ministry.",
        example={
            "plan_id": "PLN-1001-1448-2",
            "revision": 1,
            "licensee_id": "LIC-1001",
            "season": 1448,
            "part": 2,
            "quotas": [
                {"month": 7, "country": "IDN", "pilgrims": 1200},
                {"month": 8, "country": "IDN", "pilgrims": 1500},
            ],
        },
        rules=(
            Rule(("month_outside_part",), "Each month lies in the plan's part", _months_stand_in_their_part),
            distinct("quotas", "month", "country"),
        ),
    ),
    KindSchema(
        kind="plan.decision",
        model=PlanDecision,
        title_en="Decision on an operational plan",
        title_ar="قرار بشأن خطة تشغيلية",
        summary_en="The ministry approves a plan, as submitted or with other quotas, or refuses it.",
        key=("plan_id", "revision"),
        senders=MINISTRY,
        receivers=CENTER,
        goes_to="The gateway's record; the center that submitted it is notified.",
        example={
            "plan_id": "PLN-1001-1448-2",
            "revision": 1,
            "decision": "approved",
            "quotas": [{"month": 7, "country": "IDN", "pilgrims": 1000}],
            "reason_code": "capacity_limited",
        },
        rules=(distinct("quotas", "month", "country"),),
    ),
)
