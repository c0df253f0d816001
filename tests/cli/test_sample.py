from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.mark.parametrize("name", ["json", "ndjson", "csv", "xml"])
def test_a_sample_is_written_in_the_format_of_its_ending(run: Command, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"batch.{name}"
    ended = run("sample", "-n", 5, "--clean", "--output", file, "--json")
    assert ended.code == 0
    assert ended.document["format"] == name
    assert ended.document["bytes"] == file.stat().st_size
    begins = {
        "json": b'{"batch_reference"',
        "ndjson": b'{"batch_reference"',
        "csv": b"batch.",
        "xml": b"<?xml",
    }
    assert file.read_bytes().startswith(begins[name])


def test_the_same_seed_gives_the_same_sample(run: Command) -> None:
    first = run("sample", "-n", 20, "--seed", 7).out
    assert run("sample", "-n", 20, "--seed", 7).out == first
    assert run("sample", "-n", 20, "--seed", 8).out != first


def test_standard_output_holds_the_batch_and_nothing_else(run: Command) -> None:
    ended = run("sample", "-n", 3, "--center", "sc-02")
    assert ended.err == ""
    document = json.loads(ended.out)
    assert document["licensee_id"] == "LIC-1002"
    assert len(document["applications"]) == 3


def test_a_failure_leaves_the_old_file_as_it_was(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(_format: str, _header: object, _lines: object, out: object) -> None:
        out.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    file = tmp_path / "batch.json"
    file.write_text("old", encoding="utf-8")
    monkeypatch.setattr("cli.sampling.write_batch", torn)
    ended = run("sample", "--output", file)
    assert ended.code == 1
    assert "No space left" in ended.err
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]
