"""One gateway process against two, on PostgreSQL and RabbitMQ of our own, in interleaved rounds.

Every round sends the same number of applications to one process and to two, one after the other, and compares
them with each other: throughput, and CPU an application by component. Writes benchmarks/processes.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.accounting import Components
from benchmarks.measure import _SETTLED, _get, _lines, _post, calibration_ms
from benchmarks.pages import machine
from tests.bus.broker import PrivateBroker
from tests.postgresql import Server, server
from tests.processes import Installation

_SENT_BY: Final = ("sc-01", "sc-02", "sc-03", "sc-04")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=1500, help="a run (default 1500)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with ExitStack() as stack:
        postgresql = stack.enter_context(server())
        broker = PrivateBroker(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="umrah-rabbit-"))))
        stack.callback(broker.close)
        broker.start()
        rounds = [_round(number, given.applications, postgresql, broker) for number in range(given.rounds)]
    found = {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "calibration_ms": calibration_ms(),
        "applications": given.applications,
        "rounds": rounds,
        "two_against_one": _ratios(rounds),
    }
    Path(__file__).with_name("processes.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found["two_against_one"], indent=2))
    return int(any(run["issued_twice"] for each in rounds for run in each.values()))


def _round(number: int, count: int, postgresql: Server, broker: PrivateBroker) -> dict[str, Any]:
    """Which of the two is first changes from round to round."""
    order = (1, 2) if number % 2 == 0 else (2, 1)
    runs = {str(workers): _run(workers, count, postgresql, broker) for workers in order}
    print(json.dumps({"round": number, **runs}), file=sys.stderr, flush=True)
    return dict(sorted(runs.items()))


def _run(workers: int, count: int, postgresql: Server, broker: PrivateBroker) -> dict[str, Any]:
    with _running(workers, postgresql, broker) as home:
        components = Components(
            {
                "gateway": home.processes["gateway"].pid,
                "partners": home.processes["partners"].pid,
                "postgresql": postgresql.pid,
                "rabbitmq": broker.pid,
            }
        )
        bodies = {center: _lines(count // len(_SENT_BY), 7, center=center) for center in _SENT_BY}
        before, began = components.cpu_s(), time.perf_counter()
        batches = {center: _post(home, body, "throughput", center=center) for center, body in bodies.items()}
        seconds = _until_settled(home, batches, 0.99 * count, began)
        spent = {name: after - before[name] for name, after in components.cpu_s().items()}
        return {
            "applications_per_second": round(0.99 * count / seconds, 1),
            "cpu_ms_per_application": {name: round(1000 * s / count, 2) for name, s in spent.items()},
            "issued_twice": len(home.get("partners", "/_evidence")["issued_twice"]),
        }


def _until_settled(home: Installation, batches: Mapping[str, str], wanted: float, began: float) -> float:
    while True:
        found = [_get(home, f"/v1/batches/{batch}", center) for center, batch in batches.items()]
        settled = sum(status["counts"].get(state, 0) for status in found for state in _SETTLED)
        if settled >= wanted:
            return time.perf_counter() - began
        time.sleep(0.1)


@contextmanager
def _running(workers: int, postgresql: Server, broker: PrivateBroker) -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="umrah-processes-") as folder:
        quiet = {"gateway.yaml": [("log_level: info", "log_level: warning")]}
        home = Installation(Path(folder), changes=quiet)
        env = {"GATEWAY_DATABASE_URL": postgresql.emptied(), "GATEWAY_BROKER_URL": broker.url}
        try:
            home.start_partners()
            home._start("gateway", "serve", "--workers", str(workers), **env)
            home._wait_for("admin", "/livez", process="gateway")
            _until_all_serve(home, workers)
            yield home
            home.terminate("gateway")
        finally:
            home.stop()


def _until_all_serve(home: Installation, workers: int) -> None:
    """And the leader has its connections."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        text = (home.get("admin", "/metrics") or b"").decode()
        serving = [line for line in text.splitlines() if line.startswith("gateway_processes ")]
        if serving and float(serving[0].split()[1]) == workers and "gateway_audit_head_sequence" in text:
            return
        time.sleep(0.1)
    raise TimeoutError("not every process came up")


def _ratios(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    speed = [each["2"]["applications_per_second"] / each["1"]["applications_per_second"] for each in rounds]
    cpu = [_all_but_partners(each["2"]) / _all_but_partners(each["1"]) for each in rounds]
    return {
        "throughput": _spread(speed),
        "cpu_an_application": _spread(cpu),
        "one": _medians(rounds, "1"),
        "two": _medians(rounds, "2"),
    }


def _all_but_partners(run: Mapping[str, Any]) -> float:
    return sum(ms for name, ms in run["cpu_ms_per_application"].items() if name != "partners")


def _spread(ratios: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    return {name: round(value, 2) for name, value in found.items()}


def _medians(rounds: list[dict[str, Any]], workers: str) -> dict[str, Any]:
    runs = [each[workers] for each in rounds]
    return {
        "applications_per_second": statistics.median(run["applications_per_second"] for run in runs),
        "cpu_ms_per_application": {
            name: round(statistics.median(run["cpu_ms_per_application"][name] for run in runs), 2)
            for name in runs[0]["cpu_ms_per_application"]
        },
    }


if __name__ == "__main__":
    sys.exit(main())
