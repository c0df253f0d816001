"""What a gateway costs when its ledger has grown, beside one that is empty (`make growth`).

    python -m benchmarks.growth [--long] [--rounds 5] [--sizes 10000,1000000] [--without INDEX] [--no-write]

Each ledger was made by multiplying the rows of a small one that a gateway wrote (`benchmarks.multiply`); it
is kept in a temporary folder and copied for each run. All gateways run at the same time and take turns at
the work, another one first in each round; ratios are of one round. Then, on the largest: retention ends for a
tenth of it while applications come in, claims are timed, the plans of all hot statements are read, and what
`ANALYZE` and `VACUUM INTO` take is measured on the copy.

Writes benchmarks/growth.json and its part of docs/performance.md. Exit 1 when an application was lost, issued
twice or told of wrongly, when a plan walks through what grows, or when less than 0.9 of the throughput is
left.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import plans
from benchmarks.accounting import foreign_share, moment
from benchmarks.grown import Side, history, prepared, running
from benchmarks.measure import calibration_ms
from benchmarks.multiply import NOT_GROWN, rows_of
from benchmarks.pages import concluded, machine
from benchmarks.peers.contender import OWN
from benchmarks.peers.figures import percentile, rotated, rounded, spread
from benchmarks.peers.sample import _idle, _throughput
from benchmarks.upkeep import claims, maintenance, retention
from tests.processes import ROOT

JSON: Final = Path(__file__).with_name("growth.json")
PAGE: Final = ROOT / "docs" / "performance.md"
EMPTY: Final = "empty"
SIZES: Final = (10_000, 1_000_000)
LONG: Final = 5_000_000
#: Of the throughput beside an empty ledger, at least.
KEPT: Final = 0.9
#: While others use more than this share of the machine, wall clocks say little: then CPU decides alone.
FOREIGN: Final = 0.15
_APPLICATIONS: Final = 600
_SINGLE: Final = 30
_STATUSES: Final = 200
_IDLE_S: Final = 1.0

Sample = dict[str, Any]


def main() -> int:
    given = _given()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = [int(size) for size in given.sizes.split(",")] + [LONG] * given.long
    found = measured(sizes, given.rounds, given.applications, given.without)
    return concluded("growth", found, table(found), JSON, None if given.no_write else PAGE)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="messages in the ledgers")
    parser.add_argument("--long", action="store_true", help=f"{LONG:,} too: 60 GB of disk, an hour")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--applications", type=int, default=_APPLICATIONS, help="of one ledger in a round")
    parser.add_argument("--without", metavar="INDEX", help="drop it first: the verdict has to notice")
    parser.add_argument("--no-write", action="store_true", help="leave the files as they are")
    return parser.parse_args()


# --- what is measured --------------------------------------------------------------------------------------


def measured(
    sizes: Sequence[int], rounds: int, applications: int, without: str | None = None
) -> dict[str, Any]:
    """The whole document. `without`: an index that all ledgers are to do without."""
    calibration, began = calibration_ms(), moment()
    with tempfile.TemporaryDirectory(prefix="umrah-growth-") as folder, ExitStack() as stack:
        sides = [
            stack.enter_context(running(name, prepared(size), Path(folder) / name, without))
            for name, size in {EMPTY: 0, **{f"{size:,}": size for size in sizes}}.items()
        ]
        samples = [_round(sides, turn, applications) for turn in range(rounds)]
        share = foreign_share(began, moment(), os.cpu_count() or 1)
        document = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "calibration_ms": calibration,
            "foreign_cpu": rounded(share),
            "applications_a_round": applications,
            "ratios": {side.name: _ratios(side.name, samples) for side in sides[1:]},
            **_looked_into(sides, samples),
            "not_grown": dict(NOT_GROWN),
            "rounds": samples,
        }
    return {**document, "broken": broken(document)}


def _looked_into(sides: Sequence[Side], samples: Sequence[Mapping[str, Sample]]) -> dict[str, Any]:
    """Retention while they run, the check of all results, and what can be seen of ledgers at rest."""
    largest = sides[-1]
    shredding = retention(largest)
    print(json.dumps({"retention": shredding}), file=sys.stderr, flush=True)
    faults = {side.name: side.faults() for side in sides}
    memory = {side.name: side.peak_mb for side in sides}
    for side in sides:
        side.gateway.home.terminate("gateway")
    statements = plans.statements(largest.folder, largest.partner.url, 40, seed=99)
    return {
        "faults": {name: each for name, each in faults.items() if each},
        "retention": shredding,
        "plans": _plans(largest, statements),
        "ledgers": {
            side.name: {**_ledger(side, samples), "peak_mb": memory[side.name], **claims(side.ledger)}
            for side in sides
        },
        "maintenance": maintenance(largest.ledger, statements),
    }


def _plans(side: Side, statements: Mapping[str, str]) -> dict[str, Any]:
    """How what a gateway runs finds its rows, before anything is made ready again."""
    rows, steps = rows_of(side.ledger), plans.plans(side.ledger, statements)
    used = sorted({step.index for step in steps if step.index in rows})
    return {
        "statements": len(statements),
        "faults": plans.faults(steps, rows),
        "entries_by_index": {name: rows[name] for name in used},
    }


def _round(sides: Sequence[Side], turn: int, applications: int) -> dict[str, Sample]:
    by_name = {side.name: side for side in sides}
    found = {name: _sample(by_name[name], applications) for name in rotated(list(by_name), turn)}
    print(json.dumps({"round": turn, **found}), file=sys.stderr, flush=True)
    return {name: found[name] for name in by_name}


def _sample(side: Side, applications: int) -> Sample:
    """One ledger's turn."""
    side.reconnect()
    waiting = _waiting(side)
    return {**waiting, **_idle(side.given, side.supply, _SINGLE), **_statuses(side),
            **_throughput(side.given, side.supply, applications)}  # fmt: skip


def _waiting(side: Side) -> Sample:
    """What it uses when nothing comes in."""
    components = side.gateway.components()
    before = components.cpu_s()[OWN]
    time.sleep(_IDLE_S)
    return {"idle_cpu_ms_per_s": rounded(1000 * (components.cpu_s()[OWN] - before) / _IDLE_S)}


def _statuses(side: Side) -> Sample:
    """How long the status of a batch of the past takes, as a center sees it."""
    times = []
    for batch, center in history(side.ledger, _STATUSES):
        began = time.perf_counter()
        side.gateway._ask("GET", f"/v1/batches/{batch}", side.gateway._reading(center))
        times.append(1000 * (time.perf_counter() - began))
    return {
        "status_p50_ms": rounded(percentile(times, 0.5)),
        "status_p99_ms": rounded(percentile(times, 0.99)),
    }


# --- what it comes to --------------------------------------------------------------------------------------

_FIGURES: Final = (
    "applications_per_second", "cpu_ms_per_application", "p50_ms", "p99_ms", "status_p50_ms", "status_p99_ms",
    "idle_cpu_ms_per_s",
)  # fmt: skip


def _ledger(side: Side, samples: Sequence[Mapping[str, Sample]]) -> Sample:
    medians = {figure: spread([each[side.name][figure] for each in samples])["median"] for figure in _FIGURES}
    return {
        "messages": side.messages,
        **medians,
        "file_mb": side.file_mb,
        "started_in_s": side.started_in_s,
    }


def _ratios(name: str, samples: Sequence[Mapping[str, Sample]]) -> dict[str, Any]:
    """To the empty one in the same round."""
    return {
        figure: spread([each[name][figure] / (each[EMPTY][figure] or 1e-9) for each in samples])
        for figure in _FIGURES[:-1]
    }


def broken(document: Mapping[str, Any]) -> list[str]:
    """Promises that were not kept."""
    found = [f"{name}: {fault}" for name, faults in document["faults"].items() for fault in faults]
    found += document["plans"]["faults"] + document["retention"]["faults"]
    quiet = document["foreign_cpu"] <= FOREIGN
    for name, ratios in document["ratios"].items():
        throughput = ratios["applications_per_second"]["median"]
        cpu = ratios["cpu_ms_per_application"]["median"]
        if quiet and throughput < KEPT:
            found.append(f"{name} messages: {throughput:g} of the throughput beside an empty ledger")
        if cpu > 1 / KEPT:
            found.append(f"{name} messages: {cpu:g} times the CPU of an empty ledger")
    return found


# --- the page ----------------------------------------------------------------------------------------------

_ROWS: Final = (
    ("messages in the ledger", "messages"),
    ("file, MB", "file_mb"),
    ("applications/s", "applications_per_second"),
    ("CPU ms an application", "cpu_ms_per_application"),
    ("one application at idle, p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("status of a batch of the past, p50 ms", "status_p50_ms"),
    ("p99 ms", "status_p99_ms"),
    ("claim of 32, p50 ms", "claim_p50_ms"),
    ("p99 ms", "claim_p99_ms"),
    ("CPU ms a second when nothing comes in", "idle_cpu_ms_per_s"),
    ("peak MB of the process", "peak_mb"),
    ("start, s", "started_in_s"),
)


def table(document: Mapping[str, Any]) -> str:
    """The section of the page."""
    ledgers, ratios = document["ledgers"], document["ratios"]
    lines = [_measured(document), "", *_markdown(["", *ledgers])]
    lines += [
        f"| {title} | {' | '.join(f'{each[name]:,}' for each in ledgers.values())} |" for title, name in _ROWS
    ]
    for title, name in (
        ("throughput to empty", "applications_per_second"),
        ("CPU to empty", "cpu_ms_per_application"),
    ):
        shown = (
            f"{each[name]['median']:g} ({each[name]['least']:g} to {each[name]['most']:g})"
            for each in ratios.values()
        )
        lines.append(f"| {title}, in one round | | {' | '.join(shown)} |")
    return "\n".join([*lines, "", *_upkeep(document)])


def _measured(document: Mapping[str, Any]) -> str:
    share = document["foreign_cpu"]
    doubt = "" if share <= FOREIGN else f", **provisional**: others used {share:.0%} of the machine meanwhile"
    return (
        f"Measured on {document['date']}, {document['machine']}, {document['calibration_ms']:g} ms for a "
        f"million steps of a plain Python loop; medians of {len(document['rounds'])} rounds of "
        f"{document['applications_a_round']} applications{doubt}:"
    )


def _markdown(head: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]


def _upkeep(document: Mapping[str, Any]) -> list[str]:
    shredding, upkeep = document["retention"], document["maintenance"]
    until, before, meanwhile = shredding["seconds_until"], shredding["before"], shredding["meanwhile"]
    ended = until.get("finished_at")
    rows = ", ".join(f"{count:,} {store}" for store, count in shredding["rows"].items())
    return [
        f"Retention on the largest, while applications come in: the keys were gone after "
        f"{until.get('keys_destroyed_at', 0):g} s; rows emptied ({rows}) "
        f"{f'after {ended:g} s' if ended else 'when the measurement ended'}. Meanwhile "
        f"{meanwhile['applications_per_second']:g} applications/s (before: "
        f"{before['applications_per_second']:g}), one at idle p50 {meanwhile['p50_ms']:g} ms.",
        "",
        f"On a ledger that nobody has open `PRAGMA optimize` takes {upkeep['optimize_s']:g} s, `ANALYZE` "
        f"{upkeep['analyze_s']:g} s, `VACUUM INTO` {_vacuum(upkeep)}; plans of "
        f"{len(upkeep['plans_that_change'])} of {document['plans']['statements']} hot statements change "
        "by the statistics.",
    ]


def _vacuum(upkeep: Mapping[str, Any]) -> str:
    if upkeep["vacuum_s"] is None:
        return "more room than there is"
    before, after = upkeep["file_mb_before_vacuum"], upkeep["file_mb_after_vacuum"]
    return f"{upkeep['vacuum_s']:g} s ({before:,} to {after:,} MB)"


if __name__ == "__main__":
    sys.exit(main())
