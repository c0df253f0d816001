from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import CONFIG, Command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the shipped configuration."""
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def spoil(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_shipped_configuration_is_clean(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run("check-config", CONFIG / "gateway.yaml")
    assert ended.code == 0, ended
    assert ended.out == "configuration is clean\n"
    assert run("check-config", "--json").document == {"clean": True, "faults": []}


def test_every_fault_has_its_place_on_standard_output(run: Command, files: Path) -> None:
    spoil(files / "gateway.yaml", "data_directory:", "data_directorry:")
    spoil(files / "routes.yaml", "interior.security_clearance", "interior.security_clearence")
    ended = run("check-config", files / "gateway.yaml")
    assert ended.code == 2
    lines = ended.out.splitlines()
    row = next(
        n
        for n, line in enumerate((files / "gateway.yaml").read_text().splitlines(), 1)
        if "directorry" in line
    )
    assert lines[0].startswith(f"{files / 'gateway.yaml'}:{row}:1: ")
    assert "data_directory" in lines[0]
    # Only the catalogue of operations knows this one.
    assert any("routes.yaml:" in line and "interior.security_clearance" in line for line in lines)


def test_faults_as_json_are_taken_apart(run: Command, files: Path) -> None:
    spoil(files / "gateway.yaml", "port: 8080", "port: -1")
    document = run("check-config", "--config", files / "gateway.yaml", "--json").document
    assert document["clean"] is False
    fault = next(fault for fault in document["faults"] if fault["message"].startswith("port"))
    lines = (files / "gateway.yaml").read_text(encoding="utf-8").splitlines()
    assert fault["file"] == str(files / "gateway.yaml")
    assert lines[fault["line"] - 1][fault["column"] - 1 :].startswith("-1")


def test_the_configuration_of_the_environment_is_the_one_that_is_checked(
    run: Command, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(files / "gateway.yaml", "port: 8080", "port: -1")
    monkeypatch.setenv("GATEWAY_CONFIG", str(files / "gateway.yaml"))
    assert run("check-config").code == 2
