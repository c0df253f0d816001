"""Batches of every size, and everybody at once (`make large-and-small`).

    python -m benchmarks.large_and_small [--only large,small,centers,single] [--long] [--no-write]

- large: one batch of 100,000 lines; what the gateway's process needs of memory, and how fast it takes it in.
- small: 10,000 batches of ten lines, from four centers.
- centers: 500 centers, each a party with a licensee of its own, hand in a batch at the same moment.
- single: one application at a time on an idle system: what the gateway adds to its partners' own time.

Every result is looked up: issued exactly once by the partner's register, and known under that number to the
center. Of a load that takes longer than its share of eight minutes, the rest is left when the time is over:
what was carried until then is judged, and that nothing of the rest is lost (`--long` waits for all of it).

Writes benchmarks/large_and_small.json and its part of docs/performance.md. Exit 1 when a promise was not
kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.accounting import Components, foreign_share, moment
from benchmarks.centers import Center, answers, batches, configure
from benchmarks.measure import calibration_ms
from benchmarks.pages import concluded, machine
from benchmarks.peers import verdict
from benchmarks.peers.contender import OWN, Batch, Outcome
from benchmarks.peers.figures import percentile, rounded
from benchmarks.peers.gateways import _QUIET
from benchmarks.peers.partner import Partner, partner
from benchmarks.peers.supply import CENTERS, Supply
from tests.processes import ROOT, Installation

JSON: Final = Path(__file__).with_name("large_and_small.json")
PAGE: Final = ROOT / "docs" / "performance.md"
#: Promised.
PEAK_MB: Final = 250.0
SPREAD: Final = 0.20
ADDED_MS: Final = {"added_p50_ms": 6.0, "added_p99_ms": 20.0}
#: While others use more than this share of the machine, wall clocks say little.
FOREIGN: Final = 0.15
_WARM: Final = 40
_START_S: Final = 120.0
#: For a load to be carried, where it is waited for to its end.
_LONG_S: Final = 3_600.0

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each."""

    #: Lines of the large batch.
    large: int = 100_000
    #: Batches, and lines of each.
    small: tuple[int, int] = (10_000, 10)
    #: Centers, and lines of each one's batch.
    centers: tuple[int, int] = (500, 20)
    single: int = 300
    #: For a load to be carried, in seconds.
    patience_s: float = 80.0


def main() -> int:
    given = _given()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = measured(
        given.only.split(","), Sizes(patience_s=_LONG_S) if given.long else Sizes(), given.broken
    )
    return concluded("large-and-small", found, table(found), JSON, None if given.no_write else PAGE)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(LOADS), help="some of them, separated by commas")
    parser.add_argument("--long", action="store_true", help="wait until everything is carried")
    parser.add_argument("--no-write", action="store_true", help="leave the files as they are")
    parser.add_argument("--broken", help="a gateway that is broken on purpose: lanes (benchmarks.unfair)")
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - set(LOADS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return given


def measured(names: Sequence[str], sizes: Sizes, wrong: str | None = None) -> Found:
    """The whole document."""
    calibration = calibration_ms()
    loads = {name: _alone(LOADS[name], sizes, wrong) for name in names}
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "calibration_ms": calibration,
        "loads": loads,
    }
    return {**document, "broken": broken(loads)}


def _alone(load: Callable[[Gateway, Sizes], Found], sizes: Sizes, wrong: str | None) -> Found:
    """On a gateway of its own."""
    began = moment()
    with _running(sizes.centers[0] if load is _centers else 0, wrong) as gateway:
        found = load(gateway, sizes)
        memory = gateway.components().peak_mb()[OWN]
    share = foreign_share(began, moment(), os.cpu_count() or 1)
    found = {**found, "peak_mb": memory, "foreign_cpu": rounded(share)}
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def broken(loads: Mapping[str, Found]) -> list[str]:
    """Promises that were not kept. What clocks on the wall say is judged on a quiet machine only."""
    found = [f"{name}: {fault}" for name, load in loads.items() for fault in load["faults"]]
    if (peak := loads.get("large", {}).get("peak_mb", 0)) > PEAK_MB:
        found.append(f"large: the process peaked at {peak:g} MB")
    if (spread := loads.get("centers", {}).get("spread", 0)) > SPREAD:
        found.append(f"centers: completion differs by {spread:.0%} from the median")
    if (single := loads.get("single")) and single["foreign_cpu"] <= FOREIGN:
        late = {name: single[name] for name, most in ADDED_MS.items() if single[name] > most}
        found += [f"single: {name} is {value:g}" for name, value in late.items()]
    return found


# --- a gateway and its centers -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gateway:
    """Embedded, with the stub of its partners."""

    home: Installation
    partner: Partner

    def components(self) -> Components:
        return Components({OWN: self.home.processes["gateway"].pid})

    def center(self, batches: Sequence[Batch], number: int = 0) -> Center:
        """With an address of its own: the gateway limits connections from one."""
        address = f"127.0.{number // 250}.{number % 250 + 1}"
        return Center(batches, self.home.data, self.home.url("public"), address)

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Of its ledger, whatever it is doing."""
        ledger = self.home.data / "gateway.db"
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()


@contextmanager
def _running(centers: int, wrong: str | None) -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="umrah-sizes-") as folder, ExitStack() as stack:
        home = Installation(Path(folder), changes=_QUIET)
        configure(home.folder / "config", centers)
        stack.callback(home.stop)
        found = stack.enter_context(partner(home.ports["partners"]))
        start(home, wrong)
        yield Gateway(home, found)
        home.terminate("gateway")


def start(home: Installation, wrong: str | None) -> None:
    """The gateway, or one that is broken on purpose. With so many parties it takes some seconds."""
    broken = "" if wrong is None else f"from benchmarks import unfair; unfair.{wrong}(); "
    code = f"{broken}from cli.main import main; raise SystemExit(main())"
    home.processes["gateway"] = subprocess.Popen(
        [sys.executable, "-c", code, "serve"],
        cwd=ROOT,
        env={**os.environ, **home.environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + _START_S
    while home.get("admin", "/livez") is None:
        if time.monotonic() > until or not home.alive("gateway"):
            raise TimeoutError("the gateway did not come up")
        time.sleep(0.1)


async def _all(gateway: Gateway, given: Sequence[Sequence[Batch]], patience_s: float) -> Found:
    """Each center hands in its batches, all at the same time; then wait, and look everything up."""
    async with AsyncExitStack() as stack:
        centers = [
            await stack.enter_async_context(gateway.center(batches, n)) for n, batches in enumerate(given)
        ]
        count = sum(len(batch.lines) for batches in given for batch in batches)
        cpu, began, at = gateway.components().cpu_s()[OWN], time.monotonic(), time.time()
        await asyncio.gather(*(center.send() for center in centers))
        accepted_s = time.monotonic() - began
        whole = await _completed(gateway, patience_s)
        spent = gateway.components().cpu_s()[OWN] - cpu
        ((settled, last),) = gateway.read(
            "SELECT count(*), max(completed_at) / 1e6 FROM message WHERE outcome = 'issued'"
        )
        return {
            "applications": count,
            "carried": settled,
            "accepted_in_s": rounded(accepted_s),
            "lines_per_second": rounded(count / accepted_s),
            "applications_per_second": rounded(settled / ((last or at + 1) - at)),
            # Taking in all of them, and carrying some, is no figure.
            "cpu_ms_per_application": rounded(1000 * spent / count) if whole else None,
            "answers": answers(centers),
            "faults": await _faults(gateway, centers, whole=whole),
        }


async def _completed(gateway: Gateway, patience_s: float) -> bool:
    """Whether all batches were completed in time."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if gateway.read("SELECT count(*) FROM batch WHERE state <> 'completed'") == [(0,)]:
            return True
        await asyncio.sleep(0.2)
    return False


# --- the check of every result -----------------------------------------------------------------------------


async def _faults(gateway: Gateway, centers: Sequence[Center], *, whole: bool) -> list[str]:
    given = [line["passport"]["number"] for one in centers for batch in one.batches for line in batch.lines]
    # What is carried meanwhile is in the evidence that is asked for last.
    said = [outcome for one in centers for outcome in await one.outcomes()]
    evidence = await asyncio.to_thread(gateway.partner.evidence)
    found = verdict.faults(given, evidence, said) if whole else unfinished(given, evidence, said)
    refused = {status: n for status, n in answers(centers).items() if status >= 400 and status != 429}
    return found + [f"answered {status}: {count} times" for status, count in refused.items()]


def unfinished(given: Sequence[str], evidence: Mapping[str, Any], said: Sequence[Outcome]) -> list[str]:
    """What is wrong while some are still under way: each is known, and what was issued, was issued once."""
    issued = Counter(passport for passport, _ in evidence["visas"])
    numbers, told = dict(evidence["visas"]), Counter(outcome.passport for outcome in said)
    wrong = {
        "lost": [one for one in given if not told[one]],
        "more than one outcome": [one for one, times in told.items() if times > 1],
        "issued more than once": [one for one, times in issued.items() if times > 1],
        "issued, and never asked for": list(issued.keys() - set(given)),
        "another visa than the partner's": [
            each.passport
            for each in said
            if each.visa is not None and numbers.get(each.passport) != each.visa
        ],
    }
    return [f"{what}: {len(passports)}" for what, passports in wrong.items() if passports]


# --- the loads ---------------------------------------------------------------------------------------------


def _large(gateway: Gateway, sizes: Sizes) -> Found:
    """One batch, while nothing else is to be done."""
    return asyncio.run(_all(gateway, [[Supply(21).batch(sizes.large)]], sizes.patience_s))


def _small(gateway: Gateway, sizes: Sizes) -> Found:
    """Many batches, each center one after the other."""
    supply, (count, lines) = Supply(22), sizes.small
    made = [supply.batch(lines) for _ in range(count)]
    by_center = [[batch for batch in made if batch.center == center] for center in CENTERS]
    found = asyncio.run(_all(gateway, by_center, sizes.patience_s))
    return {**found, "batches": count, "batches_per_second": rounded(count / found["accepted_in_s"])}


def _centers(gateway: Gateway, sizes: Sizes) -> Found:
    """Everybody at the same moment."""
    count, lines = sizes.centers
    found = asyncio.run(_all(gateway, [[batch] for batch in batches(count, lines, 23)], sizes.patience_s))
    first = gateway.read("SELECT min(created_at) / 1e6 FROM batch")[0][0]
    ended = [
        at - first
        for (at,) in gateway.read("SELECT completed_at / 1e6 FROM batch WHERE completed_at IS NOT NULL")
    ]
    return {**found, "centers": count, **completion(ended)}


def completion(seconds: Sequence[float]) -> Found:
    """When centers had everything. `spread`: how far the furthest is from the median, as a share of it."""
    if not seconds:
        return {"spread": 1.0}
    median = percentile(seconds, 0.5)
    shown = {"first": min(seconds), "p05": percentile(seconds, 0.05), "median": median,
             "p95": percentile(seconds, 0.95), "last": max(seconds)}  # fmt: skip
    return {
        "completed_s": {name: rounded(value) for name, value in shown.items()},
        "spread": rounded(max(abs(value - median) for value in seconds) / median),
    }


def _single(gateway: Gateway, sizes: Sizes) -> Found:
    """One after the other; the first ones warm connections and code up."""
    supply = Supply(24)
    made = [supply.batch(1) for _ in range(_WARM + sizes.single)]
    found = asyncio.run(_one_by_one(gateway, made, sizes.patience_s))
    added, whole = zip(*[(added, whole) for added, whole in gateway.read(_ADDED)][_WARM:], strict=True)
    return {
        "applications": sizes.single,
        "added_p50_ms": rounded(percentile(added, 0.5)),
        "added_p99_ms": rounded(percentile(added, 0.99)),
        "p50_ms": rounded(percentile(whole, 0.5)),
        "p99_ms": rounded(percentile(whole, 0.99)),
        "faults": found,
    }


#: From received to final, without and with the partners' calls; those of a stage are made at the same time.
_ADDED: Final = """
SELECT (m.completed_at - m.received_at - a.checks - a.issue) / 1e3, (m.completed_at - m.received_at) / 1e3
FROM message m JOIN (
    SELECT message_id,
        max(finished_at) FILTER (WHERE repeatable = 1)
            - min(started_at) FILTER (WHERE repeatable = 1) AS checks,
        max(finished_at - started_at) FILTER (WHERE repeatable = 0) AS issue
    FROM attempt GROUP BY message_id
) a ON a.message_id = m.id WHERE m.outcome = 'issued' ORDER BY m.received_at
"""


async def _one_by_one(gateway: Gateway, made: Sequence[Batch], patience_s: float) -> list[str]:
    by_center = {name: gateway.center([batch for batch in made if batch.center == name]) for name in CENTERS}
    async with AsyncExitStack() as stack:
        for center in by_center.values():
            await stack.enter_async_context(center)
        for batch in made:
            await by_center[batch.center].send_one(batch)
            if not await _completed(gateway, patience_s):
                return ["an application on an idle system is not final"]
        return await _faults(gateway, list(by_center.values()), whole=True)


LOADS: Final[Mapping[str, Callable[[Gateway, Sizes], Found]]] = {
    "large": _large,
    "small": _small,
    "centers": _centers,
    "single": _single,
}


# --- the page ----------------------------------------------------------------------------------------------

_ROWS: Final = (
    ("applications", "applications"),
    ("of them carried in the time given", "carried"),
    ("accepted in s", "accepted_in_s"),
    ("lines/s taken in", "lines_per_second"),
    ("applications/s carried", "applications_per_second"),
    ("CPU ms an application", "cpu_ms_per_application"),
    ("peak MB of the process", "peak_mb"),
    ("furthest from the median completion", "spread"),
    ("p50 / p99 ms", "p50_ms"),
    ("added to the partners' own: p50 / p99 ms", "added_p50_ms"),
)
_TITLES: Final = {
    "large": "a batch of 100,000",
    "small": "10,000 batches of ten",
    "centers": "500 centers at once",
    "single": "one at idle",
}


def table(document: Found) -> str:
    """The section of the page."""
    loads = document["loads"]
    busy = [name for name, load in loads.items() if load["foreign_cpu"] > FOREIGN]
    doubt = f", **provisional** for {', '.join(busy)}: others used the machine too" if busy else ""
    head = (
        f"Measured on {document['date']}, {document['machine']}, {document['calibration_ms']:g} ms for a "
        f"million steps of a plain Python loop{doubt}:"
    )
    lines = [
        head,
        "",
        f"| | {' | '.join(_TITLES[name] for name in loads)} |",
        f"|{' --- |' * (len(loads) + 1)}",
    ]
    for title, name in _ROWS:
        shown = [_shown(load, name) for load in loads.values()]
        if any(shown):
            lines.append(f"| {title} | {' | '.join(shown)} |")
    return "\n".join([*lines, *_asides(loads)])


def _shown(load: Found, name: str) -> str:
    value = load.get(name)
    if value is None:
        return ""
    if name == "spread":
        return f"{value:.0%}"
    other = load.get(name.replace("p50", "p99")) if "p50" in name else None
    return f"{value:,g}" if other is None else f"{value:,g} / {other:,g}"


def _asides(loads: Mapping[str, Found]) -> list[str]:
    """Answers that were not 2xx, and when centers had everything."""
    waited = {name: load["answers"].get(429, 0) for name, load in loads.items() if "answers" in load}
    shown = ", ".join(f"{_TITLES[name]} {count:,}" for name, count in waited.items())
    said = [f"Told to wait and come again (429): {shown}."]
    if done := loads.get("centers", {}).get("completed_s"):
        shown = ", ".join(f"{name} {value:g}" for name, value in done.items())
        said.append(f"Centers had everything after, in seconds: {shown}.")
    return ["", " ".join(said)] if waited else []


if __name__ == "__main__":
    sys.exit(main())
