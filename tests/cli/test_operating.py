"""Operators' commands beside a real gateway that can't ask Foreign Affairs: a lost answer ends in review."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.operating import message_filter
from gateway.web.operators import ensure_operator_tokens
from tests.cli.command import Command, Ended, batch_file

#: By the passport's last characters the simulator issues and then drops the connection.
DROPPED = "93"


def settled_batch(at_gateway: Command, path: Path, endings: dict[int, str] | None = None) -> str:
    file = batch_file(path / "b.json", endings=endings)
    ended = at_gateway("send", file, "--center", "sc-01", "--wait", "--timeout", "20", "--json")
    assert ended.document["state"] == "completed", ended
    return str(ended.document["batch_id"])


@pytest.fixture
def reviewed(at_gateway: Command, tmp_path: Path) -> str:
    """The id of a message that a person must decide."""
    batch = settled_batch(at_gateway, tmp_path, {2: DROPPED})
    found = at_gateway("messages", "--batch", batch, "--state", "under_review", "--json").document
    return str(found["messages"][0]["id"])


@pytest.fixture
def issued(at_gateway: Command, tmp_path: Path) -> str:
    """The id of a message that ended well."""
    batch = settled_batch(at_gateway, tmp_path)
    return str(at_gateway("messages", "--batch", batch, "--json").document["messages"][0]["id"])


def state(at_gateway: Command, message: str) -> tuple[str, str | None]:
    shown = at_gateway("show", message, "--json").document
    return shown["state"], shown["outcome"]


def test_messages_are_found_by_what_they_are(at_gateway: Command, tmp_path: Path) -> None:
    batch = settled_batch(at_gateway, tmp_path, {2: DROPPED})
    both = at_gateway("messages", "--batch", batch, "--json").document
    assert [message["line"] for message in both["messages"]] == [1, 2, 3]
    held = at_gateway("messages", "--batch", batch, "--state", "held", "--json").document
    assert held == {"messages": [], "next": None}
    old = at_gateway("messages", "--batch", batch, "--older-than", "1h", "--json").document
    assert old["messages"] == []
    other = at_gateway("messages", "--batch", batch, "--party", "sc-02", "--json").document
    assert other["messages"] == []


def test_a_limit_is_kept_and_more_is_told(at_gateway: Command, tmp_path: Path) -> None:
    batch = settled_batch(at_gateway, tmp_path)
    found = at_gateway("messages", "--batch", batch, "--limit", "2", "--json").document
    assert len(found["messages"]) == 2
    assert found["next"] is not None
    shown = at_gateway("messages", "--batch", batch, "--limit", "2")
    assert "more than 2" in shown.err
    assert shown.out.count("visa.application") == 2


def test_more_than_one_page_is_fetched(
    at_gateway: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.admin_api._LARGEST_PAGE", 1)
    batch = settled_batch(at_gateway, tmp_path)
    found = at_gateway("messages", "--batch", batch, "--limit", "3", "--json").document
    assert [message["line"] for message in found["messages"]] == [1, 2, 3]


def test_show_tells_a_messages_whole_life(at_gateway: Command, issued: str) -> None:
    shown = at_gateway("show", issued)
    assert shown.code == 0
    assert issued in shown.out
    for told in ("foreign_affairs.visa_issuance", "IssueVisa", "received", "issued", "Waits for"):
        assert told in shown.out
    assert at_gateway("show", issued, "--json").document["timeline"][0]["what"] == "received"


def test_why_is_one_line(at_gateway: Command, reviewed: str) -> None:
    told = at_gateway("why", reviewed)
    assert told.code == 0
    assert len(told.out.splitlines()) == 1
    assert "person" in told.out
    assert at_gateway("why", reviewed, "--json").document["id"] == reviewed


def test_an_absent_message_is_told_as_such(at_gateway: Command) -> None:
    ended = at_gateway("show", "01900000-0000-7000-8000-000000000000")
    assert ended.code == 1
    assert "no message has this id" in ended.err


def test_a_review_ends_when_another_operator_confirms(at_gateway: Command, reviewed: str) -> None:
    proposed = at_gateway("resolve", reviewed, "--issued", "6999999999", "--reason", "seen in their list")
    assert proposed.code == 0
    assert "--confirm" in proposed.out
    alone = at_gateway("resolve", reviewed, "--confirm")
    assert alone.code == 1
    assert "same_operator" in alone.err
    assert state(at_gateway, reviewed)[0] == "under_review"
    confirmed = at_gateway("resolve", reviewed, "--confirm", "--operator", "operator-2", "--json")
    assert confirmed.code == 0
    assert (confirmed.document["state"], confirmed.document["outcome"]) == ("completed", "issued")


def test_a_review_may_end_as_refused(at_gateway: Command, reviewed: str) -> None:
    at_gateway("resolve", reviewed, "--refused", "--reason", "they refused it")
    at_gateway("resolve", reviewed, "--confirm", "--operator", "operator-2")
    assert state(at_gateway, reviewed) == ("completed", "refused")


def test_a_filter_acts_on_all_that_fit_and_a_dry_run_on_none(at_gateway: Command, tmp_path: Path) -> None:
    batch = settled_batch(at_gateway, tmp_path)
    tried = at_gateway("cancel", "--batch", batch, "--dry-run", "--json")
    assert tried.code == 0
    assert tried.document["matched"] == 3
    assert at_gateway("status", batch, "--json").document["counts"] == {"total": 3, "issued": 3}
    done = at_gateway("cancel", "--batch", batch, "--reason", "withdrawn", "--json")
    assert done.code == 0
    assert done.document["done"] == 3


def test_some_that_cannot_be_done_exit_with_three(at_gateway: Command, reviewed: str, issued: str) -> None:
    ended = at_gateway("retry", issued, reviewed, "--reason", "asked again", "--json")
    assert ended.code == 3
    assert ended.document["done"] == 1
    assert [(each["id"], each["code"]) for each in ended.document["failed"]] == [(issued, "already_settled")]
    assert at_gateway("retry", issued, "--reason", "asked again").code == 1


def test_naming_messages_with_a_dry_run_changes_none(at_gateway: Command, reviewed: str) -> None:
    ended = at_gateway("cancel", reviewed, "--dry-run")
    assert ended.code == 0
    assert "nothing was changed" in ended.out
    assert at_gateway("show", reviewed, "--json").document["cancel_requested_at"] is None


def test_a_token_that_is_not_the_gateways_is_told(at_gateway: Command, tmp_path: Path) -> None:
    ensure_operator_tokens(tmp_path / "other")
    ended: Ended = at_gateway("messages", "--data-dir", tmp_path / "other")
    assert ended.code == 1
    assert "data directory of the gateway" in ended.err


@pytest.mark.parametrize(
    ("age", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7_200), ("3d", 259_200)]
)
def test_ages_have_units(age: str, seconds: int) -> None:
    assert message_filter(older_than=age) == {"older_than_s": seconds}
