"""How long a long audit log takes to verify, and how much memory: `python -m benchmarks.audit`.

Writes a log of a million entries with a checkpoint for each 2,000, and verifies it with the command line in a
process of its own. Then 20,000 random tamperings of a small log, with the documented verifier beside ours.
Writes benchmarks/audit.json. Exit 1 when anything was not found, or when verifying took more than 30 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from gateway.ledger import audit_file
from gateway.ledger.audit_file import Tampered
from tests.audit.logs import KeySigner, LogWriter, small_log, verified
from tests.audit.plain import as_json, plain_verifier
from tests.audit.tampering import tampered

ROOT = Path(__file__).parents[1]
PER_CHECKPOINT = 2_000
LIMIT_S = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--tamperings", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="umrah-audit-") as folder:
        measured = verification(Path(folder), given.entries)
    found = tamperings(given.tamperings)
    report = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), **measured, **found}
    Path(__file__).with_name("audit.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return int(measured["seconds"] > LIMIT_S or found["tamperings_missed"] > 0)


def verification(folder: Path, entries: int) -> dict[str, Any]:
    """A generated log of so many entries, verified offline with its receipt."""
    log, receipt = folder / "log.txt", folder / "receipt.json"
    receipt.write_text(write_log(log, entries), encoding="utf-8")
    command = [
        sys.executable,
        "run_gateway.py",
        "audit",
        "verify",
        str(log),
        "--checkpoint",
        str(receipt),
        "--json",
    ]
    started = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    seconds = time.monotonic() - started
    found = json.loads(ended.stdout)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "entries": found["entries"],
        "checkpoints": found["checkpoints"],
        "log_mb": round(log.stat().st_size / 1e6, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024, 1),
    }


def write_log(path: Path, entries: int) -> str:
    """The receipt of its last checkpoint, as the gateway answers."""
    writer = LogWriter(KeySigner())
    segments = max(1, entries // PER_CHECKPOINT)
    with path.open("wb") as file:
        file.write(audit_file.header(segments * PER_CHECKPOINT, segments))
        for _ in range(segments):
            file.writelines(writer.segment(["main"], PER_CHECKPOINT))
    return as_json(writer.receipt)


def tamperings(count: int) -> dict[str, Any]:
    """So many random ones: how many neither verifier, or only one, finds."""
    log, plain, random = small_log(), plain_verifier(), Random(1)
    missed = differ = 0
    for _ in range(count):
        _, lines = tampered(log, random)
        by_plain = plain(lines, log.receipt)
        try:
            verified(lines, log.receipt)
            by_ours = True
        except Tampered:
            by_ours = False
        missed += by_ours or by_plain
        differ += by_ours != by_plain
    return {"tamperings": count, "tamperings_missed": missed, "verifiers_differ": differ}


if __name__ == "__main__":
    sys.exit(main())
