from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.settings import load
from gateway.settings.loading import VARIABLES
from tests.deploy.rules import DEPLOY, ROOT
from tests.deploy.test_runbooks import _fault

_UNIT = DEPLOY / "systemd" / "umrah-gateway.service"
_PROGRAM = "/opt/umrah-gateway/.venv/bin/umrah-gateway"


def _settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _UNIT.read_text().splitlines():
        if re.match(r"[A-Z]\w+=", line):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / _UNIT.name
    copy.write_text(_UNIT.read_text().replace(_PROGRAM, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_commands_exist() -> None:
    found = _settings()
    ours = [line for line in found["ExecStart"] + found["ExecReload"] if line.startswith(_PROGRAM)]
    assert len(ours) == 2
    for line in ours:
        assert _fault(shlex.split(line)[1:]) is None, line
    assert found["ExecReload"][-1] == "/bin/kill -HUP $MAINPID"


def test_it_waits_longer_than_what_is_carried_may_take() -> None:
    (stop,) = _settings()["TimeoutStopSec"]
    destinations = load(ROOT / "config" / "gateway.yaml", {}).destinations.values()
    assert int(stop) >= 2 * max(destination.deadline_s for destination in destinations) + 30


def test_only_the_first_process_is_told_to_end() -> None:
    """It tells the others, once they may go."""
    found = _settings()
    assert found["KillMode"] == ["mixed"]
    assert found["KillSignal"] == ["SIGTERM"]


def test_a_configuration_with_faults_is_not_tried_again() -> None:
    assert _settings()["RestartPreventExitStatus"] == ["2"]


def test_it_keeps_what_it_writes_to_itself() -> None:
    found = _settings()
    assert found["StateDirectoryMode"] == ["0700"]
    assert found["UMask"] == ["0077"]
    assert found["ProtectSystem"] == ["strict"]
    assert "--data-dir /var/lib/umrah-gateway" in found["ExecStart"][0]


def test_it_names_variables_that_the_gateway_knows() -> None:
    named = set(re.findall(r"GATEWAY_\w+", _UNIT.read_text()))
    assert named <= set(VARIABLES)
