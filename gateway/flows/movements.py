"""Arrivals and departures, matched to visas.

Where a visa's holder is follows from all movements of the visa that are known, by the time at which they
happened: the latest decides. So it does not matter in which order they come, nor whether the visa is known by
then: a movement of an unknown visa is parked, and counts from the moment at which the visa is issued.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from gateway.clock import RIYADH, micros
from gateway.flows import overstays
from gateway.flows.authority import refused
from gateway.flows.desk import Desk, Subject
from gateway.flows.flow import Flow
from gateway.flows.subjects import visa_index
from gateway.ledger.books import Movement, Presence, Visa
from gateway.ledger.vault import Unsealable, payload_place
from gateway.message import Body, MessageId
from gateway.observe.log import log
from gateway.values import replace

PASSPORTS: Final = "passports"
#: What a parked movement is kept under.
UNKNOWN: Final = "visa_unknown"
#: Told with the movement of a visa that was cancelled.
CANCELLED: Final = "visa_cancelled"

#: Their clocks may be wrong, but not by a season.
_AHEAD: Final = timedelta(days=90)


def arrival(body: Body, desk: Desk) -> str | None:
    """Passports says that the holder of a visa came in."""
    return _take("arrival", body, desk)


def departure(body: Body, desk: Desk) -> str | None:
    """Passports says that the holder of a visa went out. It may be known before the arrival is."""
    return _take("departure", body, desk)


def _take(direction: str, body: Body, desk: Desk) -> str | None:
    happened = datetime.fromisoformat(body["at"])
    on = happened.astimezone(RIYADH).date()
    if on > desk.books.today + _AHEAD:  # were it believed, no later movement would ever count
        raise refused("date_in_future", "/at", status=422)
    index = visa_index(body["visa_number"], desk.office.vault)
    visa = desk.books.visa(index)
    desk.books.note_movement(
        Movement(
            message_id=desk.subject.id,
            visa_index=index,
            direction=direction,
            at=micros(happened),
            on=on,
            matched=visa is not None,
        )
    )
    if visa is None:
        return UNKNOWN
    _tell(body, visa, desk)
    _follow(visa, desk)
    return None


def match_parked(visa: Visa, desk: Desk) -> None:
    """Movements that came before the visa was known, in the order in which they happened."""
    parked = desk.books.parked_movements(visa.index)
    for movement in parked:
        desk.books.match_movement(movement.message_id)
        _tell_parked(movement, visa, desk)
    if parked:
        _follow(visa, desk)


def _tell_parked(movement: Movement, visa: Visa, desk: Desk) -> None:
    row = desk.books.message(movement.message_id)
    vault = desk.office.vault
    try:
        key = vault.data_key(row.id, row.data_key)
        body = vault.open(key, row.sealed_payload, place=payload_place(row))
    except Unsealable:  # it counts all the same; only the telling is lost, and the visa must not be
        log.error("unsealable", action="unsealable", message_id=movement.message_id)
        return
    _tell(body, visa, replace(desk, subject=Subject(row.id, row.kind, row.party)))


def _tell(body: Body, visa: Visa, desk: Desk) -> None:
    """The departments, and the center that applied for the visa."""
    known: dict[str, Any] = {"application_id": visa.message_id, "licensee_id": visa.facts.licensee}
    if visa.presence is Presence.CANCELLED:
        log.warning(CANCELLED, action="moved_on_cancelled_visa", message_id=desk.subject.id)
        known["code"] = CANCELLED
    desk.publish(desk.subject.kind, {**body, **known}, about=visa.message_id, to=[visa.party])


def _follow(visa: Visa, desk: Desk) -> None:
    """Where the holder is now, and what it leads to."""
    now = moved(visa, desk.books.movements(visa.index))
    if now == visa:
        return
    desk.books.put_visa(now)
    if now.presence is Presence.DEPARTED:
        desk.books.release_person(MessageId(now.message_id))
        if visa.presence is Presence.OVERSTAYED:
            overstays.clear(now, desk)
    if now.presence is not visa.presence:
        overstays.judge(now.facts, desk)


def moved(visa: Visa, movements: Sequence[Movement]) -> Visa:
    """The visa after these movements, in the order in which they happened. Pure.

    A cancelled visa, too, is followed once somebody moves on it: its holder may stay too long like any other.
    """
    if not movements:
        return visa
    outside = movements[-1].direction == "departure"
    stays = Presence.OVERSTAYED if _noticed(visa) else Presence.INSIDE
    return replace(
        visa,
        presence=Presence.DEPARTED if outside else stays,
        arrived_on=_latest(movements, "arrival"),
        departed_on=_latest(movements, "departure") if outside else None,
    )


def _noticed(visa: Visa) -> bool:
    return visa.notices > 0 or visa.presence is Presence.OVERSTAYED


def _latest(movements: Sequence[Movement], direction: str) -> date | None:
    days = [movement.on for movement in movements if movement.direction == direction]
    return days[-1] if days else None


FLOWS: Final = (
    Flow("movement.arrival", arrival, only=frozenset({PASSPORTS})),
    Flow("movement.departure", departure, only=frozenset({PASSPORTS})),
)
