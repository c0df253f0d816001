from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.command import Command, command, gateway


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command, with a data directory of the test's own."""
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))
    return command(capsys)


@pytest.fixture(scope="package")
def running_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with gateway(tmp_path_factory.mktemp("gateway")) as environment:
        yield environment


@pytest.fixture
def at_gateway(run: Command, running_gateway: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command beside a gateway."""
    for name, value in running_gateway.items():
        monkeypatch.setenv(name, value)
    return run
