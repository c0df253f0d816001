from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.web.operators import ensure_operator_tokens, operators_directory
from tests.cli.command import CONFIG, Command


class Usage(NamedTuple):
    free: int


@pytest.fixture
def files(tmp_path: Path, free_ports: tuple[int, int]) -> Path:
    """A configuration on ports of its own."""
    directory = Path(shutil.copytree(CONFIG, tmp_path / "config"))
    file = directory / "gateway.yaml"
    text = file.read_text(encoding="utf-8")
    for shipped, free in zip((8080, 8081), free_ports, strict=True):
        text = text.replace(f"port: {shipped}", f"port: {free}")
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    (directory / "keys" / "parties").mkdir(parents=True)
    directory.chmod(0o700)
    (directory / "keys" / "parties" / "sc-01.pem").touch(mode=0o600)
    (directory / "keys" / "parties" / "sc-01.pub.pem").touch(mode=0o644)
    return directory


@pytest.fixture
def taken(free_ports: tuple[int, int]) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", free_ports[0])) as listening:
        yield listening


def levels(document: dict[str, Any], about: str) -> list[str]:
    return [finding["level"] for finding in document["findings"] if finding["about"] == about]


def test_all_is_well_before_the_first_start(run: Command, files: Path) -> None:
    ended = run("doctor", "--config", files, "--json")
    assert ended.code == 0, ended
    assert ended.document["result"] in ("ok", "warn")
    abouts = {finding["about"] for finding in ended.document["findings"]}
    assert abouts >= {
        "python", "sqlite", "xml", "configuration", "data directory", "key files", "disk", "clock",
        "public port", "admin port",
    }  # fmt: skip


def test_people_get_a_table(run: Command, files: Path) -> None:
    shown = run("doctor", "--config", files)
    assert shown.code == 0
    assert "data directory" in shown.out


def test_a_running_gateway_is_recognised(at_gateway: Command) -> None:
    document = at_gateway("doctor", "--json").document
    assert levels(document, "public port") == ["ok"]
    ready = next(f["text"] for f in document["findings"] if f["about"] == "admin port")
    assert "is ready" in ready


def test_a_port_that_another_program_has_fails(run: Command, files: Path, taken: socket.socket) -> None:
    from cli import http

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "_SILENCE_S", 0.1)
        ended = run("doctor", "--config", files, "--json")
    assert ended.code == 1
    assert levels(ended.document, "public port") == ["fail"]
    assert levels(ended.document, "admin port") == ["ok"]


def test_a_data_directory_open_to_others_fails(run: Command, files: Path, data: Path) -> None:
    assert levels(run("doctor", "--config", files, "--json").document, "data directory") == ["ok"]
    data.chmod(0o750)
    ended = run("doctor", "--config", files, "--json")
    assert ended.code == 1
    assert levels(ended.document, "data directory") == ["fail"]


@pytest.mark.parametrize(
    "secret", ["keys/parties/sc-01.pem", "keys/vault.key", "operators/a.token", "gateway.db"]
)
def test_a_secret_that_others_can_read_fails(run: Command, files: Path, data: Path, secret: str) -> None:
    path = data / secret
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.chmod(0o644)
    ended = run("doctor", "--config", files, "--json")
    assert ended.code == 1
    failed = [f for f in ended.document["findings"] if f["level"] == "fail"]
    assert [f["about"] for f in failed] == ["key files"]
    assert str(path) in failed[0]["text"]
    assert "chmod 600" in failed[0]["advice"]


def test_a_public_key_may_be_read_by_all(run: Command, files: Path, data: Path) -> None:
    assert levels(run("doctor", "--config", files, "--json").document, "key files") == ["ok"]


def test_a_file_where_the_data_directory_should_be_fails(run: Command, files: Path, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    ended = run("doctor", "--config", files, "--json")
    assert ended.code == 1
    assert levels(ended.document, "data directory") == ["fail"]


def test_a_faulty_configuration_is_told_and_the_rest_still_looked_at(run: Command, files: Path) -> None:
    files.write_text("listners: {}\n", encoding="utf-8")
    ended = run("doctor", "--config", files, "--json")
    assert ended.code == 1
    assert "fail" in levels(ended.document, "configuration")
    assert levels(ended.document, "disk")


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("3.6.23", "ok"),
        ("3.7.0", "warn"),
        ("3.40.1", "warn"),
        ("3.51.2", "warn"),
        ("3.51.3", "ok"),
        ("3.53.4", "ok"),
    ],
)
def test_the_sqlite_versions_with_the_wal_reset_fault_are_warned_of(
    run: Command, files: Path, monkeypatch: pytest.MonkeyPatch, version: str, level: str
) -> None:
    monkeypatch.setattr("gateway.ledger.sqlite.connection.SQLITE_VERSION", version)
    assert levels(run("doctor", "--config", files, "--json").document, "sqlite") == [level]


@pytest.mark.parametrize(("free", "level"), [(50 << 20, "fail"), (500 << 20, "warn"), (5 << 30, "ok")])
def test_little_disk_is_told(
    run: Command, files: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(free))
    assert levels(run("doctor", "--config", files, "--json").document, "disk") == [level]


def test_a_clock_behind_the_ledgers_last_write_fails(run: Command, files: Path, data: Path) -> None:
    ledger = data / "gateway.db"
    ledger.touch(mode=0o600)
    assert levels(run("doctor", "--config", files, "--json").document, "clock") == ["ok"]
    os.utime(ledger, (time.time() + 3_600, time.time() + 3_600))
    ended = run("doctor", "--config", files, "--json")
    assert ended.code == 1
    assert levels(ended.document, "clock") == ["fail"]


def test_operators_have_a_token_and_a_role_each(run: Command, files: Path, tmp_path: Path) -> None:
    ensure_operator_tokens(tmp_path / "data")
    assert levels(run("doctor", "--config", files, "--json").document, "operators") == ["ok"]
    folder = operators_directory(tmp_path / "data")
    (folder / "operator-2.token").rename(folder / "somebody.token")
    found = run("doctor", "--config", files, "--json").document
    assert levels(found, "operators") == ["warn", "warn"]
    texts = [one["text"] for one in found["findings"] if one["about"] == "operators"]
    assert texts == ["no token for operator-2", "no role for somebody"]
