"""Each invariant finds what breaks it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.season import invariants
from cli.season.offices import as_it_came, meant_for
from gateway.bus.department import Event

_SUSPENDED = datetime(2026, 9, 11, 9, tzinfo=UTC)


@pytest.mark.parametrize(("taken", "kept"), [(4, True), (5, True), (6, False)])
def test_a_ceiling_that_was_exceeded_is_found(taken: int, kept: bool) -> None:
    quotas = [{"ceiling": 5, "taken": 1}, {"ceiling": 5, "taken": taken}]
    assert invariants.quotas_kept(quotas)[1] is kept


def test_a_movement_without_its_visa_is_found() -> None:
    matched = {"what": "movement", "name": "arrival", "detail": "matched"}
    assert invariants.nothing_parked([matched])[1]
    assert not invariants.nothing_parked([matched, {**matched, "detail": "parked"}])[1]


def test_a_person_with_two_live_visas_is_found() -> None:
    one, other = {"person": "a", "live": True}, {"person": "b", "live": True}
    assert invariants.nobody_twice([one, other])[1]
    assert invariants.nobody_twice([one, {**one, "live": False}])[1]
    assert not invariants.nobody_twice([one, other, one])[1]


def test_a_visa_issued_twice_is_found() -> None:
    assert invariants.issued_once({"issued_twice": []})[1]
    assert not invariants.issued_once({"issued_twice": ["K-1"]})[1]


@pytest.mark.parametrize(("seconds", "held"), [(-1, True), (1, False)])
def test_a_visa_asked_for_after_the_suspension_is_found(seconds: int, held: bool) -> None:
    at = (_SUSPENDED + timedelta(seconds=seconds)).isoformat()
    call = {"licensee": "LIC-6002", "at": at}
    assert invariants.none_after_suspension([call], {"LIC-6002": _SUSPENDED})[1] is held


@pytest.mark.parametrize(("refused", "held"), [(3, True), (2, False), (4, False)])
def test_a_line_that_is_nowhere_is_found(refused: int, held: bool) -> None:
    assert invariants.nothing_lost({"issued": 7, "refused": refused}, 10)[1] is held


def _event(sequence: int, kind: str = "visa_flow.report", id: str | None = None) -> Event:
    return Event(id or f"E-{sequence}", kind, sequence, None, {})


def _tally(kind: str, count: int, receiver: str = "licensing") -> dict[str, Any]:
    return {"what": "event", "name": kind, "detail": receiver, "count": count, "example": "M-1"}


def test_an_event_that_never_came_is_found() -> None:
    meant = [_tally("visa_flow.report", 2), _tally("committee.referral", 1, "committee")]
    came = {"licensing": [_event(1), _event(4)], "committee": [_event(2, "committee.referral")]}
    assert invariants.all_came(meant, came)[1]
    assert not invariants.all_came(meant, {**came, "committee": []})[1]
    assert not invariants.all_came(meant, {**came, "licensing": [_event(1)]})[1]


def test_an_event_that_was_not_meant_for_its_receiver_is_found() -> None:
    meant = [_tally("visa_flow.report", 1)]
    came = {"licensing": [_event(1), _event(2, "committee.referral")]}
    assert not invariants.all_came(meant, came)[1]


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([], True),
        ([_event(1), _event(5), _event(9)], True),
        ([_event(5), _event(1)], False),
        ([_event(1), _event(1)], False),
        ([_event(1, id="E"), _event(2, id="E")], False),
    ],
    ids=["none", "in order", "the wrong way round", "twice", "twice under another number"],
)
def test_an_event_twice_or_out_of_order_is_found(events: list[Event], held: bool) -> None:
    assert invariants.came_once_in_order({"licensing": events})[1] is held


def test_with_a_broker_the_ministrys_events_are_counted_on_its_queues() -> None:
    message = {**_tally("penalty.issued", 3), "what": "message"}
    census = [_tally("visa_flow.report", 9), _tally("visa.result", 4, "sc-01"), message]
    counted = as_it_came(census, {"licensing": [_event(1), _event(2)]})
    assert [tally["count"] for tally in counted] == [2, 4, 3]
    assert [tally["count"] for tally in meant_for({"licensing"}, census)] == [9]
