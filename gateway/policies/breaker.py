"""The circuit breaker of a partner: pure, so that one transaction can decide for all processes.

    closed ──(too many failures)──→ open ──(its time is over)──→ half_open: ONE call
       ↑                             ↑                             │      │
       └──────────(it went well)─────┼─────────────────────────────┘      │
                                     └────────────(it failed, or nobody answered for it)

A circuit stands in the ledger, for all processes. What a process has seen of late stands in its own `Window`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from gateway.message import Micros
from gateway.settings.protection import Breaker
from gateway.values import replace

_NEVER: Final = Micros(0)
#: Beyond it the interval is at its ceiling for long.
_MAX_EXPONENT: Final = 32
#: An open interval is between this part of its length and the whole of it.
_JITTER: Final = 0.75
#: Of a window.
_SLICES: Final = 10


class CircuitState(StrEnum):
    """Whether a partner is called."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Circuit:
    """How a circuit stands."""

    state: CircuitState = CircuitState.CLOSED
    #: When it was last closed, or the outage began.
    since: Micros = _NEVER
    #: Open: nobody calls before. Half open: until when the probe may take.
    until: Micros = _NEVER
    #: Probes in a row that failed.
    failures: int = 0
    #: Half open: who sends the one call.
    prober: str | None = None

    @property
    def closed(self) -> bool:
        return self.state is CircuitState.CLOSED


def tripped(circuit: Circuit, now: Micros, policy: Breaker, random: Random) -> Circuit | None:
    """Open: a process has seen too many failures. None when it is open already."""
    if not circuit.closed:
        return None
    return Circuit(CircuitState.OPEN, now, _open_until(now, 0, policy, random))


def may_probe(circuit: Circuit, now: Micros) -> bool:
    """Whether its time is over: that of the open interval, or of a probe that nobody answered for."""
    return not circuit.closed and circuit.until <= now


def probing(circuit: Circuit, now: Micros, policy: Breaker, prober: str) -> Circuit | None:
    """`prober` sends the one call. None when it may not: too early, or another does."""
    if not may_probe(circuit, now):
        return None
    lost = circuit.state is CircuitState.HALF_OPEN
    return replace(
        circuit,
        state=CircuitState.HALF_OPEN,
        until=Micros(now + _micros(policy.probe_s)),
        failures=circuit.failures + lost,
        prober=prober,
    )


def probed_well(circuit: Circuit, now: Micros, prober: str) -> Circuit | None:
    """Closed again. None unless `prober` is the one who was to tell."""
    return Circuit(since=now) if circuit.prober == prober else None


def probed_badly(
    circuit: Circuit, now: Micros, policy: Breaker, prober: str, random: Random
) -> Circuit | None:
    """Open again, for longer. None unless `prober` is the one who was to tell."""
    if circuit.prober != prober:
        return None
    failures = circuit.failures + 1
    until = _open_until(now, failures, policy, random)
    return Circuit(CircuitState.OPEN, circuit.since, until, failures)


def not_probed(circuit: Circuit, now: Micros, prober: str) -> Circuit | None:
    """The call was not sent after all: another may, at once."""
    if circuit.prober != prober:
        return None
    return replace(circuit, state=CircuitState.OPEN, until=now, prober=None)


def _open_until(now: Micros, failures: int, policy: Breaker, random: Random) -> Micros:
    whole = min(policy.ceiling_s, policy.open_s * 2 ** min(failures, _MAX_EXPONENT))
    return Micros(now + _micros(whole * random.uniform(_JITTER, 1)))


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


class Window:
    """Two counts over the last seconds, in ten slices: old slices fall away."""

    __slots__ = ("_slice", "_slices")

    def __init__(self) -> None:
        self._slice = -1
        self._slices: list[list[int]] = []

    def count(self, now: Micros, window_us: int, first: int, second: int) -> None:
        """Add to the slice of now."""
        current = now * _SLICES // window_us
        if current != self._slice:
            self._go_to(current)
        counts = self._slices[-1]
        counts[0] += first
        counts[1] += second

    def sums(self, now: Micros, window_us: int) -> tuple[int, int]:
        """Both counts of the last `window_us` microseconds."""
        current = now * _SLICES // window_us
        if current != self._slice:
            self._go_to(current)
        return sum(one[0] for one in self._slices), sum(one[1] for one in self._slices)

    def clear(self) -> None:
        """Forget everything."""
        self._slices.clear()
        self._slice = -1

    def _go_to(self, current: int) -> None:
        passed = current - self._slice
        if not 0 < passed < _SLICES:  # the first, after a pause, or under another configuration
            self._slices.clear()
            passed = 1
        self._slices.extend([0, 0] for _ in range(passed))
        del self._slices[:-_SLICES]
        self._slice = current


def too_many(calls: int, failures: int, in_a_row: int, policy: Breaker) -> bool:
    """Whether the results of a window mean that the partner is down.

    Failures in a row do too, however well all went just before: of a busy partner a window is full of that.
    """
    if in_a_row >= policy.minimum_calls:
        return True
    return calls >= policy.minimum_calls and failures >= policy.failure_ratio * calls
