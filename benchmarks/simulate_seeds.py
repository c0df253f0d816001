"""Plays seeds of the simulation on all cores, as many as wanted, until one shows that a promise is not kept.

    python -m benchmarks.simulate_seeds --seeds 50000                 # with progress; exit 1 on a violation
    python -m benchmarks.simulate_seeds --first 20000 --seeds 30000   # goes on where another run ended
    python -m benchmarks.simulate_seeds --minutes 20 --write          # as many as fit; figures are kept
    python -m benchmarks.simulate_seeds --seed 4711 --trace           # one again, and all that happens in it
    python -m benchmarks.simulate_seeds --mutants --seeds 1000        # would it notice? 29 broken gateways

What a seed plays stands in `tests/simulation`, what it proves in `docs/simulation.md`. Figures of a run that
goes on where the one before ended are added to those.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.pages import machine
from tests.simulation.mutants import Mutant, caught, mutants
from tests.simulation.plan import plan_of
from tests.simulation.world import Run, simulate

_RESULT: Final = Path(__file__).with_name("simulation.json")
_TAIL: Final = 80
#: Seeds that a process plays in one go.
_PORTION: Final = 20
#: How often it is told how many were played, where there is no bar.
_LINE_EVERY: Final = 1_000
#: Plans that come near a mutant, tried where no seed showed it.
_NEAR: Final = 60
#: What has to be known of several runs to add them up.
_SUMS: Final = (
    "seeds", "violations", "runs_with_what_is_known_of_clocks", "messages", "visas", "left_to_a_person",
    "faults", "virtual_s", "steps",
)  # fmt: skip


@dataclass
class Played:
    """What came of some seeds, one after the other from `first` on."""

    first: int
    cpu_s: float = 0.0
    sums: Counter[str] = field(default_factory=Counter)
    #: Faults that struck, by kind.
    struck: Counter[str] = field(default_factory=Counter)
    #: The first seed that broke a promise; none was played after it.
    broken: int | None = None

    def add(self, run: Run) -> None:
        self.sums.update(
            seeds=1,
            violations=len(run.violations),
            runs_with_what_is_known_of_clocks=bool(run.known),
            messages=sum(run.ends.values()),
            visas=run.visas,
            left_to_a_person=run.ends.get("under_review", 0),
            faults=sum(run.struck.values()),
            virtual_s=round(run.virtual_s),
            steps=run.steps,
        )
        self.struck.update(run.struck)
        if run.violations:
            self.broken = run.plan.seed

    def join(self, later: Played) -> None:
        self.cpu_s += later.cpu_s
        self.sums.update(later.sums)
        self.struck.update(later.struck)
        self.broken = later.broken


def main() -> int:
    options = _options()
    if options.seed is not None:
        return _replay(options.seed, whole=options.trace)
    if options.mutants:
        return _mutants(options)
    return _volume(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Plays seeds of the simulation.")
    parser.add_argument("--seeds", type=int, default=2_000, help="how many")
    parser.add_argument("--first", "--from", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes at once")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--trace", action="store_true", help="print all that happens in it")
    parser.add_argument("--mutants", action="store_true", help="how many seeds show each broken gateway")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {_RESULT.name}")
    return parser.parse_args()


# --- one seed ----------------------------------------------------------------------------------------------


def _replay(seed: int, *, whole: bool) -> int:
    run = simulate(plan_of(seed))
    print(run.plan)
    print(run.tail(len(run.trace) if whole else _TAIL))
    print(f"{run.steps} steps, {run.virtual_s:.1f} virtual seconds, {run.visas} visas, {run.ends}")
    print(f"trace {run.digest()}")
    for violation in run.violations:
        print(f"VIOLATION {violation.name}: {violation.detail}", file=sys.stderr)
    return 1 if run.violations else 0


# --- many --------------------------------------------------------------------------------------------------


def _volume(options: argparse.Namespace) -> int:
    total, began = Played(options.first), time.monotonic()
    try:
        for played in _all_played(options, began):
            total.join(played)
            if played.broken is not None:
                break
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    figures = _figures(total, time.monotonic() - began)
    print(json.dumps(figures, indent=2))
    if options.write:
        _keep("seeds", _joined(figures))
    if total.broken is not None:
        print(f"seed {total.broken}:", file=sys.stderr)
        return _replay(total.broken, whole=False) or 1
    print(f"to go on: --first {options.first + total.sums['seeds']}", file=sys.stderr)
    return 0


def _all_played(options: argparse.Namespace, began: float) -> Iterator[Played]:
    """Portion after portion, in their order. No more are begun than a moment's work, for whoever stops it."""
    coming = iter(range(options.first, options.first + options.seeds, _PORTION))
    end, until = options.first + options.seeds, began + options.minutes * 60
    begun: deque[Future[Played]] = deque()
    with _told(options.seeds) as advance, _processes(options.jobs) as processes:
        try:
            while True:
                while len(begun) < 2 * options.jobs and time.monotonic() < until:
                    first = next(coming, None)
                    if first is None:
                        break
                    begun.append(processes.submit(_play, first, min(_PORTION, end - first)))
                if not begun:
                    return
                played = begun.popleft().result()
                advance(played.sums["seeds"])
                yield played
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what was begun is ended in order
            processes.shutdown(cancel_futures=True)


def _play(first: int, count: int) -> Played:
    played, worked = Played(first), time.process_time()
    for seed in range(first, first + count):
        played.add(simulate(plan_of(seed), keep_trace=False))
        if played.broken is not None:
            break
    played.cpu_s = time.process_time() - worked
    return played


def _processes(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, initializer=_begin)


def _begin() -> None:
    """In each process: whoever interrupts means the whole; what is the same in every run is made once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    simulate(plan_of(0), keep_trace=False)
    gc.collect()
    gc.freeze()


@contextmanager
def _told(most: int) -> Iterator[Callable[[int], None]]:
    """A bar, or a line now and then where nobody looks. Call what it gives with how many more were played."""
    screen = Console(stderr=True)
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        task, done = bar.add_task("", total=most), 0

        def advance(count: int) -> None:
            nonlocal done
            bar.advance(task, count)
            done += count
            if not screen.is_terminal and done % _LINE_EVERY < count:
                print(f"{done} of {most} seeds", file=sys.stderr, flush=True)

        yield advance


# --- figures -----------------------------------------------------------------------------------------------


def _figures(played: Played, elapsed_s: float) -> dict[str, Any]:
    return _with_rate(
        {"first_seed": played.first}
        | {name: played.sums[name] for name in _SUMS}
        | {"faults_by_kind": dict(sorted(played.struck.items()))}
        | {"elapsed_s": round(elapsed_s), "cpu_s": round(played.cpu_s, 1)}
    )


def _with_rate(figures: dict[str, Any]) -> dict[str, Any]:
    return figures | {"cpu_ms_per_seed": round(figures["cpu_s"] / max(1, figures["seeds"]) * 1_000, 1)}


def _joined(figures: dict[str, Any]) -> dict[str, Any]:
    """With those of the runs before, where this one went on where they ended."""
    before = _kept().get("seeds", {})
    if "cpu_s" not in before or before["first_seed"] + before["seeds"] != figures["first_seed"]:
        return figures
    by_kind = Counter(before["faults_by_kind"]) + Counter(figures["faults_by_kind"])
    added = {name: before[name] + figures[name] for name in (*_SUMS, "elapsed_s", "cpu_s")}
    return _with_rate(figures | added | {"first_seed": before["first_seed"], "faults_by_kind": dict(by_kind)})


def _kept() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(_RESULT.read_text(encoding="utf-8")) if _RESULT.exists() else {}
    return known


def _keep(part: str, figures: dict[str, Any]) -> None:
    known = _kept() | {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), part: figures}
    written = _RESULT.with_suffix(".new")  # whole or not at all, however this is ended
    written.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    written.replace(_RESULT)


# --- mutants -----------------------------------------------------------------------------------------------


def _mutants(options: argparse.Namespace) -> int:
    found: dict[str, dict[str, Any] | None] = {}
    with _processes(options.jobs) as processes:
        names = [mutant.name for mutant in mutants()]
        seen = processes.map(_seen, names, [options.seeds] * len(names), [options.first] * len(names))
        for name, result in zip(names, seen, strict=True):
            shown = (
                "NOT CAUGHT"
                if result is None
                else f"after {result['after']} {result['of']} by {result['by']}"
            )
            print(f"{name:38} {shown}", flush=True)
            found[name] = result
    if options.write:
        _keep("mutants", found)
    return int(None in found.values())


def _seen(name: str, seeds: int, first: int) -> dict[str, Any] | None:
    """After how many seeds, or else plans that come near, it was seen, and by what."""
    mutant = _mutant_named(name)
    result, how = caught(mutant, seeds, first), "seeds"
    if result is None:
        result, how = caught(mutant, _NEAR, plan=mutant.near), "plans that come near"
    return None if result is None else {"after": result.after, "of": how, "by": result.violation.name}


def _mutant_named(name: str) -> Mutant:
    return next(mutant for mutant in mutants() if mutant.name == name)


if __name__ == "__main__":
    sys.exit(main())
