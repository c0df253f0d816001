"""What the gateway counts and tells the ministry."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from schemas.kinds.kind import MINISTRY, NOBODY, KindSchema
from schemas.kinds.record import PUBLIC, Count, Country, Day, Id, Record, Season
from schemas.kinds.rules import distinct, in_order


class Period(Record):
    """A span of days, both ends included."""

    from_: Annotated[Day, PUBLIC, Field(alias="from", description="First day.")]
    until: Annotated[Day, PUBLIC, Field(description="Last day.")]


class VisaFlow(Record):
    """What became of one licensee's applications at one mission on one day."""

    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee.")]
    mission_id: Annotated[Id, PUBLIC, Field(description="The mission.")]
    day: Annotated[Day, PUBLIC, Field(description="The day.")]
    received: Annotated[Count, PUBLIC, Field(description="Applications received.")]
    issued: Annotated[Count, PUBLIC, Field(description="Visas issued.")]
    refused: Annotated[Count, PUBLIC, Field(description="Refused by an authority.")]
    rejected: Annotated[Count, PUBLIC, Field(description="Rejected because the line itself was wrong.")]
    cancelled: Annotated[Count, PUBLIC, Field(description="Cancelled by the center.")]
    expired: Annotated[Count, PUBLIC, Field(description="Not decided before the day of travel.")]
    waiting: Annotated[Count, PUBLIC, Field(description="Still waiting at the end of the day.")]


class VisaFlowReport(Record):
    """The flow of visas to licensees."""

    period: Annotated[Period, Field(description="The days it covers.")]
    rows: Annotated[
        list[VisaFlow],
        Field(max_length=20_000, description="By licensee, mission and day; none without applications."),
    ]


class CountryCount(Record):
    """The season of one country's pilgrims."""

    country: Annotated[Country, PUBLIC, Field(description="Their nationality, in three letters.")]
    issued: Annotated[Count, PUBLIC, Field(description="Visas issued.")]
    inside: Annotated[Count, PUBLIC, Field(description="In the Kingdom now.")]
    overstayed: Annotated[Count, PUBLIC, Field(description="Stayed past the due date.")]


class SeasonReport(Record):
    """A season in numbers."""

    season: Season
    batches: Annotated[Count, PUBLIC, Field(description="Batches received.")]
    applications: Annotated[Count, PUBLIC, Field(description="Applications received.")]
    issued: Annotated[Count, PUBLIC, Field(description="Visas issued.")]
    refused: Annotated[Count, PUBLIC, Field(description="Refused by an authority.")]
    rejected: Annotated[Count, PUBLIC, Field(description="Rejected because the line itself was wrong.")]
    cancelled: Annotated[Count, PUBLIC, Field(description="Cancelled.")]
    expired: Annotated[Count, PUBLIC, Field(description="Not decided before the day of travel.")]
    inside: Annotated[Count, PUBLIC, Field(description="Pilgrims in the Kingdom now.")]
    departed: Annotated[Count, PUBLIC, Field(description="Pilgrims who have left.")]
    overstayed: Annotated[Count, PUBLIC, Field(description="Pilgrims who stayed past the due date.")]
    countries: Annotated[list[CountryCount], Field(max_length=300, description="By nationality.")]


KINDS: Final = (
    KindSchema(
        kind="visa_flow.report",
        model=VisaFlowReport,
        title_en="Flow of visas",
        title_ar="تقرير ضخ التأشيرات",
        summary_en="How many applications came and what became of them, by licensee, mission and day.",
        key=("period.from", "period.until"),
        senders=NOBODY,
        receivers=MINISTRY,
        goes_to="The ministry.",
        example={
            "period": {"from": "2026-07-01", "until": "2026-07-01"},
            "rows": [
                {
                    "licensee_id": "LIC-1001",
                    "mission_id": "MSN-IDN-JKT",
                    "day": "2026-07-01",
                    "received": 1200,
                    "issued": 1150,
                    "refused": 20,
                    "rejected": 10,
                    "cancelled": 0,
                    "expired": 0,
                    "waiting": 20,
                }
            ],
        },
        rules=(in_order("period.from", "period.until"), distinct("rows", "licensee_id", "mission_id", "day")),
    ),
    KindSchema(
        kind="season.report",
        model=SeasonReport,
        title_en="Season",
        title_ar="تقرير الموسم",
        summary_en="A season in numbers, whole and by country.",
        key=("season",),
        senders=NOBODY,
        receivers=MINISTRY,
        goes_to="The ministry.",
        example={
            "season": 1448,
            "batches": 5200,
            "applications": 1000000,
            "issued": 960000,
            "refused": 21000,
            "rejected": 9000,
            "cancelled": 8000,
            "expired": 2000,
            "inside": 140000,
            "departed": 815000,
            "overstayed": 900,
            "countries": [{"country": "IDN", "issued": 310000, "inside": 42000, "overstayed": 120}],
        },
        rules=(distinct("countries", "country"),),
    ),
)
