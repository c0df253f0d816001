"""What a user does wrong ends in a sentence and an exit code, never in a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import output
from gateway.web.tokens import write_secret
from tests.cli.command import Command, batch_file, private_key

#: Arguments, exit code, and a word that the message must have. `{}` is the test's own folder.
MISTAKES = {
    "unknown command": (["sned", "{}/b.json"], 2, "sned"),
    "unknown option": (["send", "{}/b.json", "--centre", "sc-01"], 2, "--centre"),
    "missing option": (["send", "{}/b.json"], 2, "--center"),
    "missing argument": (["status"], 2, "BATCH"),
    "value of another type": (["sample", "--applications", "many"], 2, "--applications"),
    "value out of range": (["sample", "--applications", "0"], 2, "--applications"),
    "unknown choice": (["sample", "--format", "pdf"], 2, "pdf"),
    "no such file": (["send", "{}/none.json", "--center", "sc-01"], 2, "is not a file"),
    "folder for a file": (["send", "{}", "--center", "sc-01"], 2, "is not a file"),
    "unknown ending": (["send", "{}/b.txt", "--center", "sc-01"], 2, "--format"),
    "half a gzip file": (
        ["send", "{}/half.json.gz", "--center", "sc-01", "--key-file", "{}/key.pem"], 1, "gzip",
    ),
    "misspelt center": (["send", "{}/b.json", "--center", "sc-1"], 2, "did you mean"),
    "no key made yet": (["send", "{}/b.json", "--center", "sc-01"], 2, "serve"),
    "no such key file": (["send", "{}/b.json", "--center", "sc-01", "--key-file", "{}/no.pem"], 2, "no.pem"),
    "key file without a key": (["token", "--party", "sc-01", "--key-file", "{}/b.txt"], 2, "private key"),
    "idempotency key with a space": (["send", "{}/b.json", "--center", "sc-01", "--key", "a b"], 2, "--key"),
    "no gateway": (
        ["status", "b", "--url", "http://127.0.0.1:1", "--key-file", "{}/key.pem"], 1, "no gateway at",
    ),
    "unknown host": (
        ["status", "b", "--url", "http://gateway.invalid", "--key-file", "{}/key.pem"], 1, "no gateway at",
    ),
    "URL without a scheme": (["status", "b", "--url", "localhost:80", "--key-file", "{}/key.pem"], 2, "URL"),
    "URL with a bad port": (
        ["status", "b", "--url", "http://h:99999", "--key-file", "{}/key.pem"], 2, "a URL looks",
    ),
    "id that leaves its path": (["status", "../admin", "--key-file", "{}/key.pem"], 2, "not an id"),
    "JSON and CSV on one stream": (["sample", "--format", "csv", "--json"], 2, "--output"),
    "center without reference data": (["sample", "--center", "sc-77"], 2, "sc-01 to sc-05"),
    "output in no folder": (["sample", "--output", "{}/no/b.json"], 1, "No such file"),
    "token that lives too long": (["token", "--party", "sc-01", "--lifetime", "90000"], 2, "300"),
    "no operator's token": (["messages"], 2, "operator-1.token"),
    "name that leaves its folder": (["messages", "--operator", "../../x"], 2, "operator's name"),
    "age that is none": (["messages", "--older-than", "soon", "--operator", "op"], 2, "15m"),
    "age of nothing": (["messages", "--older-than", "0s", "--operator", "op"], 2, "15m"),
    "nothing to retry": (["retry", "--operator", "op", "--reason", "x"], 2, "filter"),
    "ids and a filter": (["cancel", "a", "--state", "held", "--operator", "op"], 2, "filter"),
    "retry without a reason": (["retry", "a", "--operator", "op"], 2, "--reason"),
    "review without a decision": (["resolve", "a", "--operator", "op"], 2, "--issued"),
    "review with two decisions": (
        ["resolve", "a", "--refused", "--send-again", "--operator", "op"], 2, "one of",
    ),
    "decision that is confirmed at once": (
        ["resolve", "a", "--refused", "--confirm", "--reason", "x", "--operator", "op"], 2, "one of",
    ),
    "decision without a reason": (["resolve", "a", "--refused", "--operator", "op"], 2, "--reason"),
    "no such configuration": (["token", "--party", "sc-01", "--config", "{}/none.yaml"], 2, "none.yaml"),
    "configuration that is no YAML": (["token", "--party", "sc-01", "--config", "{}/b.txt"], 2, "b.txt:"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some files to do wrong with."""
    batch_file(tmp_path / "b.json")
    (tmp_path / "b.txt").write_text("]: [", encoding="utf-8")
    (tmp_path / "half.json.gz").write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03half")
    write_secret(tmp_path / "key.pem", private_key())
    write_secret(tmp_path / "data" / "operators" / "op.token", b"x" * 43)
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_a_sentence(run: Command, folder: Path, mistake: str) -> None:
    arguments, code, word = MISTAKES[mistake]
    ended = run(*(argument.replace("{}", str(folder)) for argument in arguments))
    assert ended.code == code, ended
    assert word in ended.err.replace("\n│ ", " "), ended
    assert ended.out == "" or "--json" in arguments
    assert "Traceback" not in ended.err


def test_with_json_a_mistake_is_one_document_too(run: Command, folder: Path) -> None:
    ended = run("send", folder / "none.json", "--center", "sc-01", "--json")
    assert ended.code == 2
    assert ended.document["error"]["code"] == "usage"
    ended = run("token", "--party", "sc-01", "--config", folder / "b.txt", "--json")
    assert ended.code == 2
    assert "b.txt:1:" in ended.document["error"]["faults"][0]


def test_a_misspelt_variable_is_told(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATADIR", "x")
    ended = run("token", "--party", "sc-01")
    assert ended.code == 2
    assert "GATEWAY_DATA_DIR" in ended.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told(run: Command, folder: Path) -> None:
    (folder / "b.json").chmod(0)
    ended = run("send", folder / "b.json", "--center", "sc-01", "--key-file", folder / "key.pem")
    assert ended.code == 1
    assert "Permission denied" in ended.err


def test_ctrl_c_ends_with_130(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.sampling.write_sample", interrupted)
    assert run("sample").code == 130


def test_texts_of_others_cannot_steer_the_terminal() -> None:
    assert output.plain("a\x1b[31mb\u202ec\r") == "a\ufffd[31mb\ufffdc\ufffd"


def test_markup_in_texts_of_others_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["[bold]x"], [["[red]\x1b]0;title\x07 :smile:"]])
    shown = capsys.readouterr().out
    assert "[bold]x" in shown
    assert "[red]\ufffd]0;title\ufffd :smile:" in shown
    assert "\x1b" not in shown
