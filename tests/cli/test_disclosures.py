"""Auditors' commands and `show --reveal`, beside a real gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Command, batch_file

WHY = ("--reason", "the person asks")


@pytest.fixture
def person(at_gateway: Command, tmp_path: Path) -> dict[str, Any]:
    """Of a batch whose visas are issued; `id` is the application's."""
    file = batch_file(tmp_path / "b.json")
    ended = at_gateway("send", file, "--center", "sc-01", "--wait", "--timeout", "20", "--json")
    batch = ended.document["batch_id"]
    found = at_gateway("messages", "--batch", batch, "--json").document["messages"]
    line: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["applications"][0]
    return {**line["passport"], "id": found[0]["id"], "batch": batch}


def of(person: dict[str, Any]) -> tuple[str, ...]:
    return ("--passport", person["number"], "--issuing-state", person["issuing_state"])


def test_disclosures_are_a_table_or_a_document(at_gateway: Command, person: dict[str, Any]) -> None:
    found = at_gateway("disclosures", *of(person), *WHY, "--json").document
    assert {"nic", "passports", "foreign-affairs"} <= {one["receiver"] for one in found["disclosures"]}
    shown = at_gateway("disclosures", *of(person), *WHY)
    assert shown.code == 0
    for text in ("nic", "foreign_affairs.visa_issuance", "operator:auditor-1", person["batch"]):
        assert text in shown.out.replace("\n", ""), text
    assert person["number"] not in shown.out + shown.err


def test_reveal_shows_what_is_granted_and_says_that_it_was_noted(
    at_gateway: Command, person: dict[str, Any]
) -> None:
    shown = at_gateway("show", person["id"], "--reveal", *WHY)
    assert (shown.code, person["number"] in shown.out) == (0, True)
    assert "noted in the audit log" in shown.err
    only = at_gateway("show", person["id"], "--reveal", "--field", "passport.issuing_state", *WHY, "--json")
    assert only.document["revealed"] == {"passport": {"issuing_state": person["issuing_state"]}}
    told = at_gateway("disclosures", *of(person), *WHY, "--json").document["disclosures"]
    assert [one["fields"] for one in told if one["operation"] == "reveal"][-1] == ["passport.issuing_state"]


def test_entries_of_a_person_go_to_a_file_or_to_standard_output(
    at_gateway: Command, person: dict[str, Any], tmp_path: Path
) -> None:
    out = at_gateway("audit", "entries", *of(person), *WHY).out
    entries = [json.loads(line) for line in out.splitlines()]
    assert {one["message"] for one in entries if one.get("message")} == {person["id"]}
    file = tmp_path / "entries.ndjson"
    told = at_gateway("audit", "entries", file, "--party", "sc-01", "--json")
    assert told.document["lines"] == len(file.read_text(encoding="utf-8").splitlines())
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("disclosures", "--passport", "A1234567", "--issuing-state", "UTO"),
        ("disclosures", "--passport", "A 123", "--issuing-state", "UTO", *WHY),
        ("disclosures", "--passport", "A1234567", "--issuing-state", "Utopia", *WHY),
        ("audit", "entries", "--passport", "A1234567", *WHY),
        ("audit", "entries", "--passport", "A1234567", "--issuing-state", "UTO"),
        ("audit", "entries", "--from", "yesterday"),
        ("audit", "entries", "--json"),
        ("show", "0198c7a3", "--reveal"),
        ("show", "0198c7a3", "--field", "passport.number"),
    ],
)
def test_what_a_user_can_leave_out_or_mistype_is_told(at_gateway: Command, wrong: tuple[str, ...]) -> None:
    ended = at_gateway(*wrong)
    assert ended.code == 2, ended
    assert "A 123" not in ended.err


def test_another_role_is_told_whose_it_is(at_gateway: Command) -> None:
    ended = at_gateway(
        "disclosures", "--passport", "A1", "--issuing-state", "UTO", *WHY, "--operator", "operator-1"
    )
    assert ended.code == 1
    assert "role_missing" in ended.err
    assert "auditor-1" in ended.err
