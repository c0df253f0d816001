"""Puts rows in and judges them: the answer, its cost, what came back, whether a good message still passes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adapters.service_centers import MEDIA_TYPES
from gateway.values import replace
from tests.hostile.door import PASSES, batch_passes
from tests.hostile.row import LONGEST_S, MOST_MB, Row, Told
from tests.hostile.site import Cost, Site


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a row. `faults` empty: as it must be."""

    row: Row
    answer: str = ""
    cost: Cost | None = None
    faults: tuple[str, ...] = ()


def judge(
    rows: Iterable[Row], site: Site, *, longest_s: float = LONGEST_S, tries: int = 3
) -> Iterator[Result]:
    """Each row in turn. On a busy machine a row that took too long is tried again: the least time counts."""
    for row in rows:
        if row.not_applicable or row.tried_by:
            yield Result(row)
            continue
        for left in reversed(range(tries)):
            result = _once(row, site, longest_s)
            if not left or not result.cost or result.cost.seconds <= longest_s:
                break
        yield result


def _once(row: Row, site: Site, longest_s: float) -> Result:
    gateway = site.hasty if row.hasty else site.gateway
    act = row.prepare(site)
    gateway.logged()
    strangers, received = site.partner.strangers, gateway.received()
    with gateway.measured() as found:
        told = act()
    cost = _own(told, found[0])
    faults = [
        *_answer(row, told),
        *_cost(cost, longest_s),
        *_said(row, told, gateway.logged()),
        *(["an address that the message names was asked"] if site.partner.strangers > strangers else []),
        *(["something was recorded"] if row.refused and gateway.received() > received else []),
        *_alive(row, site),
    ]
    return Result(row, told.answer, cost, tuple(faults))


def _own(told: Told, cost: Cost) -> Cost:
    """The cost, where the row knows better what part of it is the input's own."""
    seconds = cost.seconds if told.seconds is None else told.seconds
    return replace(cost, seconds=seconds, memory_mb=max(cost.memory_mb, told.memory_mb or 0.0))


def _answer(row: Row, told: Told) -> Iterator[str]:
    if told.answer != row.answer:
        yield f"the answer was {told.answer!r}, not {row.answer!r}"


def _cost(cost: Cost, longest_s: float) -> Iterator[str]:
    if cost.seconds > longest_s:
        yield f"it took {cost.seconds:.2f} s"
    if cost.memory_mb > MOST_MB:
        yield f"it took {cost.memory_mb:.0f} MB"


def _said(row: Row, told: Told, logged: bytes) -> Iterator[str]:
    if b"Traceback" in told.bytes_back or b"Traceback" in logged:
        yield "a traceback"
    for line in logged.splitlines():
        if b'"level": "error"' in line:
            yield f"an error was logged: {json.loads(line).get('event')} {json.loads(line).get('where')}"
    for canary in row.canaries:
        where = [
            name for name, text in (("answer", told.bytes_back), ("log", logged)) if canary.encode() in text
        ]
        if where:
            yield f"a value came out in the {' and '.join(where)}"


def _alive(row: Row, site: Site) -> Iterator[str]:
    slow = row.hasty and row.door in MEDIA_TYPES
    passes = batch_passes(row.door, site, hasty=True) if slow else PASSES[row.door](site)
    if not passes:
        yield "the next good message did not pass"
