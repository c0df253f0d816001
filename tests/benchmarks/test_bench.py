"""What is made of the rounds: the document, the drawing, and runs made again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from lxml import etree

from benchmarks import bench
from benchmarks.accounting import Components
from benchmarks.bench import FOREIGN, ORDER, Bench, drawing, merged, report
from benchmarks.peers.page import filled
from benchmarks.peers.sample import Plan
from benchmarks.peers.supply import Supply
from tests.processes import ROOT


def sample(speed: float, cpu: float, *, foreign: float = 0.0) -> dict[str, Any]:
    return {
        "applications_per_second": speed,
        "cpu_ms_per_application": cpu,
        "cpu_ms_by_component": {"workers": cpu - 1, "broker": 1.0, "partner": 0.2},
        "p50_ms": 10.0,
        "p99_ms": 20.0,
        "peak_mb": 100.0,
        "faults": [],
        "foreign_cpu": foreign,
        "busy": foreign > FOREIGN,
    }


def rounds() -> list[bench.Round]:
    """Gateways are three, then four times as fast, at a fifth of the cost."""
    return [
        {
            name: sample(factor * 100.0, 2.0) if name in bench.GATEWAYS else sample(100.0, 10.0)
            for name in ORDER
        }
        for factor in (3, 4, 3)
    ]


def document(known: dict[str, Any] | None = None) -> dict[str, Any]:
    return merged(known or {}, report(rounds(), ORDER, Plan(), 33.0))


def test_the_document_has_the_figures_that_others_read() -> None:
    found = document({"date": "2026-01-01", "throughput": {"applications_per_second": 7}})
    assert found["throughput"] == {"applications_per_second": 7}
    assert {"machine", "date", "runs"} <= found.keys()
    assert set(found["runs"]) == {
        "gateway_embedded", "gateway_embedded_2", "gateway_distributed", "gateway_signed",
        "celery", "faststream", "dramatiq",
    }  # fmt: skip
    wanted = "applications_per_second cpu_ms_per_application cpu_ms_by_component p50_ms p99_ms peak_mb"
    assert all(set(wanted.split()) <= run.keys() for run in found["runs"].values())
    speed = found["against"]["ratios"]["gateway_distributed to celery"]["applications_per_second"]
    assert speed == {"median": 3.0, "least": 3.0, "most": 4.0}


def test_of_costs_less_is_better() -> None:
    found = document()["against"]["ratios"]["gateway_embedded to dramatiq"]
    assert found["cpu_ms_per_application"]["median"] == 5.0


def test_contenders_left_out_this_time_keep_their_figures() -> None:
    only = report([{"celery": sample(1.0, 50.0)}], ["celery"], Plan(), 33.0)
    runs = merged(document(), only)["runs"]
    assert runs["celery"]["applications_per_second"] == 1.0
    assert runs["dramatiq"]["applications_per_second"] == 100.0


def test_the_drawing_has_a_bar_for_everyone_as_long_as_its_figure() -> None:
    root = etree.fromstring(drawing(document()).encode())
    texts = [text for each in root.iter("{*}text") for text in each.itertext()]
    assert all(texts.count(name) == 2 for name in ORDER)
    widths = [float(each.get("width", "0")) for each in root.iter("{*}rect") if each.get("height") == "20"]
    speeds, costs = widths[: len(ORDER)], widths[len(ORDER) :]
    assert speeds[0] == pytest.approx(3 * speeds[1], rel=0.01)  # ORDER begins with a gateway and a peer
    assert sum(costs[2:4]) == pytest.approx(5 * sum(costs[:2]), rel=0.01)


def test_the_page_and_the_drawing_say_what_was_measured() -> None:
    latest = json.loads(bench.LATEST.read_text())
    page = bench.PAGE.read_text("utf-8")
    assert filled(page, latest) == page
    assert drawing(latest) == bench.CHART.read_text()


def test_the_page_owns_up_to_busy_samples() -> None:
    page = "before <!-- made by benchmarks/bench.py --><!-- to here --> after"
    latest = document()
    assert "with the machine to itself" in filled(page, latest)
    latest["against"]["method"]["busy_samples"] = 4
    said = filled(page, latest)
    assert "4 of 21 runs while others used the machine too:" in said
    latest["against"]["method"]["busy_samples"] = 11
    assert "**provisional**, for 11 of 21 runs while others used" in filled(page, latest)
    assert "| gateway_embedded to celery | 3 (3 to 4) | 5 (5 to 5) |" in said
    assert said.startswith("before ")
    assert said.endswith(" after")


class Canned(Bench):
    """Runs nothing: every run is busy until the given one."""

    def __init__(self, again: int, quiet_from: int) -> None:
        super().__init__(None, Plan(), again)  # type: ignore[arg-type]
        self._quiet_from = quiet_from
        self.slow: list[int] = []

    def _run(self, name: str, plan: Plan) -> dict[str, Any]:
        self.slow.append(plan.slow)
        busy = len(self.slow) < self._quiet_from
        found = sample(100.0, 2.0, foreign=0.5 if busy else 0.1)
        del found["busy"]
        return found


def test_a_run_beside_busy_others_is_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    canned = Canned(again=3, quiet_from=3)
    found = canned.rounds(["celery"], 1)
    assert len(canned.slow) == 3
    assert found[0]["celery"]["busy"] is False
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_but_not_for_ever_and_then_it_is_marked() -> None:
    canned = Canned(again=2, quiet_from=1000)
    found = canned.rounds(["celery", "dramatiq"], 2)
    assert len(canned.slow) == 2 * 2 + 2
    assert all(each["busy"] for one in found for each in one.values())
    assert canned.made_again == 2
    assert report(found, ["celery", "dramatiq"], Plan(), 33.0)["method"]["busy_samples"] == 4


def test_slow_partners_are_met_in_the_first_rounds_only() -> None:
    canned = Canned(again=0, quiet_from=0)
    canned.rounds(["celery"], 4)
    assert canned.slow == [1000, 1000, 0, 0]


def test_nobody_applies_twice_in_one_run() -> None:
    supply = Supply(3)
    batches = [supply.batch(5) for _ in range(40)] + list(supply.batches(30))
    passports = [line["passport"]["number"] for batch in batches for line in batch.lines]
    assert len(passports) == 230
    assert len(set(passports)) == 230
    assert {batch.center for batch in batches[:4]} == {"sc-01", "sc-02", "sc-03", "sc-04"}


def test_a_batch_with_somebody_who_applied_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = Supply(1).batch(3), Supply(2).batch(3)
    made = iter([first, first, other])
    monkeypatch.setattr("benchmarks.peers.supply._batch", lambda *_: next(made))
    supply = Supply(1)
    assert [supply.batch(3), supply.batch(3)] == [first, other]


def test_the_cpu_of_a_process_that_ended_still_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    runs_it = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", f"{runs_it}; print('done', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        found = Components({"one": parent.pid, "nobody": ()}).cpu_s()
        assert parent.stdin is not None
        parent.stdin.close()
    assert found["one"] >= 0.2
    assert found["nobody"] == 0


def test_the_libraries_of_the_peers_are_in_no_lock_of_the_gateway() -> None:
    peers = {"celery", "dramatiq", "faststream", "httpx"}

    def locked(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / name).read_text(), re.MULTILINE))

    assert peers <= locked("requirements-bench.lock")
    assert not {"celery", "dramatiq", "faststream"} & (
        locked("requirements.lock") | locked("requirements-dev.lock")
    )
    assert "httpx" not in locked("requirements.lock")
