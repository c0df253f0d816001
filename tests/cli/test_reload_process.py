"""SIGHUP to a real gateway process."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Installation

pytestmark = pytest.mark.processes


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    (tmp_path / "a").mkdir()
    installation = Installation(tmp_path / "a")
    installation.start_partners()
    installation.start_gateway()
    yield installation
    installation.stop()


def edit(home: Installation, file: str, old: str, new: str) -> None:
    path = home.folder / "config" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def hang_up(home: Installation, event: str) -> list[dict[str, Any]]:
    """SIGHUP, and the lines logged until `event`."""
    before = len(logged(home))
    home.processes["gateway"].send_signal(signal.SIGHUP)
    wait_for(lambda: any(line["event"] == event for line in logged(home)[before:]), home)
    return logged(home)[before:]


def logged(home: Installation) -> list[dict[str, Any]]:
    text = (home.folder / "gateway.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def wait_for(condition: Callable[[], Any], home: Installation) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert home.alive("gateway"), "the gateway ended"
        assert time.monotonic() < until, f"see {home.folder}"
        time.sleep(0.05)


def metric(home: Installation) -> str:
    lines = home.get("admin", "/metrics").decode().splitlines()
    (line,) = [line for line in lines if line.startswith("gateway_config_last_reload_successful")]
    return str(line.split()[1])


def send(home: Installation, seed: int) -> dict[str, Any]:
    """A batch of a center, sent and waited for; one result."""
    batch = home.folder / f"batch-{seed}.json"
    made = home.run("sample", "-n", "3", "--format", "json", "--seed", str(seed), "--clean")
    batch.write_bytes(made.stdout)
    sent = home.run("send", str(batch), "--center", "sc-01", "--wait", "--json")
    assert sent.returncode == 0, sent.stderr
    results = home.run("results", json.loads(sent.stdout)["batch_id"], "--format", "json")
    result: dict[str, Any] = json.loads(results.stdout)["results"][0]
    return result


def issued(home: Installation) -> int:
    return int(home.get("partners", "/_evidence")["visas_issued"])


def test_a_reloaded_gateway_calls_the_new_address_and_shows_what_the_new_policy_allows(
    home: Installation, tmp_path: Path
) -> None:
    assert "visa" in send(home, 1)
    assert issued(home) == 3

    (tmp_path / "b").mkdir()
    other = Installation(tmp_path / "b", seed=2)
    other.start_partners()
    try:
        edit(home, "destinations.yaml", str(home.ports["partners"]), str(other.ports["partners"]))
        for part in ("number", "valid_from", "valid_until", "stay_until"):
            edit(home, "confidentiality.yaml", f"    - visa.{part}\n", "")
        hang_up(home, "config_reloaded")
        assert "visa" not in send(home, 2)
        assert (issued(home), issued(other)) == (3, 3)
        assert metric(home) == "1.0"
        assert home.terminate("gateway") == 0
    finally:
        other.stop()


def test_a_faulty_file_is_refused_with_every_fault_and_the_gateway_goes_on(home: Installation) -> None:
    edit(home, "destinations.yaml", "deadline_s: 30", "deadline_s: -1")
    edit(home, "controls.yaml", "unplanned_months: closed", "unplaned_months: closed")
    lines = hang_up(home, "config_kept")
    faults = [f"{line['where']} {line['error']}" for line in lines if line["event"] == "config_fault"]
    assert any("destinations.yaml:" in fault and "deadline_s" in fault for fault in faults)
    assert any("controls.yaml:" in fault and "unplanned_months" in fault for fault in faults)
    assert metric(home) == "0.0"
    assert home.get("admin", "/readyz")["status"] == "ready"
    assert home.get("public", "/openapi.json") is not None

    edit(home, "destinations.yaml", "deadline_s: -1", "deadline_s: 30")
    edit(home, "controls.yaml", "unplaned_months: closed", "unplanned_months: closed")
    hang_up(home, "config_reloaded")
    assert metric(home) == "1.0"
    assert send(home, 3)["state"] == "issued"


def test_another_port_needs_a_restart_and_the_gateway_says_so(home: Installation) -> None:
    edit(home, "gateway.yaml", f"port: {home.ports['public']}", "port: 9")
    lines = hang_up(home, "config_reloaded")
    assert [line["where"] for line in lines if line["event"] == "needs_restart"] == [
        "gateway.yaml: listeners"
    ]
    assert home.get("public", "/openapi.json") is not None
