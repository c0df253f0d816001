"""Hostile inputs against a real gateway (`make hostile`): every row of the table, then cases by chance.

Starts two gateways, the simulators, a partner that answers badly, and a private RabbitMQ, all on free ports
of this machine; sends each input over a real socket; measures the time until the answer and how far the
gateway's resident memory rises meanwhile; then sends a good message. Prints the table, writes
benchmarks/hostile.json and docs/hostile-inputs.md. A run by chance is written down when it is long
(`--fuzz 100000`), else only printed.
Exit 1 when a row is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.pages import between, machine
from tests.bus.broker import PrivateBroker
from tests.hostile.fuzz import Report, fuzz
from tests.hostile.judge import Result, judge
from tests.hostile.row import LONGEST_S, MOST_MB
from tests.hostile.site import Site
from tests.hostile.table import ROWS, as_document, as_markdown

FILE: Final = Path(__file__).with_name("hostile.json")
PAGE: Final = Path(__file__).parents[1] / "docs/hostile-inputs.md"
#: From here on a run by chance is worth keeping.
LONG: Final = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fuzz", type=int, default=2_000, metavar="N", help="cases by chance (default 2000)")
    parser.add_argument("--seed", type=int, default=None, help="of the cases by chance (default: the day)")
    parser.add_argument("--section", help="only rows of this section; nothing is written")
    parser.add_argument("--no-table", action="store_true", help="only by chance; the table stays as it is")
    given = parser.parse_args()
    seed = int(datetime.now(UTC).strftime("%Y%m%d")) if given.seed is None else given.seed
    rows = [row for row in ROWS if given.section in (None, row.section) and not given.no_table]
    if PrivateBroker.script() is None:
        rows = [row for row in rows if row.door != "amqp"]
        print("RabbitMQ is not installed: the rows of AMQP are left out", file=sys.stderr)
    results = _with_site(lambda site: _shown(judge(rows, site))) if rows else []
    bad = [result for result in results if result.faults]
    report = (
        _with_site(lambda site: fuzz(site, given.fuzz, seed)) if given.fuzz and not given.section else None
    )
    if report is not None:
        print(json.dumps(report.as_document(), indent=2))
    if not given.section:
        _write(results, report, seed)
    print(f"\n{len(results)} rows, {len(bad)} not as they must be")
    return int(bool(bad or (report is not None and report.faults)))


def _with_site(use: Any) -> Any:
    with tempfile.TemporaryDirectory(prefix="umrah-hostile-") as folder:
        site = Site(Path(folder))
        try:
            site.start()
            return use(site)
        finally:
            site.stop()


def _shown(results: Iterable[Result]) -> list[Result]:
    found = []
    for result in results:
        found.append(result)
        cost = result.cost
        spent = f"{cost.seconds * 1000:5.0f} ms {cost.memory_mb:5.1f} MB" if cost else " " * 17
        said = "; ".join(result.faults) or result.answer or result.row.not_applicable or result.row.tried_by
        mark = "WRONG" if result.faults else "  -  " if cost is None else " ok  "
        print(f"{mark} {spent}  {result.row.section}: {result.row.input} -> {said}", flush=True)
    return found


# --- written down -----------------------------------------------------------------------------------------


def _write(results: list[Result], report: Report | None, seed: int) -> None:
    document = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {"fuzz": None}
    page = PAGE.read_text("utf-8")
    if results:
        document |= {"date": _today(), "machine": machine(), "rows": [as_document(each) for each in results]}
        document["limits"] = {"seconds": LONGEST_S, "memory_mb": MOST_MB}
        page = between(page, *_marks("table"), _summary(results) + "\n".join(as_markdown(results)))
    if report is not None and sum(report.cases.values()) >= LONG:
        run = {"date": _today(), "seed": seed, "machine": machine(), **report.as_document()}
        document["fuzz"] = run
        page = between(page, *_marks("fuzz"), _told(run))
    FILE.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page, "utf-8")


def _summary(results: list[Result]) -> str:
    costs = [result.cost for result in results if result.cost is not None]
    bad = sum(bool(result.faults) for result in results)
    return (
        f"Measured on {_today()} ({machine()}): {len(costs)} inputs sent, {bad} not as they must be; "
        f"the slowest {max(cost.seconds for cost in costs) * 1000:.0f} ms, the most memory "
        f"{max(cost.memory_mb for cost in costs):.1f} MB.\n"
    )


def _told(run: dict[str, Any]) -> str:
    grown = run["grown_mb"]
    sources = "\n".join(
        f"| {name} | {count:,} | {grown.get(name, '')} MB |" for name, count in run["by_source"].items()
    )
    answers = "\n".join(f"| {status} | {count:,} |" for status, count in run["answers"].items())
    faults = f"{len(run['faults'])} faults" if run["faults"] else "no fault"
    return (
        f"{run['cases']:,} cases on {run['date']} (seed {run['seed']}, {run['machine']}) in "
        f"{run['seconds']:.0f} s: {faults}. The longest answer took {run['longest_s'] * 1000:.0f} ms "
        f"({run['slow_once']} took over a second once on the shared machine, not when sent again). The most "
        f"memory within 250 cases was {run['most_memory_mb']} MB. Beside each source stands what the process "
        "had more than at the beginning: the database keeps up to 64 MB of pages a connection.\n\n"
        f"| source | cases | memory after it |\n|---|---|---|\n{sources}\n\n"
        f"| answer | cases |\n|---|---|\n{answers}"
    )


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    sys.exit(main())
