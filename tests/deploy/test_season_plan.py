from __future__ import annotations

import json

import pytest

from benchmarks import season_plan
from tests.deploy.rules import ROOT

_SPEED = json.loads((ROOT / "benchmarks" / "latest.json").read_text())
_STORAGE = json.loads((ROOT / "benchmarks" / "season_plan.json").read_text())
_PAGE = (ROOT / "docs" / "season-plan.md").read_text()


def test_the_page_says_what_the_measurements_say() -> None:
    """After new measurements: python -m benchmarks.season_plan"""
    assert season_plan.filled(_PAGE, season_plan.tables(_SPEED, _STORAGE)) == _PAGE


def test_another_measurement_would_change_the_page() -> None:
    slower = {**_SPEED, "throughput": {**_SPEED["throughput"], "applications_per_second": 40.0}}
    assert season_plan.filled(_PAGE, season_plan.tables(slower, _STORAGE)) != _PAGE


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for it: <!-- load"):
        season_plan.filled("nothing", season_plan.tables(_SPEED, _STORAGE))


def test_the_load_is_what_a_season_comes_to() -> None:
    found = season_plan.load()
    assert found.mean_per_s * season_plan.DAYS * 86_400 == pytest.approx(6_700_000)
    assert found.peak_per_s == pytest.approx(20 * found.mean_per_s)
    assert found.peak_per_day == pytest.approx(20 * 6_700_000 / season_plan.DAYS)
