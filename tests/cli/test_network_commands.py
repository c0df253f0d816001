"""The commands of all parties: single messages, notifications, and the kinds of messages."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.public_api import PartyApi
from schemas.kinds import KINDS
from schemas.kinds.xml_layout import to_xml
from tests.cli.command import Command

STATUS = "licensee.status"
#: One gateway serves all of these tests: each version is used once.
VERSIONS: Iterator[int] = iter(range(100, 10_000))


def status(**changes: Any) -> dict[str, Any]:
    return {**KINDS[STATUS].example, "licensee_id": "LIC-1001", "version": next(VERSIONS), **changes}


def written(folder: Path, body: Any, name: str = "status.json") -> Path:
    path = folder / name
    path.write_text(to_xml(STATUS, body) if path.suffix == ".xml" else json.dumps(body), encoding="utf-8")
    return path


def from_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


# --- message --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["json", "xml"])
def test_a_message_is_sent_and_sent_again_is_the_same(
    at_gateway: Command, tmp_path: Path, ending: str
) -> None:
    path = written(tmp_path, status(), f"status.{ending}")
    first = at_gateway("message", STATUS, path, "--party", "licensing", "--json")
    again = at_gateway("message", STATUS, path, "--party", "licensing", "--json")
    assert (first.code, again.code) == (0, 0), first
    assert first.document["duplicate"] is False
    assert again.document == {**first.document, "duplicate": True}


def test_without_json_its_id_is_the_only_data(at_gateway: Command, tmp_path: Path) -> None:
    ended = at_gateway("message", STATUS, written(tmp_path, status()), "--party", "licensing")
    assert (ended.code, len(ended.out.split())) == (0, 1)
    assert "is recorded" in ended.err


@pytest.mark.parametrize("form", ["json", "xml"])
def test_standard_input_is_read_in_either_format(
    at_gateway: Command, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    body = status()
    from_input(monkeypatch, json.dumps(body) if form == "json" else to_xml(STATUS, body))
    assert at_gateway("message", STATUS, "-", "--party", "licensing").code == 0


def test_an_example_can_be_sent_as_it_is_shown(at_gateway: Command, tmp_path: Path) -> None:
    shown = at_gateway("kinds", "case.report", "--example")
    path = tmp_path / "f.json"
    path.write_text(shown.out, encoding="utf-8")
    ended = at_gateway("message", "case.report", path, "--party", "pilgrim-services")
    assert ended.code == 0, ended


def test_every_fault_is_shown_with_its_pointer(at_gateway: Command, tmp_path: Path) -> None:
    path = written(tmp_path, status(version=0, status="gone"))
    ended = at_gateway("message", STATUS, path, "--party", "licensing")
    assert (ended.code, ended.out) == (1, "")
    assert "/status not_one_of" in ended.err
    assert "/version too_small" in ended.err
    document = at_gateway("message", STATUS, path, "--party", "licensing", "--json").document
    assert {fault["pointer"] for fault in document["error"]["errors"]} == {"/status", "/version"}


def test_a_key_stands_for_one_message(at_gateway: Command, tmp_path: Path) -> None:
    options = ("--party", "licensing", "--key", "monday")
    assert at_gateway("message", STATUS, written(tmp_path, status()), *options).code == 0
    other = at_gateway("message", STATUS, written(tmp_path, status()), *options)
    assert other.code == 1
    assert "idempotency_key_reused" in other.err


def test_a_kind_of_another_party_is_told_with_a_hint(at_gateway: Command, tmp_path: Path) -> None:
    ended = at_gateway("message", STATUS, written(tmp_path, status()), "--party", "sc-01")
    assert ended.code == 1
    assert "not_your_message" in ended.err
    assert "kinds" in ended.err


# --- notifications --------------------------------------------------------------------------------------


def told(at_gateway: Command, *options: object) -> Any:
    ended = at_gateway("notifications", "--party", "sc-01", "--limit", "1000", "--json", *options)
    assert ended.code == 0, ended
    return ended.document


def test_notifications_are_shown_again_until_they_are_confirmed(at_gateway: Command, tmp_path: Path) -> None:
    body = status()
    at_gateway("message", STATUS, written(tmp_path, body), "--party", "licensing")
    for options in ((), ("--confirm",)):
        found = told(at_gateway, *options)
        assert found["notifications"][-1]["data"]["version"] == body["version"]
    assert told(at_gateway)["notifications"] == []
    assert told(at_gateway, "--cursor", "0")["notifications"][-1]["data"]["version"] == body["version"]


def test_people_see_each_with_its_place_and_data(at_gateway: Command, tmp_path: Path) -> None:
    body = status()
    at_gateway("message", STATUS, written(tmp_path, body), "--party", "licensing")
    lines = at_gateway(
        "notifications", "--party", "sc-01", "--cursor", "0", "--limit", "1000"
    ).out.splitlines()
    shown = list(zip(lines[::2], map(json.loads, lines[1::2]), strict=True))
    head = next(head for head, data in shown if data.get("version") == body["version"])
    assert f"{STATUS}  LIC-1001" in head
    nothing = at_gateway("notifications", "--party", "nic")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "nothing new\n")


def test_following_goes_on_where_the_last_page_ended_until_ctrl_c(
    at_gateway: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"cursor": "7", "id": "e", "kind": STATUS, "subject": "LIC-1001", "time": "t", "data": {}}
    pages = iter([{"notifications": [event], "cursor": "7", "more": False}])
    asked: list[tuple[str | None, int | None]] = []
    confirmed: list[str] = []

    def page(_api: PartyApi, cursor: str | None, _limit: int, wait_s: int | None = None) -> Any:
        asked.append((cursor, wait_s))
        try:
            return next(pages)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(PartyApi, "notifications", page)
    monkeypatch.setattr(PartyApi, "confirm", lambda _api, cursor: confirmed.append(cursor))
    ended = at_gateway("notifications", "--party", "sc-01", "--follow", "--confirm", "--json")
    assert ended.code == 130
    assert json.loads(ended.out) == event
    assert asked == [(None, None), ("7", 30)]
    assert confirmed == ["7"]


# --- kinds ----------------------------------------------------------------------------------------------


def test_all_kinds_are_listed_with_who_sends_them_and_their_key(run: Command) -> None:
    ended = run("kinds")
    assert ended.code == 0
    for kind in KINDS:
        assert kind in ended.out
    assert "the gateway" in ended.out
    listed = run("kinds", "--json").document["kinds"]
    assert [one["kind"] for one in listed] == list(KINDS)
    assert listed[0].keys() >= {"senders", "key", "goes_to"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_its_fields_and_an_example_in_both_formats(run: Command, kind: str) -> None:
    shown = run("kinds", kind)
    assert shown.code == 0
    for name in KINDS[kind].model.model_json_schema(by_alias=True)["properties"]:
        assert name in shown.out
    assert json.loads(run("kinds", kind, "--example").out) == KINDS[kind].example
    assert run("kinds", kind, "--example", "--xml").out == to_xml(kind, KINDS[kind].example)
    document = run("kinds", kind, "--json").document
    assert (document["kind"], document["example"]) == (kind, KINDS[kind].example)


# --- mistakes -------------------------------------------------------------------------------------------

MISTAKES = {
    "misspelt kind": (["message", "licensee.state", "{}/a.json", "--party", "licensing"], "licensee.status"),
    "no such kind": (["message", "gossip", "{}/a.json", "--party", "licensing"], "see `kinds`"),
    "a batch": (["message", "visa.batch", "{}/a.json", "--party", "sc-01"], "use `send`"),
    "no such file": (["message", STATUS, "{}/none.json", "--party", "licensing"], "not a file"),
    "a folder": (["message", STATUS, "{}", "--party", "licensing"], "not a file"),
    "an empty file": (["message", STATUS, "{}/empty.json", "--party", "licensing"], "nothing in it"),
    "a large file": (["message", STATUS, "{}/large.json", "--party", "licensing"], "1048576"),
    "no party": (["message", STATUS, "{}/a.json"], "--party"),
    "misspelt party": (["message", STATUS, "{}/a.json", "--party", "licencing"], "did you mean licensing"),
    "a key with a space": (["message", STATUS, "{}/a.json", "--party", "licensing", "--key", "a b"], "--key"),
    "a cursor that is none": (
        ["notifications", "--party", "sc-01", "--cursor", "x", "--key-file", "{}/a.json"], "cursor",
    ),
    "too many at a time": (["notifications", "--party", "sc-01", "--limit", "1001"], "--limit"),
    "an example of nothing": (["kinds", "--example"], "KIND"),
    "a kind that is none": (["kinds", "licensee.staus"], "licensee.status"),
    "XML and JSON": (["kinds", STATUS, "--xml", "--json"], "exclude"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_a_sentence(run: Command, tmp_path: Path, mistake: str) -> None:
    written(tmp_path, status(), "a.json")
    (tmp_path / "empty.json").touch()
    (tmp_path / "large.json").write_bytes(b" " * 1_048_577)
    arguments, word = MISTAKES[mistake]
    ended = run(*(argument.replace("{}", str(tmp_path)) for argument in arguments))
    assert ended.code == 2, ended
    assert word in ended.err.replace("\n│ ", " ")
    assert "Traceback" not in ended.err


def test_no_gateway_is_told_in_a_sentence(run: Command, tmp_path: Path) -> None:
    from gateway.web.tokens import write_secret
    from tests.cli.command import private_key

    write_secret(tmp_path / "key.pem", private_key())
    where = ("--url", "http://127.0.0.1:1", "--key-file", tmp_path / "key.pem", "--party", "licensing")
    for arguments in (("message", STATUS, written(tmp_path, status())), ("notifications",)):
        ended = run(*arguments, *where)
        assert ended.code == 1
        assert "no gateway at" in ended.err
