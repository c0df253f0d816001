"""The arithmetic of the benchmark."""

from __future__ import annotations

import pytest

from benchmarks.accounting import Moment, foreign_share
from benchmarks.peers.figures import medians, percentile, ratios, rotated, rounded, spread


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([5.0, 1.0, 4.0, 2.0, 3.0], 0.5) == 3.0
    assert percentile(map(float, range(1, 101)), 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, 0.0), (123.4, 123.0), (12.34, 12.3), (1.234, 1.23), (0.012345, 0.0123), (98765.0, 98765.0)],
)
def test_figures_have_three_digits(value: float, shown: float) -> None:
    assert rounded(value) == shown


def test_a_spread_tells_the_median_and_both_ends() -> None:
    assert spread([3.0, 1.0, 10.0]) == {"median": 3.0, "least": 1.0, "most": 10.0}


def test_ratios_are_of_one_round_only() -> None:
    rounds = [
        {"ours": {"speed": 300.0}, "theirs": {"speed": 100.0}},
        {"ours": {"speed": 100.0}, "theirs": {"speed": 50.0}},
        {"ours": {"speed": 900.0}},
        {"ours": {}, "theirs": {"speed": 1.0}},
    ]
    assert ratios(rounds, "speed", "ours", "theirs") == [3.0, 2.0]


def test_medians_reach_into_components_and_leave_out_what_a_round_did_not_measure() -> None:
    samples = [
        {"speed": 1.0, "cpu": {"workers": 2.0}, "busy": True, "slow": 9.0},
        {"speed": 3.0, "cpu": {"workers": 4.0}, "busy": False},
        {"speed": 2.0, "cpu": {"workers": 9.0}, "busy": False},
    ]
    assert medians(samples) == {"speed": 2.0, "cpu": {"workers": 4.0}, "slow": 9.0}


def test_everyone_is_first_and_last_in_some_round() -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    orders = [rotated(names, turn) for turn in range(6)]
    assert all(sorted(order) == names for order in orders)
    assert len({order[0] for order in orders}) > 3
    assert any(order.index("a") > order.index("b") for order in orders)
    assert any(order.index("a") < order.index("b") for order in orders)


def test_the_foreign_share_is_of_all_cores() -> None:
    first = Moment(at_s=10.0, busy_s=100.0, ours_s=5.0)
    last = Moment(at_s=20.0, busy_s=115.0, ours_s=15.0)
    assert foreign_share(first, last, cores=2) == pytest.approx(0.25)
    assert foreign_share(first, Moment(20.0, 109.0, 15.0), cores=2) == 0.0
