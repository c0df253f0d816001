"""Reports, ceilings and webhooks on the command line, beside a real gateway."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli import reporting
from tests.cli.command import Command
from tests.cli.test_operating import settled_batch

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
#: By the passport's last characters the simulator declines its clearance.
HIT = "90"
_ENDS = ("issued", "refused", "rejected", "cancelled", "expired", "waiting")


@pytest.fixture
def settled(at_gateway: Command, tmp_path: Path) -> str:
    """Three applications, one of them refused."""
    return settled_batch(at_gateway, tmp_path, {2: HIT})


@pytest.mark.usefixtures("settled")
def test_the_flow_of_visas_adds_up(at_gateway: Command) -> None:
    found = at_gateway("report", "visa-flow", "--json").document
    assert found["period"]["from"] == found["period"]["until"]
    for row in found["rows"]:
        ends = sum(row[name] for name in _ENDS)
        assert row["received"] == ends
    total = sum(row["received"] for row in found["rows"])
    ended = at_gateway("report", "visa-flow")
    assert ended.code == 0
    assert re.search(rf"^ ?all\s+{total}\s", ended.out, re.MULTILINE)
    assert found["rows"][0]["licensee_id"] in ended.out


def test_days_without_anything_are_an_empty_report(at_gateway: Command) -> None:
    ended = at_gateway("report", "visa-flow", "--from", "2025-01-01", "--until", "2025-01-02", "--json")
    assert ended.document == {"period": {"from": "2025-01-01", "until": "2025-01-02"}, "rows": []}
    shown = at_gateway("report", "visa-flow", "--from", "2025-01-01", "--until", "2025-01-02")
    assert "2025-01-01 to 2025-01-02" in shown.out


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "2026-11-31", ""])
def test_a_day_that_is_none_is_wrong_usage(at_gateway: Command, day: str) -> None:
    ended = at_gateway("report", "visa-flow", "--from", day)
    assert ended.code == 2
    assert "--from is a day" in ended.err


def test_days_in_the_wrong_order_are_refused(at_gateway: Command) -> None:
    ended = at_gateway("report", "visa-flow", "--from", "2026-01-02", "--until", "2026-01-01")
    assert ended.code == 1
    assert "invalid_parameter" in ended.err


@pytest.mark.usefixtures("settled")
def test_a_season_in_numbers(at_gateway: Command) -> None:
    found = at_gateway("report", "season", "--json").document
    assert found["applications"] >= 3
    assert found["refused"] >= 1
    ended = at_gateway("report", "season")
    assert f"Season {found['season']}: {found['batches']} batches, {found['applications']} app" in ended.out
    for country in found["countries"]:
        assert country["country"] in ended.out


def test_a_season_without_anything(at_gateway: Command) -> None:
    ended = at_gateway("report", "season", "--season", "1400")
    assert ended.code == 0
    assert "Season 1400: 0 batches, 0 applications" in ended.out


@pytest.mark.usefixtures("settled")
def test_the_census_counts_what_passed_through(at_gateway: Command) -> None:
    found = at_gateway("census", "--json").document["census"]
    issued = [one for one in found if (one["what"], one["detail"]) == ("message", "issued")]
    assert issued[0]["count"] >= 2
    shown = at_gateway("census").out
    assert issued[0]["example"] in shown


def test_ceilings_are_all_there(at_gateway: Command) -> None:
    found = at_gateway("quotas", "--json").document["quotas"]
    everything, in_use = at_gateway("quotas", "--all").out, at_gateway("quotas")
    assert found
    for quota in found:
        assert quota["scope"] in everything
        assert (quota["scope"] in in_use.out) == (quota["taken"] > 0)
    assert "have nothing taken" in in_use.err


def test_nearly_full_comes_first_and_a_full_one_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    quotas = [
        {"control": "plan", "scope": "half", "ceiling": 10, "taken": 5},
        {"control": "plan", "scope": "closed", "ceiling": 0, "taken": 0},
        {"control": "plan", "scope": "over", "ceiling": 10, "taken": 15},
        {"control": "mission_capacity", "scope": "nearly", "ceiling": 100, "taken": 95},
        {"control": "plan", "scope": "empty", "ceiling": 10, "taken": 0},
    ]
    reporting.show_quotas({"quotas": quotas}, untouched=True)
    shown = capsys.readouterr().out
    places = [shown.index(scope) for scope in ("over", "closed", "nearly", "half", "empty")]
    assert places == sorted(places)
    for text in ("150%", "100%", "95%", "50%", "0%"):
        assert text in shown


def test_a_bar_is_as_long_as_its_part_and_never_vanishes() -> None:
    assert len(reporting.bar([(10, "green")], 10)) == 30
    assert len(reporting.bar([(5, "green"), (5, "red")], 20)) == 16
    assert len(reporting.bar([(1, "green")], 1_000_000)) == 1
    assert len(reporting.bar([(0, "green")], 10)) == 0
    assert len(reporting.bar([(0, "green")], 0)) == 0


def test_no_webhook_is_said(at_gateway: Command) -> None:
    ended = at_gateway("webhooks")
    assert ended.code == 0
    assert "no party has a webhook" in ended.err
    assert at_gateway("webhooks", "--json").document == {"webhooks": []}


def test_webhooks_are_shown_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    hook = {
        "party": "sc-01",
        "url": "https://center.example/hook",
        "state": "failing",
        "cursor": "17",
        "waiting": 4,
        "failures": 3,
        "failing_since": "2026-11-22T08:58:00.000+00:00",
        "next_at": "2026-11-22T09:00:20.000+00:00",
    }
    reporting.show_webhooks({"webhooks": [hook]}, NOW)
    shown = capsys.readouterr().out
    for text in ("sc-01", "failing", "17", "2 m ago", "in 20 s", "https://center.example/hook"):
        assert text in shown


def test_a_replay_of_a_party_without_a_webhook_is_told(at_gateway: Command) -> None:
    ended = at_gateway("webhooks", "replay", "sc-01", "--from", "1", "--reason", "lost there")
    assert ended.code == 1
    assert "not_found" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("sc-01", "--from", "x", "--reason", "r"),
        ("a/b", "--from", "1", "--reason", "r"),
        ("sc-01", "--from", "1"),
        ("sc-01", "--reason", "r"),
    ],
)
def test_a_replay_that_can_t_be_meant_so(at_gateway: Command, arguments: tuple[str, ...]) -> None:
    assert at_gateway("webhooks", "replay", *arguments).code == 2


@pytest.mark.parametrize(
    "arguments", [("report", "visa-flow"), ("report", "season"), ("webhooks", "replay"), ("webhooks",)]
)
def test_each_has_its_help(run: Command, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, "--help")
    assert ended.code == 0
    assert f"umrah-gateway {' '.join(arguments)}" in ended.out


def test_a_message_that_is_no_application_says_what_it_led_to(at_gateway: Command, settled: str) -> None:
    found = at_gateway("messages", "--batch", settled, "--json").document["messages"][0]["id"]
    assert at_gateway("show", found, "--json").document["led_to"] == {}
