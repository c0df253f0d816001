"""Which libraries the CPU of carrying goes to: `python -m benchmarks.native [APPLICATIONS]` (needs `perf`).

Clean applications, carried as in `benchmarks.carry`; samples of the whole process, the ledger's thread
included, by the library or the kernel that ran. Python's own work and what it calls are told apart by that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.carry import carried

_A_SECOND: Final = 997
_ATTACHES_S: Final = 0.5
#: Functions that search for cycles of garbage, wherever they are.
_COLLECTOR: Final = ("gc_collect", "visit_", "_traverse", "tupletraverse")
_LEAST_PERCENT: Final = 0.5


@contextmanager
def _sampled(found: Path) -> Iterator[None]:
    command = ["perf", "record", "-e", "cpu-clock", "-F", str(_A_SECOND), "-o", str(found)]
    with subprocess.Popen([*command, "-p", str(os.getpid())], stderr=subprocess.DEVNULL) as perf:
        time.sleep(_ATTACHES_S)
        try:
            yield
        finally:
            perf.send_signal(signal.SIGINT)


def _shares(found: Path, by: str) -> dict[str, float]:
    """Percent by `dso` or `symbol`."""
    command = ["perf", "report", "-i", str(found), "--stdio", "--sort", by]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=1) for line in told.splitlines() if line.strip() and line[0] != "#"]
    return {name.strip(): float(share.rstrip("%")) for share, name in rows}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="umrah-native-") as folder:
        found = Path(folder) / "perf.data"
        try:
            told = carried(int(sys.argv[1]) if len(sys.argv) > 1 else 6000, _sampled(found))
        except FileNotFoundError as error:
            print(f"{error.filename} is not installed (Debian: linux-perf)", file=sys.stderr)
            return 2
        libraries, functions = _shares(found, "dso"), _shares(found, "symbol")
    for name, share in libraries.items():
        if share >= _LEAST_PERCENT:
            print(f"{share:5.1f} %  {name}")
    collector = sum(share for name, share in functions.items() if any(part in name for part in _COLLECTOR))
    print(f"{collector:5.1f} %  of all: the collector of cycles")
    print(f"{told.cpu_ms:5.2f} ms an application")
    return 0


if __name__ == "__main__":
    sys.exit(main())
