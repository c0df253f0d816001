"""The visa gate, and what an issued visa leads to.

The gate is looked at when a batch comes in, and again inside the commit that records the issuing intent,
where the places under the ceilings are taken: a suspension, a lowered ceiling or a full quota acts on
everything not yet sent. What does not fit waits, and goes on by itself when a place is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from msgspec import Struct

from gateway.flows import movements
from gateway.flows.desk import Desk
from gateway.flows.subjects import visa_index
from gateway.ledger.books import Books, Presence, Quota, Visa
from gateway.ledger.records import GateClosed
from gateway.message import BatchFacts, MessageId
from gateway.observe.log import log
from gateway.policies import gate
from gateway.values import replace
from schemas.hijri import to_hijri
from schemas.kinds.offers import PLANNED_MONTHS

PLAN: Final = "plan"
CAPACITY: Final = "mission_capacity"
#: The record that holds the control set in force.
CONTROLS: Final = ("controls", "current")


class Request(Struct, frozen=True):
    """An application, as the gate sees it."""

    message_id: MessageId
    party: str
    facts: BatchFacts
    arrives_on: date


def closed_by(party: str, facts: BatchFacts, books: Books) -> str | None:
    """The code of the first condition that closes the gate for a whole batch, or None."""
    return gate.closed_by(party, facts, lambda kind, id: fact(books, kind, id), books.today)


def may_issue(request: Request, books: Books) -> GateClosed | None:
    """None when the visa may be asked for now: its places are then taken."""
    code = closed_by(request.party, request.facts, books)
    if code is not None:
        return GateClosed(code, _next_request_window(books) if code == "window_closed" else None)
    planned = plan_quota(request.facts, request.arrives_on, books)
    capacity = capacity_quota(request.facts.mission, books)
    for found in (planned, capacity):
        if isinstance(found, GateClosed):
            return found
    return _reserve(request, [quota for quota in (planned, capacity) if isinstance(quota, Quota)], books)


def _reserve(request: Request, quotas: list[Quota], books: Books) -> GateClosed | None:
    full = books.reserve(request.message_id, quotas)
    if full is None:
        return None
    missing = full.control == PLAN and books.quota(full) is None
    code = "plan_missing" if missing else _FULL[full.control]
    expected_on = _next_window(request.facts.mission, books) if full.control == CAPACITY else None
    return GateClosed(code, expected_on, waits_for=full.name)


_FULL: Final = {PLAN: "plan_exceeded", CAPACITY: "mission_capacity"}


def plan_quota(facts: BatchFacts, arrives_on: date, books: Books) -> Quota | GateClosed | None:
    """The place in the licensee's operational plan that an arrival on that day needs, if any."""
    year, month = hijri_month(arrives_on)
    if month not in PLANNED_MONTHS:
        rule = (fact(books, *CONTROLS) or {}).get("unplanned_months", "closed")
        if rule == "open":
            return None
        if rule == "closed":
            return GateClosed("month_unplanned")
    country = (fact(books, "mission", facts.mission) or {}).get("country", "")
    return plan_place(facts.licensee, year, month, country)


def plan_place(licensee: str, year: int, month: int, country: str) -> Quota:
    """The quota of a licensee for arrivals in a Hijri month from a country (of the mission)."""
    return Quota(PLAN, f"{licensee}/{year}-{month:02}/{country}")


def hijri_month(day: date) -> tuple[int, int]:
    """Year and month in the Umm al-Qura calendar."""
    year, month, _ = to_hijri(day).split("-")
    return int(year), int(month)


def capacity_quota(mission: str, books: Books) -> Quota | GateClosed | None:
    """The place under the mission's ceiling today; None for a mission that published none."""
    published = fact(books, CAPACITY, mission)
    if published is None:
        return None
    today = books.today.isoformat()
    for window in published["windows"]:
        if window["opens"] <= today <= window["closes"]:
            return capacity_place(mission, window["opens"])
    return GateClosed("mission_capacity", _next_window(mission, books), waits_for=closed_window(mission))


def _next_window(mission: str, books: Books) -> date | None:
    """When the mission's next window opens, if it published one."""
    return _next_opening((fact(books, CAPACITY, mission) or {}).get("windows"), books.today)


def _next_request_window(books: Books) -> date | None:
    return _next_opening((fact(books, *CONTROLS) or {}).get("request_windows"), books.today)


def _next_opening(windows: Iterable[Mapping[str, Any]] | None, today: date) -> date | None:
    opens = [date.fromisoformat(window["opens"]) for window in windows or ()]
    return min((day for day in opens if day > today), default=None)


def capacity_place(mission: str, opens: str) -> Quota:
    """The quota of a mission in the window that opens on that day."""
    return Quota(CAPACITY, f"{mission}/{opens}")


def closed_window(mission: str) -> str:
    """What waits for a mission between two of its windows."""
    return f"{CAPACITY}:{mission}/next"


def issued(result: Mapping[str, Any], facts: BatchFacts, leaves_on: str, desk: Desk) -> None:
    """A visa was issued for the desk's subject: movements are matched to it from now on.

    It is due by its `stay_until`; by the day of departure applied for where no such day is known.
    """
    books = desk.books
    grace = ((fact(books, *CONTROLS) or {}).get("overstay") or {}).get("grace_days", 0)
    due_on = date.fromisoformat(result.get("stay_until") or leaves_on) + timedelta(days=grace)
    visa = Visa(
        index=visa_index(result["visa_number"], desk.office.vault),
        message_id=desk.subject.id,
        party=desk.subject.party,
        facts=facts,
        country=(fact(books, "mission", facts.mission) or {}).get("country", ""),
        due_on=due_on,
    )
    if not books.put_visa(visa):
        log.error("number_given_twice", action="number_given_twice", message_id=visa.message_id)
        return
    movements.match_parked(visa, desk)


def cancelled(application: MessageId, desk: Desk) -> None:
    """The visa of an application was cancelled. Somebody who came on it is still here, or has left."""
    visa = desk.books.visa_of(application)
    if visa is not None and visa.presence is Presence.ISSUED:
        desk.books.put_visa(replace(visa, presence=Presence.CANCELLED))


def fact(books: Books, kind: str, id: str) -> Mapping[str, Any] | None:
    """The facts of the record in force."""
    record = books.record(kind, id)
    return None if record is None else record.facts
