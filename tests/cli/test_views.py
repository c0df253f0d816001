from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.target import address
from cli.views import duration, relative, show_message, show_rejected
from gateway.settings.gateway import Listener

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 ms"),
        (0.0404, "40 ms"),
        (1.094, "1.09 s"),
        (59, "59 s"),
        (59.97, "60 s"),
        (60, "1 m"),
        (200, "3 m 20 s"),
        (3_600, "1 h"),
        (5_430, "1 h 30 m"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_are_short(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_times_are_told_from_now() -> None:
    assert relative((NOW + timedelta(seconds=12)).isoformat(), NOW) == "in 12 s"
    assert relative((NOW - timedelta(minutes=3)).isoformat(), NOW) == "3 m ago"
    assert relative((NOW - timedelta(minutes=3)).isoformat(), NOW, sign=False) == "3 m"
    assert relative(None, NOW) == ""
    assert relative("nonsense", NOW) == ""


def test_a_message_that_was_cancelled_after_its_visa_is_shown_as_cancelled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = {
        "id": "m",
        "kind": "k",
        "party": "p",
        "state": "cancelled",
        "outcome": "issued",
        "why": "nothing",
    }
    show_message(message, NOW)
    shown = capsys.readouterr().out
    assert "cancelled" in shown
    assert "issued" not in shown


def test_only_so_many_faults_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_rejected([{"line": n, "code": "field_missing"} for n in range(1, 61)])
    shown = capsys.readouterr().err
    assert shown.count("field_missing") == 50
    assert "10 more" in shown


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("gateway.example", "http://gateway.example:8080"),
    ],
)
def test_a_listener_is_reached_at_an_address_of_this_machine(host: str, url: str) -> None:
    assert address(Listener(host=host, port=8080)) == url
