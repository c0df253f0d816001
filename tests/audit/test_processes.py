"""The log of a real gateway: killed, restarted, without its key, with another configuration."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Command, Ended, command
from tests.processes import Installation

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    changes = {"gateway.yaml": [("interval_s: 30", "interval_s: 0.2")]}
    installed = Installation(tmp_path_factory.mktemp("audit"), changes=changes)
    installed.start_partners()
    installed.start_gateway()
    yield installed
    installed.stop()


@dataclass
class Home:
    """A running gateway, and commands beside it."""

    gateway: Installation
    run: Command
    folder: Path

    def send(self, seed: int, *options: str) -> dict[str, Any]:
        batch = self.folder / f"batch-{seed}.json"
        self.done("sample", "-n", 20, "--seed", seed, "--clean", "--output", batch)
        return dict(self.done("send", batch, "--center", "sc-01", "--json", *options).document)

    def done(self, *arguments: object) -> Ended:
        ended = self.run(*arguments)
        assert ended.code == 0, ended.err
        return ended

    def verify(self, *options: object) -> tuple[int, dict[str, Any]]:
        ended = self.run("audit", "verify", *options, "--json")
        return ended.code, ended.document

    def restart(self) -> None:
        self.gateway.kill("gateway")
        self.gateway.start_gateway()

    def log(self) -> str:
        return (self.gateway.folder / "gateway.log").read_text(encoding="utf-8")

    def wait_until_checkpoints_are(self, state: str) -> None:
        self.wait_for(lambda: self.gateway.get("admin", "/readyz")["checkpoints"] == state)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not condition():
            assert self.gateway.alive("gateway"), "the gateway ended"
            assert time.monotonic() < until, f"see {self.gateway.folder}"
            time.sleep(0.05)


@pytest.fixture
def home(
    installation: Installation,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Home:
    for name, value in installation.environment().items():
        monkeypatch.setenv(name, value)
    return Home(installation, command(capsys), tmp_path)


def test_a_gateway_killed_half_way_goes_on_with_its_chain_without_a_gap(home: Home) -> None:
    receipt, log = home.folder / "receipt.json", home.folder / "log.txt"
    sent = home.send(1, "--receipt", str(receipt))
    home.restart()
    home.send(2, "--wait")
    home.restart()
    code, found = home.verify("--checkpoint", receipt)
    assert (code, found["whole"], found["key_from"]) == (0, True, "given")
    assert json.loads(receipt.read_text(encoding="utf-8"))["checkpoint"] == sent["checkpoint"]
    home.done("audit", "export", log)
    code, found = home.verify(log, "--checkpoint", receipt)
    assert (code, found["key_from"]) == (0, "receipt")
    log.write_bytes(log.read_bytes().replace(b'"actor":"worker"', b'"actor":"nobody"', 1))
    code, found = home.verify(log, "--checkpoint", receipt)
    assert (code, found["fault"]["code"]) == (1, "entry_changed")


def test_a_gateway_without_its_key_gives_the_alarm_and_messages_go_on(home: Home) -> None:
    receipt, key = home.folder / "receipt.json", home.gateway.data / "keys" / "checkpoint.key"
    home.wait_until_checkpoints_are("signed")
    content = key.read_bytes()
    key.unlink()
    home.wait_until_checkpoints_are("signer_lost")
    home.restart()
    assert not key.exists(), "none is made in its place"
    assert home.gateway.get("admin", "/readyz")["status"] == "ready"
    sent = home.send(3, "--wait", "--receipt", str(receipt))
    assert sent["counts"]["issued"] == 20
    assert '"checkpoints_unsigned"' in home.log()
    code, found = home.verify()
    assert (code, found["fault"]["code"]) == (1, "not_covered")
    key.write_bytes(content)
    key.chmod(0o600)
    home.wait_until_checkpoints_are("signed")
    code, found = home.verify("--checkpoint", receipt)
    assert (code, found["whole"]) == (0, True)


def test_another_configuration_stands_in_the_log_with_its_text(home: Home) -> None:
    policy = home.gateway.folder / "config" / "controls.yaml"
    policy.write_text(policy.read_text(encoding="utf-8") + "# another text\n", encoding="utf-8")
    home.gateway.processes["gateway"].send_signal(signal.SIGHUP)
    home.wait_for(lambda: "config_reloaded" in home.log())
    log = home.folder / "log.txt"
    home.done("audit", "export", log)
    lines = log.read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line[70:]) for line in lines if line.startswith("text ")]
    assert [name for name, _ in texts].count("controls.yaml") == 2
    assert texts[-1][1].endswith("# another text\n")
    assert sum('"action":"configuration"' in line for line in lines) == 2
    assert home.verify(log)[0] == 0
