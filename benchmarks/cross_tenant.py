"""Probes over every route of the public listener, each center against what is the other's (docs/access.md).

Writes the table of docs/access.md. Exit 1 when anything of another party showed or was changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cli.serve import run
from tests.access.documents import put, written
from tests.access.judge import Tally, everything, probe
from tests.access.probes import PROBES, in_order
from tests.access.stage import CENTERS, open_stage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=10_000, help="of each route in the name of each center")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-document", action="store_true", help="leave docs/access.md as it is")
    given = parser.parse_args()
    with ProcessPoolExecutor(len(CENTERS)) as processes:
        runs = processes.map(partial(_of_a_center, given.probes, given.seed), CENTERS)
        tallies, changed = map(list, zip(*runs, strict=True))
    flat = [tally for of_center in tallies for tally in of_center]
    differing = [name for of_center in changed for name in of_center]
    print(f"changed: {differing or 'nothing'}")
    if not given.no_document:
        put(written(flat, len(differing), f"{datetime.now(UTC).date()}"))
    return int(bool(differing) or any(tally.leaks or tally.unexplained for tally in flat))


def _of_a_center(probes: int, seed: int, center: str) -> tuple[list[Tally], list[str]]:
    """Everything that one center tries, in a gateway of its own, and which documents were changed by it."""
    tallies: list[Tally] = []
    changed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="umrah-access-") as folder:
        run(_probe(Path(folder), center, probes, seed, tallies, changed))
    return tallies, changed


async def _probe(
    folder: Path, center: str, probes: int, seed: int, tallies: list[Tally], changed: list[str]
) -> None:
    async with open_stage(folder) as stage:
        if stage.routes() != set(PROBES):
            raise SystemExit(f"routes without probes: {stage.routes() ^ set(PROBES)}")
        before = await everything(stage)
        for route in in_order():
            began = time.monotonic()
            tallies.append(await probe(stage, route, center, probes, seed))
            _tell(tallies[-1], time.monotonic() - began)
        after = await everything(stage)
        changed += [name for name, document in before.items() if after[name] != document]


def _tell(tally: Tally, seconds: float) -> None:
    print(
        f"{' '.join(tally.route):<40} {tally.tenant}  {tally.probes} probes in {seconds:.0f} s, "
        f"{len(tally.leaks)} canaries, {len(tally.unexplained)} unexplained, known {dict(tally.known)}",
        flush=True,
    )
    for found in (*tally.leaks[:5], *tally.unexplained[:3]):
        print(f"    {found[:4000]}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
