"""Administrators' commands beside a real gateway: its worker does the work, its admin API answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.command import Command, batch_file, command, gateway


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with gateway(tmp_path_factory.mktemp("gateway")) as environment:
        yield environment


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, running: Mapping[str, str]
) -> Command:
    for name, value in running.items():
        monkeypatch.setenv(name, value)
    return command(capsys)


def test_keys_are_rotated_while_the_gateway_goes_on(run: Command, tmp_path: Path) -> None:
    sent = run("send", batch_file(tmp_path / "b.json"), "--center", "sc-01", "--wait", "--timeout", "30")
    assert sent.code == 0
    before = run("keys", "list", "--json").document["keys"]
    assert {key["state"] for key in before} == {"wraps"}
    rotated = run("keys", "rotate", "--reason", "yearly", "--json")
    assert rotated.code == 0
    assert (rotated.document["state"], rotated.document["unreadable"]) == ("finished", 0)
    listed = run("keys", "list", "--count", "--json").document["keys"]
    used = {key["id"]: key["in_use"] for key in listed}
    assert {key["bucket"] for key in before} < {key["bucket"] for key in listed}
    assert {bool(used[key["id"]]) for key in before} == {False}
    assert {key["state"] for key in listed} == {"wraps", "retired"}
    shown = run("keys", "list")
    assert "visa-" in shown.out and "ended" in shown.err


def test_retention_is_listed_held_and_released(run: Command) -> None:
    listed = run("retention", "list", "--json").document
    bucket = next(one["bucket"] for one in listed["buckets"] if one["bucket"].startswith("visa-"))
    placed = run("retention", "hold", bucket, "--reason", "court order", "--operator", "auditor-1", "--json")
    assert placed.document["bucket"] == bucket
    person = run(
        "retention", "hold", "--passport", "a1<<", "--issuing-state", "idn", "--reason", "court", "--json"
    ).document
    assert person["scope"] == "person" and "A1" not in str(person)
    shown = run("retention", "list")
    assert "held (" in shown.out and "court" not in shown.out
    for hold in (placed.document["hold"], person["hold"]):
        assert run("retention", "release", hold, "--reason", "closed").code == 0
    assert run("retention", "release", 99, "--reason", "closed").code == 1
    ended = run("retention", "run", "--reason", "now")
    assert (ended.code, ended.out) == (0, "") and "nothing is due" in ended.err


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("visa-2026-11", "--all"),
        ("--passport", "A1"),
        ("--issuing-state", "IDN"),
        ("visa",),
        ("--message", "x", "--all"),
    ],
)
def test_a_hold_names_one_thing(run: Command, given: tuple[str, ...]) -> None:
    ended = run("retention", "hold", *given, "--reason", "why")
    assert ended.code == 2 and "Traceback" not in ended.err


def test_keys_are_not_an_operators_business(run: Command) -> None:
    for asked in (("keys", "list"), ("keys", "rotate", "--reason", "x"), ("retention", "list")):
        ended = run(*asked, "--operator", "operator-1")
        assert ended.code == 1 and "administrator" in ended.err
    refused = run("retention", "release", 1, "--reason", "x", "--operator", "auditor-1")
    assert refused.code == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": "x"}, "hold_unclear"),
        ({"reason": "x", "everything": True, "bucket": "visa-2026-11"}, "hold_unclear"),
        ({"reason": "x", "bucket": "visa-1999-01"}, "not_found"),
        ({"reason": "x", "passport": {"number": "A;1", "issuing_state": "IDN"}}, "request_invalid"),
        ({"everything": True}, "request_invalid"),
    ],
)
def test_what_is_no_hold_is_refused_by_the_gateway_too(
    run: Command, running: Mapping[str, str], body: Mapping[str, object], code: str
) -> None:
    from cli.keys import KeysApi
    from cli.outcome import CommandError
    from cli.target import find

    api = KeysApi(find(None, None), "admin-1")
    with pytest.raises(CommandError) as refused:
        api._post("retention/holds", body)
    assert refused.value.code == code
