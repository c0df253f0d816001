"""`audit verify` and `audit export` as people use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cli.audit import verify
from gateway.ledger.audit_file import Tampered
from tests.audit.logs import KeySigner, Log, small_log, verified
from tests.audit.plain import as_json
from tests.cli.command import Command, command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command where there is no gateway, no data and no valid configuration."""
    (tmp_path / "broken.yaml").write_text("no: [configuration", encoding="utf-8")
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "broken.yaml"))
    monkeypatch.chdir(tmp_path)
    return command(capsys)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = small_log()
    (tmp_path / "log.txt").write_bytes(b"".join(made.lines))
    (tmp_path / "receipt.json").write_text(as_json(made.receipt), encoding="utf-8")
    pem = made.signer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "checkpoint.pub").write_bytes(pem)
    return made


def test_a_log_is_verified_offline_with_a_receipt(run: Command, log: Log) -> None:
    ended = run("audit", "verify", "log.txt", "--checkpoint", "receipt.json", "--json")
    assert ended.code == 0
    assert ended.document == {
        "whole": True,
        "entries": 42,
        "chains": {"main": 22, "worker-2": 20},
        "checkpoints": 5,
        "texts": 2,
        "until": "2026-09-21T14:13:20.040000+00:00",
        "key": log.signer.key(),
        "key_from": "receipt",
    }
    assert run("audit", "verify", "log.txt", "--key", "checkpoint.pub").out.startswith("whole: 42 entries")


def test_who_gives_neither_key_nor_receipt_is_told_what_that_proves(run: Command, log: Log) -> None:
    ended = run("audit", "verify", "log.txt")
    assert ended.code == 0
    assert "give --key or --checkpoint" in ended.err


def test_a_log_that_is_not_whole_ends_with_1_and_its_first_fault(
    run: Command, log: Log, tmp_path: Path
) -> None:
    place = next(n for n, line in enumerate(log.lines) if b'"chain":"main","number":3' in line)
    lines = [*log.lines[:place], *log.lines[place + 1 :]]
    (tmp_path / "log.txt").write_bytes(b"".join(lines))
    ended = run("audit", "verify", "log.txt", "--checkpoint", "receipt.json")
    assert ended.code == 1
    assert ended.out == (
        f"not whole: line {place + 1}, chain main, number 4: follows entry 2 of its chain (entry_missing)\n"
    )
    fault = run("audit", "verify", "log.txt", "--json").document
    assert fault["fault"] == {
        "code": "entry_missing", "text": "follows entry 2 of its chain", "line": place + 1, "chain": "main",
        "number": 4,
    }  # fmt: skip
    assert fault["whole"] is False


def test_a_forged_receipt_and_a_foreign_key_are_told(run: Command, log: Log, tmp_path: Path) -> None:
    receipt = json.loads((tmp_path / "receipt.json").read_text(encoding="utf-8"))
    receipt["checkpoint"]["document"] = receipt["checkpoint"]["document"].replace('"number":5', '"number":6')
    (tmp_path / "forged.json").write_text(json.dumps(receipt), encoding="utf-8")
    ended = run("audit", "verify", "log.txt", "--checkpoint", "forged.json")
    assert (ended.code, ended.out) == (
        1, "not whole: receipt, checkpoint 6: the receipt's signature is wrong (signature_wrong)\n"
    )  # fmt: skip
    other = KeySigner().private.public_key()
    (tmp_path / "other.pub").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert "key_not_trusted" in run("audit", "verify", "log.txt", "--key", "other.pub").out


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"checkpoint": null}', "\x00", '{"checkpoint": {"document": 1}}']
)
def test_a_file_that_is_no_receipt_is_wrong_usage(
    run: Command, log: Log, tmp_path: Path, content: str
) -> None:
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    ended = run("audit", "verify", "log.txt", "--checkpoint", "other.json")
    assert (ended.code, "holds no checkpoint" in ended.err) == (2, True)
    assert run("audit", "verify", "log.txt", "--key", "other.json").code == 2
    assert run("audit", "verify", "absent.txt").code == 1


@pytest.mark.parametrize("size", [1, 7, 100, 4096, 10**6])
def test_pieces_of_any_size_are_put_together(size: int) -> None:
    log = small_log()
    text = b"".join(log.lines)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    found = verify(lambda sink: [sink(piece) for piece in pieces] and None, [], log.receipt)
    assert found == verified(log.lines, log.receipt)
    with pytest.raises(Tampered, match="cut off"):
        verify(lambda sink: sink(text[:-1]) and None, [], log.receipt)


def test_a_line_without_an_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.audit.LONGEST_LINE", 1_000)
    taken = 0

    def endless(sink: object) -> None:
        nonlocal taken
        while True:
            taken += 100
            sink(b"x" * 100)  # type: ignore[operator]

    with pytest.raises(Tampered):
        verify(endless, [], None)
    assert taken <= 1_100
