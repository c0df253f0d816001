"""Capacity of missions: how many visas each can issue, window by window, as Foreign Affairs publishes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from gateway.errors import Conflict
from gateway.flows.authority import refused
from gateway.flows.desk import Desk
from gateway.flows.flow import Flow
from gateway.flows.visas import CAPACITY, capacity_place, closed_window
from gateway.ledger.books import Books
from gateway.message import Body

FOREIGN_AFFAIRS: Final = "foreign-affairs"
#: How long a window that has closed is kept: what still waits for it must be found.
_KEPT: Final = timedelta(days=31)

Window = Mapping[str, Any]


def published(body: Body, desk: Desk) -> None:
    """The ceiling of one window of a mission. A lowered one acts on everything not yet sent."""
    mission, window = body["mission_id"], body["window"]
    if desk.fact("mission", mission) is None:
        raise refused("mission_unknown", "/mission_id", 422)
    windows = _windows(mission, desk.books)
    new = {**window, "version": body["version"], "ceiling": body["ceiling"]}
    others = [known for known in windows if not _same(known, new)]
    _must_be_newer(new, windows)
    _must_not_overlap(new, others)
    since = (desk.books.today - _KEPT).isoformat()
    kept = [*(known for known in others if known["closes"] >= since), new]
    facts = {"windows": sorted(kept, key=lambda known: known["opens"])}
    desk.put(CAPACITY, mission, facts, version=body["version"], owner=FOREIGN_AFFAIRS)
    desk.books.set_ceiling(capacity_place(mission, window["opens"]), body["ceiling"])
    go_on(mission, facts["windows"], desk.books)
    desk.publish("mission.capacity", body, about=mission)


def _windows(mission: str, books: Books) -> list[Window]:
    record = books.record(CAPACITY, mission)
    return [] if record is None else list(record.facts["windows"])


def _same(one: Window, other: Window) -> bool:
    return (one["opens"], one["closes"]) == (other["opens"], other["closes"])


def _must_be_newer(new: Window, windows: Iterable[Window]) -> None:
    if any(_same(known, new) and known["version"] >= new["version"] for known in windows):
        raise Conflict("stale_version")


def _must_not_overlap(new: Window, others: Iterable[Window]) -> None:
    """Two ceilings for one day would leave open which of them counts."""
    for known in others:
        if known["opens"] <= new["closes"] and new["opens"] <= known["closes"]:
            raise refused("windows_overlap", "/window", 422)


# --- windows that open ------------------------------------------------------------------------------------


def missions(books: Books) -> list[str]:
    """Those that published a capacity."""
    return [record.id for record in books.records(CAPACITY, owner=FOREIGN_AFFAIRS)]


def open_windows(mission: str, books: Books) -> int:
    """On a new day: as many as there is room for of those that waited for a window of this mission go on."""
    return go_on(mission, _windows(mission, books), books)


def go_on(mission: str, windows: Iterable[Window], books: Books) -> int:
    """Wake those that wait between two windows, and those that an earlier window was full for.

    As many as are free in the window that is open today. Returns how many; doing it again does no harm.
    """
    opened = _open(windows, books.today)
    state = None if opened is None else books.quota(capacity_place(mission, opened["opens"]))
    if opened is None or state is None:
        return 0
    free = state.free
    earlier = [known for known in windows if known["closes"] < opened["opens"]]
    for name in (*(capacity_place(mission, one["opens"]).name for one in earlier), closed_window(mission)):
        woken = min(free, books.waiting_for(name))
        if woken:
            books.wake(name, woken)
        free -= woken
    return state.free - free


def _open(windows: Iterable[Window], today: date) -> Window | None:
    day = today.isoformat()
    return next((known for known in windows if known["opens"] <= day <= known["closes"]), None)


FLOWS: Final = (Flow("mission.capacity", published, only=frozenset({FOREIGN_AFFAIRS})),)
