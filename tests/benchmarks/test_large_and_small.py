"""Five hundred centers as parties, the check of what is still under way, and the verdict."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.centers import batches, configure, names
from benchmarks.large_and_small import (
    PAGE,
    Sizes,
    broken,
    completion,
    measured,
    table,
    unfinished,
)
from benchmarks.peers.contender import Outcome
from benchmarks.season_plan import filled
from gateway.settings import load
from tests.processes import ROOT


def test_each_center_is_a_party_with_a_licensee_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    configure(tmp_path / "config", 12)
    settings = load(tmp_path / "config" / "gateway.yaml", {})
    assert {party.id for party in settings.parties} >= set(names(12))
    served = {center.id: center.licensees for center in settings.reference.service_centers}
    licensees = [served[name][0] for name in names(12)]
    assert len(set(licensees)) == 12
    sent = batches(12, 3, seed=1)
    assert [batch.header["licensee_id"] for batch in sent] == licensees
    passports = [line["passport"]["number"] for batch in sent for line in batch.lines]
    assert len(set(passports)) == 36


# --- what is still under way -------------------------------------------------------------------------------


def outcome(passport: str, visa: str | None) -> Outcome:
    return Outcome(passport, visa, 0.0, 1.0)


def evidence(**visas: str) -> dict[str, Any]:
    return {"visas": list(visas.items()), "calls": {}}


def test_what_is_under_way_is_no_fault() -> None:
    said = [outcome("A", "1"), outcome("B", None), outcome("C", None)]
    assert unfinished(["A", "B", "C"], evidence(A="1", B="2"), said) == []


@pytest.mark.parametrize(
    ("visas", "said", "fault"),
    [
        ([("A", "1")], [outcome("A", "1")], "lost: 1"),
        ([("A", "1"), ("A", "2")], [outcome("A", "2"), outcome("B", None)], "issued more than once: 1"),
        ([("A", "1")], [outcome("A", "9"), outcome("B", None)], "another visa than the partner's: 1"),
        ([("X", "1")], [outcome("A", None), outcome("B", None)], "issued, and never asked for: 1"),
        ([], [outcome("A", None), outcome("A", None), outcome("B", None)], "more than one outcome: 1"),
    ],
)
def test_what_is_lost_or_wrong_is_a_fault(visas: Any, said: list[Outcome], fault: str) -> None:
    assert unfinished(["A", "B"], {"visas": visas, "calls": {}}, said) == [fault]


# --- the verdict -------------------------------------------------------------------------------------------


def test_the_spread_is_that_of_the_center_furthest_from_the_median() -> None:
    assert completion([9.0, 10.0, 11.5])["spread"] == 0.15
    assert completion([5.0, 10.0, 10.0])["spread"] == 0.5
    assert completion([])["spread"] == 1.0


def loads() -> dict[str, Any]:
    common: dict[str, Any] = {"faults": [], "foreign_cpu": 0.0, "peak_mb": 200.0, "applications": 10}
    return {
        "large": {**common, "answers": {200: 1}},
        "small": {**common, "answers": {202: 5, 429: 1}},
        "centers": {**common, "answers": {}, "spread": 0.2, "completed_s": {"first": 1.0, "last": 2.0}},
        "single": {**common, "added_p50_ms": 6.0, "added_p99_ms": 20.0, "p50_ms": 9.0, "p99_ms": 25.0},
    }


@pytest.mark.parametrize(
    ("load", "figure", "value"),
    [
        ("large", "peak_mb", 251.0),
        ("centers", "spread", 0.21),
        ("single", "added_p50_ms", 6.1),
        ("single", "added_p99_ms", 20.1),
        ("small", "faults", ["never issued: 1"]),
    ],
)
def test_each_promise_has_its_verdict(load: str, figure: str, value: Any) -> None:
    found = loads()
    assert broken(found) == []
    found[load][figure] = value
    assert len(broken(found)) == 1


def test_milliseconds_are_judged_on_a_quiet_machine_only() -> None:
    found = loads()
    found["single"] |= {"added_p50_ms": 60.0, "foreign_cpu": 0.5}
    assert broken(found) == []


def test_the_section_stands_between_its_marks() -> None:
    document = {"date": "2026-11-22", "machine": "a machine", "calibration_ms": 30.0, "loads": loads()}
    page = filled(PAGE.read_text("utf-8"), {"large-and-small": table(document)})
    assert "| furthest from the median completion |  |  | 20% |  |" in page
    assert "10,000 batches of ten 1" in page


@pytest.mark.processes
def test_many_centers_on_a_real_gateway_have_everything_issued_once() -> None:
    found = measured(["centers"], Sizes(centers=(8, 3), patience_s=60.0))
    load = found["loads"]["centers"]
    assert (load["faults"], load["carried"], load["centers"]) == ([], 24, 8)
    assert load["answers"].get(202) == 8
