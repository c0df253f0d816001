"""The fault table (`make survive`, `make survive-long`): every fault, both engines, the partners' evidence.

Writes benchmarks/survive.json and the table of docs/survival.md. Exit 1 when anything accepted was lost, any
visa issued twice, or another promise of a row did not hold.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.pages import between, machine
from tests.survival.home import ENGINES
from tests.survival.row import Row
from tests.survival.table import LONG, SHORT, TABLE, Ground, Size, missing

_JSON: Final = Path(__file__).with_name("survive.json")
_PAGE: Final = Path(__file__).parents[1] / "docs" / "survival.md"
_BEGIN, _END = "<!-- table -->", "<!-- end of table -->"


def main() -> int:
    given = _arguments()
    # Everything that was started is ended in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    size, began = LONG if given.long else SHORT, time.monotonic()
    chosen = list(_chosen(given.only, given.engine))
    per_share = given.minutes * 60 / sum(TABLE[name].share for name, _ in chosen) if given.minutes else None
    rows: list[Row] = []
    kept = _kept(given.json) if given.merge else []
    with Ground() as ground:
        for name, engine in chosen:
            seconds = None if per_share is None else per_share * TABLE[name].share
            row = _run(name, engine, ground, size, seconds)
            if row is not None:
                rows.append(row)
                print(json.dumps(row.document()), "FAILED" if row.faults() else "holds", flush=True)
                _write(_document(_merged(kept, rows), size, time.monotonic() - began), given.json)
    return int(any(row.faults() for row in rows))


def _write(document: dict[str, Any], path: Path) -> None:
    """After each row: a run that is ended early has shown what it has shown."""
    path.write_text(json.dumps(document, indent=2) + "\n")
    if path == _JSON:
        write_page(document)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="the numbers of the page, in hours")
    parser.add_argument("--short", action="store_true", help="every row once or a few times (default)")
    parser.add_argument("--only", action="append", help=f"one of {', '.join(TABLE)}; may be repeated")
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--minutes", type=float, help="end rows early, so that all of it takes about so long")
    parser.add_argument("--json", type=Path, default=_JSON, help="write here (default: the page's own)")
    parser.add_argument("--merge", action="store_true", help="keep the rows of the file that are not run now")
    return parser.parse_args()


def _chosen(only: list[str] | None, engine: str | None) -> Iterator[tuple[str, str]]:
    for name in only or TABLE:
        for each in TABLE[name].engines:
            if engine in (None, each):
                yield name, each


def _run(name: str, engine: str, ground: Ground, size: Size, seconds: float | None) -> Row | None:
    """None for a row that this machine can't run. What fails to run is a row that says so."""
    lacking = missing(name, engine)
    if lacking is not None:
        print(f"{name} on {engine}: not run, {lacking} is not there", flush=True)
        return None
    print(f"{name} on {engine} …", file=sys.stderr, flush=True)
    try:
        return TABLE[name].run(ground, engine, size, seconds)
    except Exception as error:  # the other rows are still worth running
        traceback.print_exc()
        return Row(name, engine, 0, 0, 0, 0, {"broken": [f"did not run: {type(error).__name__}"]})


def _document(rows: list[Row], size: Size, seconds: float) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "size": size.name.lower(),
        "seconds": round(seconds),
        "rows": [row.document() for row in rows],
    }


def _kept(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text())["rows"]] if path.exists() else []


def _merged(kept: list[Row], rows: list[Row]) -> list[Row]:
    """A row that was run again takes the place of the one before."""
    again = {_key(row) for row in rows}
    return [*(row for row in kept if _key(row) not in again), *rows]


def _key(row: Row) -> tuple[Any, ...]:
    return row.fault, row.engine, row.other.get("victim")


# --- the page -----------------------------------------------------------------------------------------------


def write_page(document: dict[str, Any]) -> None:
    """Put the table into docs/survival.md."""
    page = _PAGE.read_text(encoding="utf-8")
    _PAGE.write_text(between(page, f"{_BEGIN}\n", f"\n{_END}", table(document)), encoding="utf-8")


def table(document: dict[str, Any]) -> str:
    """As Markdown."""
    head = "| fault | engine | runs | accepted | lost | issued twice | left to a person | besides |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in document["rows"]]
    told = f"{document['date']}, {document['machine']}, {document['size']} form, {document['seconds']:,} s."
    return "\n".join([told, "", *lines])


def _cells(row: dict[str, Any]) -> list[str]:
    counts = (
        row["runs"],
        row["accepted"],
        row["lost"],
        row["issued_twice"],
        row["other"].get("under_review", 0),
    )
    return [
        row["fault"] + _of(row),
        row["engine"],
        *(f"{count:,}" for count in counts),
        _besides(row["other"]),
    ]


def _of(row: dict[str, Any]) -> str:
    victim = row["other"].get("victim")
    return f" ({victim})" if victim else ""


#: What is said of a row beside its numbers, in this order.
_TOLD: Final = {
    "resets": "{:,} connections reset",
    "publishes_lost": "events lost on their way {:,} times",
    "commits_cut": "{:,} COMMITs cut",
    "commands": "{:,} commands",
    "events": "{:,} events",
    "events_repeated": "{:,} events repeated",
    "outages_gone_through": "worked on through {} outages",
    "leases_lost": "{:,} late writes refused",
    "stopped_within_s": "503 after {} s",
    "recovered_within_s": "taken again after {} s",
    "carried_on_within_s": "what had been accepted final after {} s",
    "back_within_s": "normal after {} s",
    "calls": "{:,} calls",
    "requests": "{:,} requests",
    "idle_connections_closed": "{:,} idle connections closed",
}


def _besides(other: dict[str, Any]) -> str:
    told = [text.format(other[name]) for name, text in _TOLD.items() if name in other]
    if "commits_resolved" in other:
        told.append("resolved: {kept} kept, {undone} undone".format(**other["commits_resolved"]))
    if "others_p99_s" in other:
        told.append("others' p99 {before} → {meanwhile} s".format(**other["others_p99_s"]))
    return ", ".join([*told, *(f"**{fault}**" for fault in other.get("broken", ()))])


if __name__ == "__main__":
    sys.exit(main())
