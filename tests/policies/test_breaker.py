"""The circuit breaker as a state machine, and the window of results that opens it."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.message import Micros
from gateway.policies.breaker import (
    Circuit,
    CircuitState,
    Window,
    may_probe,
    not_probed,
    probed_badly,
    probed_well,
    probing,
    too_many,
    tripped,
)
from gateway.settings.protection import Breaker

POLICY = Breaker(open_s=1.0, ceiling_s=15.0, probe_s=10.0)
_SECOND = 1_000_000


class CircuitOfManyProcesses(RuleBasedStateMachine):
    """Whatever processes do in whichever order: one prober at a time, no call before its time."""

    @initialize()
    def begin(self) -> None:
        self.circuit = Circuit()
        self.now = Micros(1_000 * _SECOND)
        self.random = Random(1)
        self.probers: list[str] = []

    def _becomes(self, after: Circuit | None) -> bool:
        self.circuit = after or self.circuit
        return after is not None

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now = Micros(self.now + round(seconds * _SECOND))

    @rule()
    def a_process_sees_too_many_failures(self) -> None:
        before = self.circuit
        assert self._becomes(tripped(before, self.now, POLICY, self.random)) == before.closed

    @rule()
    def somebody_wants_to_probe(self) -> None:
        before, prober = self.circuit, f"p{len(self.probers)}"
        given = self._becomes(probing(before, self.now, POLICY, prober))
        assert given == (not before.closed and before.until <= self.now)
        if given:
            self.probers.append(prober)

    @rule(which=st.integers(0, 5), well=st.booleans())
    def a_prober_tells(self, which: int, well: bool) -> None:
        if not self.probers:
            return
        prober, before = self.probers[-1 - which % len(self.probers)], self.circuit
        if well:
            told = self._becomes(probed_well(before, self.now, prober))
        else:
            told = self._becomes(probed_badly(before, self.now, POLICY, prober, self.random))
        assert told == (before.prober == prober)
        if told:
            assert self.circuit.closed == well

    @rule()
    def a_prober_did_not_send(self) -> None:
        if self.probers and self._becomes(not_probed(self.circuit, self.now, self.probers[-1])):
            assert may_probe(self.circuit, self.now)

    @invariant()
    def nobody_is_kept_out_for_longer_than_the_ceiling(self) -> None:
        assert self.circuit.until <= self.now + POLICY.ceiling_s * _SECOND

    @invariant()
    def a_prober_stands_only_in_a_half_open_circuit(self) -> None:
        assert (self.circuit.prober is not None) == (self.circuit.state is CircuitState.HALF_OPEN)

    @invariant()
    def a_closed_circuit_remembers_no_failures(self) -> None:
        assert not (self.circuit.closed and self.circuit.failures)


TestCircuitOfManyProcesses = CircuitOfManyProcesses.TestCase
TestCircuitOfManyProcesses.settings = settings(deadline=None)


def test_the_interval_doubles_up_to_its_ceiling() -> None:
    now, random = Micros(0), Random(3)
    circuit = tripped(Circuit(), now, POLICY, random)
    assert circuit is not None
    intervals = []
    for n in range(7):
        intervals.append((circuit.until - now) / _SECOND)
        now = circuit.until
        probed = probing(circuit, now, POLICY, f"p{n}")
        assert probed is not None
        circuit = probed_badly(probed, now, POLICY, f"p{n}", random)
        assert circuit is not None
    for interval, whole in zip(intervals, (1, 2, 4, 8, 15, 15, 15), strict=True):
        assert 0.75 * whole <= interval <= whole
    assert circuit.since == 0, "the outage began when it was opened first"


def test_a_prober_that_died_is_replaced_and_can_tell_nothing_any_more() -> None:
    circuit = tripped(Circuit(), Micros(0), POLICY, Random(1))
    assert circuit is not None
    dead = probing(circuit, Micros(1 * _SECOND), POLICY, "dead")
    assert dead is not None
    assert probing(dead, Micros(10 * _SECOND), POLICY, "other") is None
    other = probing(dead, Micros(11 * _SECOND), POLICY, "other")
    assert other is not None
    assert probed_well(other, Micros(12 * _SECOND), "dead") is None
    assert probed_well(other, Micros(12 * _SECOND), "other") == Circuit(since=Micros(12 * _SECOND))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=60))
def test_a_window_counts_what_is_recent_and_nothing_else(results: list[tuple[float, bool]]) -> None:
    window, now, kept = Window(), 1_000.0, list[tuple[float, bool]]()
    for wait, failed in results:
        now += wait
        window.count(Micros(round(now * _SECOND)), 10 * _SECOND, 1, failed)
        kept.append((now, failed))
    calls, failures = window.sums(Micros(round(now * _SECOND)), 10 * _SECOND)
    # Slices fall away whole: what is younger than nine tenths counts for sure, what is older than all never.
    assert sum(at > now - 9.0 for at, _ in kept) <= calls <= sum(at > now - 10.0 for at, _ in kept)
    assert failures <= calls


def test_few_results_say_nothing_and_half_of_many_do() -> None:
    policy = Breaker(minimum_calls=10, failure_ratio=0.5)
    assert not too_many(9, 9, 9, policy)
    assert not too_many(10, 4, 4, policy)
    assert too_many(10, 5, 1, policy)


def test_failures_in_a_row_mean_an_outage_however_much_went_well_before() -> None:
    policy = Breaker(minimum_calls=10, failure_ratio=0.5)
    assert not too_many(4_009, 9, 9, policy)
    assert too_many(4_010, 10, 10, policy)
