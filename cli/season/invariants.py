"""What must hold at the end of a season, whatever happened in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.bus.department import Event

#: What must be so, and whether it is.
Holds = tuple[str, bool]


def quotas_kept(quotas: Iterable[Mapping[str, Any]]) -> Holds:
    """No ceiling was ever exceeded: the season only raises them."""
    return "no visa beyond a quota or a capacity", all(one["taken"] <= one["ceiling"] for one in quotas)


def nothing_parked(census: Iterable[Mapping[str, Any]]) -> Holds:
    """Every arrival and departure found its visa."""
    parked = [one for one in census if one["what"] == "movement" and one["detail"] == "parked"]
    return "no movement left unmatched", not parked


def nobody_twice(visas: Iterable[Mapping[str, Any]]) -> Holds:
    """By Foreign Affairs' own register: nobody has two live visas of one type."""
    people = Counter(visa["person"] for visa in visas if visa["live"])
    return "nobody with two visas of one type", all(count == 1 for count in people.values())


def issued_once(evidence: Mapping[str, Any]) -> Holds:
    """By Foreign Affairs' own register."""
    return "no visa issued twice", not evidence["issued_twice"]


def none_after_suspension(calls: Iterable[Mapping[str, Any]], suspended: Mapping[str, datetime]) -> Holds:
    """No visa was asked for a licensee after it had been suspended. `calls` are those of its applications."""
    late = [call for call in calls if datetime.fromisoformat(call["at"]) > suspended[call["licensee"]]]
    return "no visa for a suspended licensee after its suspension", not late


def nothing_lost(counts: Mapping[str, int], accepted: int) -> Holds:
    """Every line that was accepted stands in one of the states that a center sees."""
    return "no line lost", sum(counts.values()) == accepted


def all_came(meant: Iterable[Mapping[str, Any]], came: Mapping[str, Sequence[Event]]) -> Holds:
    """As many of each kind on each queue as the gateway's outbox holds for its owner, and no others."""
    outbox = {(tally["detail"], tally["name"]): tally["count"] for tally in meant}
    queues = Counter((receiver, event.kind) for receiver, events in came.items() for event in events)
    return "everything meant for the ministry arrived on its queues", queues == outbox


def came_once_in_order(came: Mapping[str, Sequence[Event]]) -> Holds:
    """No event twice, none before an earlier one. Numbers are left out: others' events have those."""
    sequences = [[event.sequence for event in events] for events in came.values()]
    ids = [[event.id for event in events] for events in came.values()]
    in_order = all(each == sorted(set(each)) for each in sequences)
    return "and arrived once, in order", in_order and all(len(each) == len(set(each)) for each in ids)
