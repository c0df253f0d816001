"""Who came, who left, who stayed too long, and how many a mission can take on."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from schemas.kinds.kind import CENTER, MINISTRY, NOBODY, SYSTEM, KindSchema
from schemas.kinds.record import (
    PUBLIC,
    RESTRICTED,
    BorderNumber,
    Code,
    Count,
    Day,
    Flight,
    Id,
    Moment,
    PartnerText,
    PortCode,
    Record,
    Version,
    VisaNumber,
    Window,
)
from schemas.kinds.rules import in_order


class Movement(Record):
    """A pilgrim crossed the border."""

    event_id: Annotated[Id, PUBLIC, Field(description="Passports' name for the event.")]
    visa_number: Annotated[VisaNumber, RESTRICTED, Field(description="The visa, ten digits.")]
    border_number: Annotated[
        BorderNumber | None, RESTRICTED, Field(description="Given at the border, ten digits.")
    ] = None
    at: Annotated[Moment, RESTRICTED, Field(description="When.")]
    port: Annotated[PortCode, RESTRICTED, Field(description="Where: an IATA or UN/LOCODE code.")]
    carrier: Annotated[PartnerText | None, RESTRICTED, Field(description="With whom.")] = None
    flight: Annotated[Flight | None, RESTRICTED, Field(description="Flight number.")] = None


class KnownMovement(Movement):
    """A movement as others get it: with what the gateway knows of the visa."""

    application_id: Annotated[Id | None, PUBLIC, Field(description="The visa application.")] = None
    licensee_id: Annotated[Id | None, PUBLIC, Field(description="The licensee responsible.")] = None
    code: Annotated[
        Code | None, PUBLIC, Field(description="What is odd about it: `visa_cancelled`, or absent.")
    ] = None


class MissionCapacity(Record):
    """How many visas a mission can issue in a span of days."""

    mission_id: Annotated[Id, PUBLIC, Field(description="The mission.")]
    version: Version
    window: Annotated[Window, Field(description="The days the ceiling holds for.")]
    ceiling: Annotated[Count, PUBLIC, Field(description="Visas at most; further applications wait.")]


class OverstayNotice(Record):
    """A pilgrim hasn't left by the due date."""

    visa_number: Annotated[VisaNumber, RESTRICTED, Field(description="The visa.")]
    application_id: Annotated[Id, PUBLIC, Field(description="The visa application.")]
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee responsible.")]
    agent_id: Annotated[Id, PUBLIC, Field(description="The agent abroad.")]
    mission_id: Annotated[Id, PUBLIC, Field(description="The mission that issued the visa.")]
    due_date: Annotated[Day, RESTRICTED, Field(description="Last permitted day.")]
    level: Annotated[int, Field(ge=1, le=99, description="1 for the first notice, rising with each."), PUBLIC]
    noticed_on: Annotated[Day, PUBLIC, Field(description="The day it was found.")]


class OverstayCleared(Record):
    """A pilgrim who had stayed too long has left, or had left in time after all."""

    visa_number: Annotated[VisaNumber, RESTRICTED, Field(description="The visa.")]
    application_id: Annotated[Id, PUBLIC, Field(description="The visa application.")]
    licensee_id: Annotated[Id, PUBLIC, Field(description="The licensee responsible.")]
    agent_id: Annotated[Id, PUBLIC, Field(description="The agent abroad.")]
    due_date: Annotated[Day, RESTRICTED, Field(description="Last permitted day.")]
    departed_on: Annotated[Day, RESTRICTED, Field(description="The day of departure.")]


KINDS: Final = (
    KindSchema(
        kind="movement.arrival",
        model=Movement,
        title_en="Arrival",
        title_ar="قدوم معتمر",
        summary_en="Passports tells that the holder of a visa has entered. An unknown visa is kept and "
        "matched later; a repeated event counts once.",
        key=("event_id",),
        senders=SYSTEM,
        receivers=CENTER | MINISTRY,
        goes_to="The gateway's record of the visa; the ministry, and the center that applied for it.",
        example={
            "event_id": "MOV-20260701-0001",
            "visa_number": "6012345678",
            "border_number": "3098765432",
            "at": "2026-07-01T05:12:00+03:00",
            "port": "JED",
            "carrier": "Garuda Indonesia",
            "flight": "GA980",
        },
        published=KnownMovement,
    ),
    KindSchema(
        kind="movement.departure",
        model=Movement,
        title_en="Departure",
        title_ar="مغادرة معتمر",
        summary_en="Passports tells that the holder of a visa has left. It may come before the arrival does.",
        key=("event_id",),
        senders=SYSTEM,
        receivers=CENTER | MINISTRY,
        goes_to="The gateway's record of the visa; the ministry, and the center that applied for it.",
        example={
            "event_id": "MOV-20260714-0009",
            "visa_number": "6012345678",
            "border_number": "3098765432",
            "at": "2026-07-14T22:45:00+03:00",
            "port": "MED",
            "flight": "GA981",
        },
        published=KnownMovement,
    ),
    KindSchema(
        kind="mission.capacity",
        model=MissionCapacity,
        title_en="Capacity of a mission",
        title_ar="الطاقة الاستيعابية للممثلية",
        summary_en="Foreign Affairs sets how many visas a mission can issue in a span of days. A lowered "
        "ceiling acts on everything not yet sent.",
        key=("mission_id", "window.opens", "window.closes", "version"),
        senders=SYSTEM,
        receivers=MINISTRY,
        goes_to="The gateway's record; the ministry is told.",
        example={
            "mission_id": "MSN-IDN-JKT",
            "version": 2,
            "window": {"opens": "2026-07-01", "closes": "2026-07-31"},
            "ceiling": 25000,
        },
        rules=(in_order("window.opens", "window.closes"),),
    ),
    KindSchema(
        kind="overstay.notice",
        model=OverstayNotice,
        title_en="Overstay",
        title_ar="إشعار تخلف",
        summary_en="The gateway found that a pilgrim has not left by the due date.",
        key=("visa_number", "due_date", "level"),
        senders=NOBODY,
        receivers=CENTER | MINISTRY | SYSTEM,
        goes_to="Passports, the center that applied for the visa, and the ministry.",
        example={
            "visa_number": "6012345678",
            "application_id": "0198c0de-7a10-7b10-8f10-1f1de4a1c0f0",
            "licensee_id": "LIC-1001",
            "agent_id": "AGT-2001",
            "mission_id": "MSN-IDN-JKT",
            "due_date": "2026-07-30",
            "level": 1,
            "noticed_on": "2026-08-01",
        },
        rules=(in_order("due_date", "noticed_on"),),
    ),
    KindSchema(
        kind="overstay.cleared",
        model=OverstayCleared,
        title_en="Overstay ended",
        title_ar="انتهاء حالة تخلف",
        summary_en="A departure came in for a pilgrim whose overstay had been noticed.",
        key=("visa_number", "due_date"),
        senders=NOBODY,
        receivers=CENTER | MINISTRY,
        goes_to="The center that applied for the visa, and the ministry.",
        example={
            "visa_number": "6012345678",
            "application_id": "0198c0de-7a10-7b10-8f10-1f1de4a1c0f0",
            "licensee_id": "LIC-1001",
            "agent_id": "AGT-2001",
            "due_date": "2026-07-30",
            "departed_on": "2026-08-04",
        },
    ),
)
