"""Key rotation at length (`python -m benchmarks.rotation`): 100,000 messages under load, killed 20 times.

Writes benchmarks/rotation.json. Exit 1 when anything is unreadable afterwards, when anything was set aside,
or when intake paused for a second or more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.keys.rotating import Rotating

#: The longest that intake may pause, in seconds.
LONGEST_PAUSE_S = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs while it is under way (default 20)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="umrah-rotation-") as folder:
        verdict = Rotating(Path(folder), given.messages, given.kills, given.seed, calm_s=10).run()
    print(json.dumps(verdict.as_row()), flush=True)
    Path(__file__).with_name("rotation.json").write_text(json.dumps(verdict.as_row(), indent=2) + "\n")
    bad = verdict.unreadable or verdict.set_aside or verdict.longest_pause_s >= LONGEST_PAUSE_S
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
