"""The whole gateway under faults that a seed chooses, and whether that would notice anything.

A seed that fails is played again by `python -m benchmarks.simulate_seeds --seed N --trace`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.simulation.mutants import Mutant, caught, mutants
from tests.simulation.plan import KINDS, Fault, Plan, plan_of
from tests.simulation.plans import plans
from tests.simulation.world import Run, simulate

ROOT = Path(__file__).parents[2]
_SEEDS = 200
#: Of plans that come near. By seeds alone some take hundreds: `benchmarks.simulate_seeds --mutants`.
_SEEN_WITHIN = 40


@pytest.mark.parametrize("first", range(0, _SEEDS, 20))
def test_no_seed_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + 20):
        assert_kept(played(seed))


@cache
def played(seed: int) -> Run:
    return simulate(plan_of(seed))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans)
def test_no_plan_of_faults_breaks_a_promise(plan: Plan) -> None:
    assert_kept(simulate(plan))


def assert_kept(run: Run) -> None:
    if run.violations:
        pytest.fail(f"{run.plan}\n{run.violations}\n{run.tail()}", pytrace=False)


def test_a_run_without_faults_issues_every_visa() -> None:
    run = simulate(Plan(seed=1, batches=(3, 3), roughness=0.0))
    assert not run.violations
    assert run.ends.get("under_review", 0) == 0
    assert run.visas == run.ends["completed/issued"] > 0


def test_every_fault_strikes_in_some_seed() -> None:
    struck: Counter[str] = Counter()
    for seed in range(_SEEDS):
        struck.update(played(seed).struck)
    assert set(struck) == set(KINDS)


def test_a_seed_plays_the_same_run_again() -> None:
    for seed in range(5):
        assert simulate(plan_of(seed)).digest() == played(seed).digest()


def test_a_seed_plays_the_same_run_in_another_process() -> None:
    """Nothing of this process's hashes, times or ids decides anything."""
    program = (
        "from tests.simulation.plan import plan_of; from tests.simulation.world import simulate;"
        "print(simulate(plan_of(7)).digest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == played(7).digest()


def test_another_seed_is_another_run() -> None:
    assert played(1).digest() != played(2).digest()


def test_the_plans_that_show_a_broken_gateway_break_no_whole_one() -> None:
    for plan in sorted({mutant.near(number) for mutant in mutants() for number in range(3)}, key=repr):
        assert_kept(simulate(plan))


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_broken_gateway_is_noticed(mutant: Mutant) -> None:
    assert caught(mutant, _SEEN_WITHIN, plan=mutant.near), "a fault or an invariant is missing"


def test_a_killed_process_leaves_what_it_asked_for_to_another() -> None:
    """A crash just after an intent was committed: the register is asked, and nothing is issued twice."""
    crash = Fault(step=0, kind="crash", amount=5.0, after="issue")
    run = simulate(Plan(seed=3, processes=2, batches=(4,), roughness=0.0, faults=(crash,)))
    assert not run.violations
    assert any(entry[1] == "crash" for entry in run.trace)
    assert ("uncertain", "inquiring") in {entry[4:6] for entry in run.trace if entry[1] == "move"}
