"""The gateway beside what others would build (`make bench`): one run, one table.

    python -m benchmarks.bench [--rounds 5] [--short] [--only celery,gateway_embedded]

Everyone does the same applications, three SOAP calls each, against the same stub of the partners, on a
private PostgreSQL and a private RabbitMQ. Rounds are interleaved, and another contender is first in each. A
run during which other processes used much of the machine is marked, and made again a few times at most.
Figures are medians over rounds; ratios are of one round.

Writes its part of benchmarks/latest.json (`runs`, `against`) and of docs/performance.md, and draws
docs/performance.svg. Exit 1 when an application was lost, issued twice or told of wrongly.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.measure import calibration_ms
from benchmarks.pages import machine
from benchmarks.peers import gateways, others
from benchmarks.peers.chart import chart
from benchmarks.peers.contender import Contender, Tuning
from benchmarks.peers.figures import medians, ratios, rotated, spread
from benchmarks.peers.page import filled
from benchmarks.peers.partner import Partner
from benchmarks.peers.sample import Plan, Started, measured
from benchmarks.peers.services import Services, installed, services
from benchmarks.peers.supply import Supply
from benchmarks.peers.table import components_table, figures_table, ratios_table
from tests.processes import ROOT

LATEST: Final = Path(__file__).with_name("latest.json")
PAGE: Final = ROOT / "docs" / "performance.md"
CHART: Final = ROOT / "docs" / "performance.svg"
#: More than this share of all cores for others: the run says little.
FOREIGN: Final = 0.15
GATEWAYS: Final = ("gateway_embedded", "gateway_embedded_2", "gateway_distributed", "gateway_signed")
PEERS: Final = ("celery", "faststream", "dramatiq")
#: A gateway between any two peers, so that each pair of a round are near each other.
ORDER: Final = (
    "gateway_embedded",
    "celery",
    "gateway_distributed",
    "faststream",
    "gateway_signed",
    "dramatiq",
    "gateway_embedded_2",
)
Opened = Callable[[Services, Tuning], AbstractContextManager[tuple[Contender, Partner]]]
_CONTENDERS: Final[Mapping[str, Opened]] = {
    "gateway_embedded": gateways.embedded,
    "gateway_embedded_2": gateways.embedded_twice,
    "gateway_distributed": gateways.distributed,
    "gateway_signed": gateways.signed,
    "celery": partial(others.running, others.CELERY),
    "faststream": partial(others.running, others.FASTSTREAM),
    "dramatiq": partial(others.running, others.DRAMATIQ),
}
#: Of these, less is better.
_COSTS: Final = ("cpu_ms_per_application", "p50_ms", "slow_partners_s")
_SHORT: Final = Plan(warm_up=40, idle=10, applications=300, half_load_s=2.0, slow=200)
#: Rounds with slow partners: they take longest, and differ least.
_SLOW_ROUNDS: Final = 2

Round = dict[str, dict[str, Any]]


def main() -> int:
    given = _given()
    names = [name for name in ORDER if name in given.only.split(",")]
    plan, count, again = (_SHORT, 1, 0) if given.short else (Plan(), given.rounds, given.again)
    # What was started is ended, however this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    calibration = calibration_ms()
    with services() as running:
        bench = Bench(running, plan, again)
        rounds = bench.rounds(names, count)
    found = report(rounds, names, plan, calibration, made_again=bench.made_again)
    _show(found)
    if not (given.no_write or given.short):
        _write(found)
    return int(any(sample["faults"] for each in rounds for sample in each.values()))


def _given() -> argparse.Namespace:
    """What was asked for, where everything for it is installed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--short", action="store_true", help="one small round, nothing written: does it work?"
    )
    parser.add_argument("--only", default=",".join(ORDER), help="some contenders, separated by commas")
    parser.add_argument("--again", type=int, default=3, help="runs made anew because others were busy (3)")
    parser.add_argument("--no-write", action="store_true", help="leave the files as they are")
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - set(ORDER):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if set(given.only.split(",")) & set(PEERS) and not others.ENVIRONMENT.exists():
        parser.error("the peers' libraries are not installed: make bench does that")
    if not installed():
        parser.error("PostgreSQL and RabbitMQ are not installed: make services does that")
    return given


class Bench:
    """Runs rounds one after the other."""

    def __init__(self, running: Services, plan: Plan, again: int) -> None:
        self._services = running
        self._plan = plan
        self._again = again
        self._seed = 0
        #: Runs that were thrown away.
        self.made_again = 0

    def rounds(self, names: Sequence[str], count: int) -> list[Round]:
        return [self._round(names, turn) for turn in range(count)]

    def _round(self, names: Sequence[str], turn: int) -> Round:
        slow = self._plan.slow if turn < _SLOW_ROUNDS else 0
        plan = Plan(**{**_fields(self._plan), "slow": slow})
        found = {name: self._sample(name, plan, turn) for name in rotated(names, turn)}
        return {name: found[name] for name in names}

    def _sample(self, name: str, plan: Plan, turn: int) -> dict[str, Any]:
        """Made again while others are busy and there are runs left for that."""
        while True:
            sample = self._run(name, plan)
            print(json.dumps({"round": turn + 1, "contender": name, **sample}), file=sys.stderr, flush=True)
            sample["busy"] = sample["foreign_cpu"] > FOREIGN
            if not sample["busy"] or self.made_again >= self._again or sample["faults"]:
                return sample
            self.made_again += 1

    def _run(self, name: str, plan: Plan) -> dict[str, Any]:
        self._seed += 1
        started: Started = partial(_CONTENDERS[name], self._services)
        began = time.monotonic()
        sample = measured(started, Supply(self._seed), plan)
        return {**sample, "took_s": round(time.monotonic() - began, 1)}


def _fields(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in plan.__slots__}


# --- what is made of it ------------------------------------------------------------------------------------


def report(
    rounds: Sequence[Round], names: Sequence[str], plan: Plan, calibration: float, made_again: int = 0
) -> dict[str, Any]:
    """Medians of each, ratios of each gateway to each peer, and every sample."""
    runs = {name: medians([_figures(each[name]) for each in rounds]) for name in names}
    for run in runs.values():
        run.setdefault("slow_partners_s", None)
    return {
        "runs": runs,
        "ratios": _ratios(rounds, names),
        "method": {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "calibration_ms": calibration,
            "rounds": len(rounds),
            "made_again": made_again,
            "busy_samples": sum(sample["busy"] for each in rounds for sample in each.values()),
            **_fields(plan),
        },
        "rounds": list(rounds),
    }


def _figures(sample: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in sample.items() if name not in ("faults", "calibration_ms", "took_s")
    }


def _ratios(rounds: Sequence[Round], names: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """How many times better the gateway is, by each figure."""
    return {
        f"{gateway} to {peer}": found
        for gateway in GATEWAYS
        for peer in PEERS
        if gateway in names and peer in names and (found := _pair(rounds, gateway, peer))
    }


def _pair(rounds: Sequence[Round], gateway: str, peer: str) -> dict[str, dict[str, float]]:
    better = {"applications_per_second": (gateway, peer), **dict.fromkeys(_COSTS, (peer, gateway))}
    found = {figure: ratios(rounds, figure, *pair) for figure, pair in better.items()}
    return {figure: spread(values) for figure, values in found.items() if values}


def _show(found: Mapping[str, Any]) -> None:
    console = Console(width=150)
    for table in (
        figures_table(found["runs"]),
        components_table(found["runs"]),
        ratios_table(found["ratios"]),
    ):
        console.print(table)
    wrong = [
        f"round {number}, {name}: {fault}"
        for number, each in enumerate(found["rounds"], 1)
        for name, sample in each.items()
        for fault in sample["faults"]
    ]
    console.print("\n".join(wrong) or "every application was issued exactly once, by all records")
    if busy := found["method"]["busy_samples"]:
        console.print(f"{busy} samples were taken while others used more than {FOREIGN:.0%} of the machine")


def merged(known: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what was found. What `benchmarks.measure` wrote stays, and whoever was left out."""
    method = found["method"]
    top = {"machine": method["machine"], "date": method["date"], **known}
    runs = {**known.get("runs", {}), **found["runs"]}
    return {**top, "runs": runs, "against": {**found, "runs": list(found["runs"])}}


def drawing(latest: Mapping[str, Any]) -> str:
    """docs/performance.svg of this document."""
    against, method = latest["against"], latest["against"]["method"]
    busy = ", provisional" if method["busy_samples"] else ""
    caption = f"{method['machine']}, {method['date']}, medians of {method['rounds']} round(s){busy}"
    return chart({name: latest["runs"][name] for name in against["runs"]}, caption)


def _write(found: Mapping[str, Any]) -> None:
    known = json.loads(LATEST.read_text()) if LATEST.exists() else {}
    latest = merged(known, found)
    LATEST.write_text(json.dumps(latest, indent=2) + "\n")
    CHART.write_text(drawing(latest))
    PAGE.write_text(filled(PAGE.read_text("utf-8"), latest), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
