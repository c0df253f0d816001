"""The README's figures, measured here (`make bench`): real processes, simulators on the same machine.

Writes its part of benchmarks/latest.json and prints it. Speeds depend on the machine, so each run also times
a loop of plain Python (`calibration_ms`), by which runs on different machines can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from adapters.service_centers.batch_writer import write_batch
from adapters.service_centers.sample import sample_batch
from benchmarks.pages import machine
from gateway.web.tokens import demo_key_path, sign_token
from tests.processes import Installation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=2000, help="for the throughput (default 2000)")
    parser.add_argument("--lines", type=int, default=100_000, help="of the large batch (default 100000)")
    parser.add_argument("--single", type=int, default=200, help="single applications for the latency")
    given = parser.parse_args()
    found: dict[str, Any] = {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "calibration_ms": calibration_ms(),
        "latency": latency(given.single),
        "throughput": throughput(given.applications),
        "large_batch": large_batch(given.lines),
    }
    latest = Path(__file__).with_name("latest.json")
    # What `benchmarks.bench` wrote there stays.
    known = json.loads(latest.read_text()) if latest.exists() else {}
    latest.write_text(json.dumps({**known, **found}, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    return 0


def calibration_ms() -> float:
    """How long this machine takes for a million steps of plain Python: the best of five."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        total = 0
        for step in range(1_000_000):
            total += step
        times.append(time.perf_counter() - began)
    return round(min(times) * 1000, 1)


# --- the three measurements ---------------------------------------------------------------------------------


def latency(count: int) -> dict[str, float]:
    """One application at a time on an idle system: from received to issued, by the ledger's own times."""
    with _running() as home:
        waits = []
        for number in range(count + 20):
            batch = _post(home, _lines(1, 100 + number), f"single-{number}")
            status = _until(home, batch, 10)
            waits.append(_ms(status["received_at"], status["completed_at"]))
        waits = sorted(waits[20:])  # the first ones warm connections and code up
        return {
            "applications": count,
            "p50_ms": round(statistics.median(waits), 1),
            "p99_ms": round(waits[int(len(waits) * 0.99) - 1], 1),
        }


def throughput(count: int) -> dict[str, Any]:
    """A mixed sample, from the first POST until 99 % are final, with the CPU that each process used."""
    with _running() as home:
        body = _lines(count, 1, clean=False)
        cpu = {name: _cpu_s(home, name) for name in ("gateway", "partners")}
        began = time.perf_counter()
        batch = _post(home, body, "throughput")
        most = 0.0
        while True:
            status = _get(home, f"/v1/batches/{batch}")
            settled = sum(status["counts"].get(state, 0) for state in _SETTLED)
            if not most and settled >= 0.99 * count:
                most = time.perf_counter() - began
            if status["state"] == "completed":
                break
            time.sleep(0.05)
        spent = {name: _cpu_s(home, name) - before for name, before in cpu.items()}
        evidence = home.get("partners", "/_evidence")
        return {
            "applications": count,
            "seconds_to_99_percent": round(most, 2),
            "applications_per_second": round(0.99 * count / most, 1),
            "cpu_ms_per_application": round(1000 * spent["gateway"] / count, 2),
            "cpu_ms_by_component": {name: round(1000 * s / count, 2) for name, s in spent.items()},
            "issued_twice": len(evidence["issued_twice"]),
            "counts": status["counts"],
        }


def large_batch(count: int) -> dict[str, Any]:
    """A batch of many lines; while it is worked on: its status, and ten lines of another center."""
    with _running() as home:
        began = time.perf_counter()
        batch = _post(home, _lines(count, 5), "large", timeout_s=600)
        accepted_s = time.perf_counter() - began
        small = _post(home, _lines(10, 6, center="sc-02"), "small", center="sc-02")
        small_s = _ms_between(_until(home, small, 60, center="sc-02")) / 1000
        times = []
        for _ in range(100):
            began = time.perf_counter()
            status = _get(home, f"/v1/batches/{batch}")
            times.append(1000 * (time.perf_counter() - began))
            time.sleep(0.05)
        return {
            "lines": count,
            "accepted_in_s": round(accepted_s, 1),
            "lines_per_second": round(count / accepted_s),
            "peak_mb": _peak_mb(home),
            "status_p95_ms": round(sorted(times)[94], 1),
            "ten_lines_meanwhile_final_in_s": round(small_s, 2),
            "still_processing": status["state"] == "processing",
        }


_SETTLED = ("issued", "refused", "rejected", "cancelled", "expired", "under_review")


# --- a gateway of our own -----------------------------------------------------------------------------------


@contextmanager
def _running() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="umrah-measure-") as folder:
        quiet = {"gateway.yaml": [("log_level: info", "log_level: warning")]}
        home = Installation(Path(folder), changes=quiet)
        try:
            home.start_partners()
            home.start_gateway()
            yield home
        finally:
            home.stop()


def _lines(count: int, seed: int, *, clean: bool = True, center: str = "sc-01") -> Path:
    header, applications = sample_batch(count, seed, date.today(), clean=clean, center=center)  # noqa: DTZ011
    path = Path(tempfile.mkstemp(prefix="umrah-", suffix=".ndjson")[1])
    with path.open("wb") as out:
        write_batch("ndjson", header, applications, out)
    return path


def _headers(home: Installation, center: str) -> dict[str, str]:
    key = demo_key_path(home.data, center)
    token = sign_token(key, center, "umrah-gateway", 240, datetime.now(UTC))
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}


def _post(home: Installation, body: Path, key: str, *, center: str = "sc-01", timeout_s: float = 60) -> str:
    headers = {
        **_headers(home, center),
        "Idempotency-Key": key,
        "Content-Length": str(body.stat().st_size),
    }
    with body.open("rb") as data:
        request = urllib.request.Request(
            home.url("public") + "/v1/batches", data=data, headers=headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            batch: str = json.loads(reply.read())["batch_id"]
    body.unlink()
    return batch


def _get(home: Installation, path: str, center: str = "sc-01") -> Any:
    request = urllib.request.Request(home.url("public") + path, headers=_headers(home, center))
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def _until(home: Installation, batch: str, timeout_s: float, center: str = "sc-01") -> Any:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        status = _get(home, f"/v1/batches/{batch}", center)
        if status["state"] == "completed":
            return status
        time.sleep(0.01)
    raise TimeoutError(f"batch {batch} is not completed after {timeout_s} s")


def _ms_between(status: dict[str, str]) -> float:
    return _ms(status["received_at"], status["completed_at"])


def _ms(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() * 1000


def _cpu_s(home: Installation, name: str) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{home.processes[name].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(home: Installation) -> float:
    for line in Path(f"/proc/{home.processes['gateway'].pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
