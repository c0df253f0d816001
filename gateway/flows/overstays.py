"""Overstays: found when the due day has passed, noticed level by level, cleared by a late departure.

How many there are decides whether the visa gate is open for a licensee or an agent: the limits stand in the
control set, and whether one is over them in the record `overstay_standing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from gateway.flows.desk import Desk, Office, Subject
from gateway.ledger.books import Books, Presence, Visa
from gateway.ledger.vault import Unsealable, open_progress
from gateway.message import BatchFacts
from gateway.observe.log import log
from gateway.values import replace

NOTICE: Final = "overstay.notice"
CLEARED: Final = "overstay.cleared"
STANDING: Final = "overstay_standing"
#: Days after the due day on which a notice of the first, second … level is given, unless the controls say.
LEVELS_DAYS: Final = (1, 7, 30)

_ISSUANCE: Final = "foreign_affairs.visa_issuance"
_CAME: Final = (Presence.INSIDE, Presence.OVERSTAYED, Presence.DEPARTED)


# --- notices ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Some overstays were noticed. `last` is where to go on from, None after the last of them."""

    noticed: int
    last: tuple[date, bytes] | None


def levels(books: Books) -> Sequence[int]:
    """How many days after the due day each level's notice is given, by the controls in force."""
    return _controls(books).get("overstay_levels_days") or LEVELS_DAYS


def notice_some(
    office: Office, books: Books, level: int, after: tuple[date, bytes] | None, *, limit: int
) -> Page:
    """Give notice of this level to those who are due for it. Levels are given in order, each once.

    When all are given, `judge_all` says who is over a limit now.
    """
    before = books.today - timedelta(days=levels(books)[level - 1] - 1)
    found = books.overdue(before, notices=level, limit=limit, after=after)
    noticed = sum(_notice(visa, level, _desk(visa, office, books)) for visa in found)
    return Page(noticed, (found[-1].due_on, found[-1].index) if len(found) == limit else None)


def _desk(visa: Visa, office: Office, books: Books) -> Desk:
    """No message leads to a notice: it is about the application."""
    return Desk(office, books, Subject(visa.message_id, "visa.application", visa.party))


def _notice(visa: Visa, level: int, desk: Desk) -> bool:
    number = _visa_number(visa, desk)
    # One that can't be given now is tried again on the next day, and no later level is given before it.
    given = number is not None and visa.notices == level - 1
    after = replace(visa, presence=Presence.OVERSTAYED, notices=level if given else visa.notices)
    if after != visa:
        desk.books.put_visa(after)
    if not given:
        return False
    body = {
        **_about(visa, number),
        "mission_id": visa.facts.mission,
        "level": level,
        "noticed_on": desk.books.today.isoformat(),
    }
    # Its key stands in clear: it names the application, never the visa's number.
    key = f"{visa.message_id}/{visa.due_on.isoformat()}/{level}"
    desk.send_on(NOTICE, body, key=key, facts=visa.facts)
    desk.publish(NOTICE, body, about=visa.message_id, to=[visa.party])
    return True


def clear(visa: Visa, desk: Desk) -> None:
    """The holder has left after all: everybody who had a notice is told. Passports told us."""
    number = _visa_number(visa, desk)
    if number is None or visa.departed_on is None:
        return
    body = {**_about(visa, number), "departed_on": visa.departed_on.isoformat()}
    desk.publish(CLEARED, body, about=visa.message_id, to=[visa.party])


def _about(visa: Visa, number: str | None) -> dict[str, Any]:
    return {
        "visa_number": number,
        "application_id": visa.message_id,
        "licensee_id": visa.facts.licensee,
        "agent_id": visa.facts.agent,
        "due_date": visa.due_on.isoformat(),
    }


def _visa_number(visa: Visa, desk: Desk) -> str | None:
    """The number, from where the issuing answer is sealed. None when that was damaged."""
    row = desk.books.message(visa.message_id)
    vault = desk.office.vault
    try:
        progress = open_progress(vault, vault.data_key(row.id, row.data_key), row)
    except Unsealable:
        log.error("unsealable", action="unsealable", message_id=visa.message_id)
        return None
    issued = progress.get("steps", {}).get(_ISSUANCE, {}).get("result") or {}
    number: str | None = issued.get("visa_number")
    return number


# --- limits -----------------------------------------------------------------------------------------------


def judge(facts: BatchFacts, desk: Desk) -> None:
    """Look again whether the licensee and the agent of a visa are over a limit in the visa's season."""
    for kind, id in (("licensee", facts.licensee), ("agent", facts.agent)):
        _judge(kind, id, facts.season, desk)


def judge_all(desk: Desk) -> None:
    """Look again at everybody of whom somebody stays too long: the controls may be other ones now."""
    found = desk.books.overstaying()
    everybody = {("licensee", licensee, season) for season, licensee, _ in found}
    everybody |= {("agent", agent, season) for season, _, agent in found}
    for kind, id, season in sorted(everybody):
        _judge(kind, id, season, desk)


def _judge(kind: str, id: str, season: int, desk: Desk) -> None:
    """A new record only when it changes: each one makes the gate look again at everything it holds."""
    known = desk.fact(STANDING, f"{kind}/{id}") or {}
    before = set(known.get("seasons", ()))
    after = before | {season} if _over(kind, id, season, desk.books) else before - {season}
    if after != before:
        facts = {"over": bool(after), "seasons": sorted(after)}
        desk.put(STANDING, f"{kind}/{id}", facts, version=desk.books.today.isoformat(), owner=id)


def _over(kind: str, id: str, season: int, books: Books) -> bool:
    limits = _controls(books).get("overstay")
    if not limits:
        return False
    licensee, agent = (id, None) if kind == "licensee" else (None, id)
    staying = books.presences(season=season, licensee=licensee, agent=agent, presence=Presence.OVERSTAYED)
    overstayed = staying.get(Presence.OVERSTAYED, 0)
    if not overstayed:  # so it is for nearly everybody: nothing more is counted
        return False
    counts = books.presences(season=season, licensee=licensee, agent=agent)
    return over_limit(overstayed, sum(counts.get(presence, 0) for presence in _CAME), limits)


def over_limit(overstayed: int, arrived: int, limits: Mapping[str, Any]) -> bool:
    """Whether so many of those who came are more than the limits allow. What is allowed is not over."""
    most, ratio = limits.get("max_count"), limits.get("max_ratio")
    if most is not None and overstayed > most:
        return True
    judged = arrived >= (limits.get("minimum_arrivals") or 1)
    return ratio is not None and judged and overstayed / arrived > ratio


def _controls(books: Books) -> Mapping[str, Any]:
    record = books.record("controls", "current")
    return {} if record is None else record.facts
