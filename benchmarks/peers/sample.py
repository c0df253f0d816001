"""One run of one contender: each figure, and the check of every result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.accounting import Components, foreign_share, moment
from benchmarks.measure import calibration_ms
from benchmarks.peers import verdict
from benchmarks.peers.contender import OWN, Batch, Contender, Tuning
from benchmarks.peers.figures import percentile, rounded
from benchmarks.peers.partner import Partner
from benchmarks.peers.supply import Supply

_POLL_S: Final = 0.1
_SOON_S: Final = 0.01
#: Nobody needs longer for what is asked here.
_PATIENCE_S: Final = 300.0
#: At half load, a batch comes this often.
_EVERY_S: Final = 0.1

Started = Callable[[Tuning], AbstractContextManager[tuple[Contender, Partner]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of each."""

    warm_up: int = 100
    idle: int = 100
    applications: int = 2000
    half_load_s: float = 4.0
    #: To partners that take `partner_ms`; 0: not measured.
    slow: int = 1000
    partner_ms: float = 100.0


def measured(started: Started, supply: Supply, plan: Plan) -> dict[str, Any]:
    """Throughput, CPU, latencies, memory, bytes written; then, started anew, against slow partners.

    `faults` is empty when every application was issued exactly once, by the partner's evidence and by the
    contender's own records.
    """
    before, began = calibration_ms(), moment()
    found = _quick(started, supply, plan)
    if plan.slow:
        slow = _slow(started, supply, plan)
        found = {**found, "slow_partners_s": slow["seconds"], "faults": found["faults"] + slow["faults"]}
    share = foreign_share(began, moment(), os.cpu_count() or 1)
    return {**found, "calibration_ms": [before, calibration_ms()], "foreign_cpu": rounded(share)}


def _quick(started: Started, supply: Supply, plan: Plan) -> dict[str, Any]:
    with started(Tuning()) as (contender, partner):
        given = Given(contender, partner)
        given.all(supply.batches(plan.warm_up))
        idle = _idle(given, supply, plan.idle)
        found = _throughput(given, supply, plan.applications)
        half = _half_load(given, supply, found["applications_per_second"], plan.half_load_s)
        return {
            **found,
            **idle,
            **half,
            "peak_mb": contender.components().peak_mb()[OWN],
            "faults": given.faults(),
        }


def _slow(started: Started, supply: Supply, plan: Plan) -> dict[str, Any]:
    with started(Tuning(waiting=True)) as (contender, partner):
        given = Given(contender, partner)
        given.all(supply.batches(plan.warm_up))
        partner.take_ms(plan.partner_ms)
        seconds = given.all(supply.batches(plan.slow))
        return {"seconds": rounded(seconds), "faults": given.faults()}


class Given:
    """What was handed in, and so has to come out."""

    def __init__(self, contender: Contender, partner: Partner) -> None:
        self.contender = contender
        self.partner = partner
        self._passports: list[str] = []
        self._batches = 0

    def one(self, batch: Batch) -> None:
        self.contender.take(batch)
        self._passports += [line["passport"]["number"] for line in batch.lines]
        self._batches += 1

    def all(self, batches: Iterable[Batch], poll_s: float = _POLL_S) -> float:
        """Seconds from the first to the last final state, by the contender's own times."""
        first, made = self._batches, list(batches)
        began = time.time()
        for batch in made:
            self.one(batch)
        self.finished(poll_s)
        return max(outcome.final_at for outcome in self.contender.outcomes(first)) - began

    def finished(self, poll_s: float = _POLL_S) -> None:
        """Wait for everything. Raises `TimeoutError`."""
        until = time.monotonic() + _PATIENCE_S
        while self.contender.unfinished():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.contender.unfinished()} applications are not final")
            time.sleep(poll_s)

    def latencies_ms(self, first: int) -> list[float]:
        return [outcome.ms for outcome in self.contender.outcomes(first)]

    @property
    def batches(self) -> int:
        return self._batches

    def faults(self) -> list[str]:
        evidence = self.partner.evidence()
        found = verdict.faults(self._passports, evidence, self.contender.outcomes())
        return found + (verdict.unsigned(evidence) if self.partner.signs else [])


def _idle(given: Given, supply: Supply, count: int) -> dict[str, Any]:
    """One application at a time."""
    first = given.batches
    for _ in range(count):
        given.one(supply.batch(1))
        given.finished(_SOON_S)
    waits = given.latencies_ms(first)
    return {"p50_ms": rounded(percentile(waits, 0.5)), "p99_ms": rounded(percentile(waits, 0.99))}


def _throughput(given: Given, supply: Supply, count: int) -> dict[str, Any]:
    components = _with_partner(given)
    batches = list(supply.batches(count))
    cpu, written = components.cpu_s(), components.written_bytes()
    seconds = given.all(batches)
    spent = _per(count / 1000, cpu, components.cpu_s())
    wrote = _per(count * 1000, written, components.written_bytes())
    return {
        "applications_per_second": rounded(count / seconds),
        "cpu_ms_per_application": rounded(sum(ms for name, ms in spent.items() if name != "partner")),
        "cpu_ms_by_component": spent,
        "written_kb_per_application": rounded(sum(kb for name, kb in wrote.items() if name != "partner")),
    }


def _half_load(given: Given, supply: Supply, most_per_s: float, seconds: float) -> dict[str, Any]:
    """Half of what it can carry, in a steady stream of small batches."""
    size = max(1, round(most_per_s / 2 * _EVERY_S))
    every_s = size / (most_per_s / 2)
    batches = [supply.batch(size) for _ in range(max(1, round(seconds / every_s)))]
    first, began = given.batches, time.monotonic()
    for number, batch in enumerate(batches):
        time.sleep(max(0.0, began + number * every_s - time.monotonic()))
        given.one(batch)
    given.finished()
    waits = given.latencies_ms(first)
    return {
        "half_load_p50_ms": rounded(percentile(waits, 0.5)),
        "half_load_p99_ms": rounded(percentile(waits, 0.99)),
    }


def _with_partner(given: Given) -> Components:
    return Components({**given.contender.components().roots, "partner": given.partner.pid})


def _per(unit: float, before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: rounded((after[name] - before[name]) / unit) for name in before}
