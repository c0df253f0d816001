"""The survival scenario at length (`make survive`): kills, three classes of partner, the partners' evidence.

Writes benchmarks/survive.json. Exit 1 when anything accepted was lost or any visa issued twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.survival.scenario import Survival

#: How the kills are shared out: most against a partner that deduplicates, as ours is meant to.
SHARES = {"deduplicates": 0.5, "can_be_asked": 0.3, "neither": 0.2}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs in all (default 200)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = []
    for mode, share in SHARES.items():
        kills = max(1, round(given.kills * share))
        with tempfile.TemporaryDirectory(prefix="umrah-survive-") as folder:
            verdict = Survival(Path(folder), kills, foreign_affairs=mode, seed=given.seed, lines=25).run()
        row = verdict.as_row(f"SIGKILL of the gateway, partner {mode}")
        rows.append(row)
        print(json.dumps(row), flush=True)
    Path(__file__).with_name("survive.json").write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    return int(any(row["lost"] or row["issued_twice"] or row["other"]["forgotten"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
