"""`serve --workers N`: several real processes on one ledger and behind one listener."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.postgresql import Server, postgresql_server
from tests.processes import Installation

__all__ = ["postgresql_server"]

pytestmark = pytest.mark.processes


@dataclass
class Group:
    """A supervisor, its processes, and the simulated partners."""

    home: Installation
    env: dict[str, str]
    #: The supervisor's.
    pid: int = 0

    def start(self, *arguments: str) -> None:
        self.home._start("gateway", "serve", "--workers", "2", *arguments, **self.env)
        self.pid = self.home.processes["gateway"].pid
        until(lambda: self.home.get("admin", "/livez") is not None or not self.home.alive("gateway"), 120)

    def workers(self) -> set[int]:
        """The living processes of the supervisor."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return {int(pid) for pid in found.split()}

    def logged(self, event: str) -> int:
        text = (self.home.folder / "gateway.log").read_text(encoding="utf-8")
        return text.count(f'"event": "{event}"')

    def metric(self, name: str) -> float:
        text = self.home.get("admin", "/metrics").decode()
        found = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    def send(self, lines: int, seed: int, *, wait: bool = True) -> str:
        """A batch, sent and, unless `wait` says otherwise, final; its id."""
        sample = self.home.run(
            "sample",
            "--applications",
            str(lines),
            "--format",
            "json",
            "--clean",
            "--seed",
            str(seed),
            **self.env,
        )
        file = self.home.folder / f"batch-{seed}.json"
        file.write_bytes(sample.stdout)
        options = ("--center", "sc-01", "--json", *(("--wait",) if wait else ()))
        sent = self.home.run("send", str(file), *options, **self.env)
        assert sent.returncode == 0, sent.stderr
        found: str = json.loads(sent.stdout)["batch_id"]
        return found


def until(condition: Callable[[], bool], within_s: float = 60) -> None:
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, "it did not come to pass in time"
        time.sleep(0.05)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    embedded = request.param == "sqlite"
    url = "" if embedded else request.getfixturevalue("postgresql_server").emptied()
    running = Group(
        Installation(tmp_path_factory.mktemp("group")), {} if embedded else {"GATEWAY_DATABASE_URL": url}
    )
    home = running.home
    try:
        home.start_partners()
        running.start()
        until(lambda: running.logged("started") == 2)
        yield running
        assert home.terminate("gateway") == 0
        assert not list((home.data / "counters").iterdir())
    finally:
        home.stop()


def test_every_process_counts_and_any_of_them_tells_it_all(group: Group) -> None:
    before = group.metric("gateway_messages_completed_total")
    group.send(120, seed=1)
    # Answers come from whichever process takes the connection.
    for _ in range(6):
        assert group.metric("gateway_messages_completed_total") == before + 120
        assert group.metric("gateway_processes") == 2
        assert group.metric("gateway_audit_head_sequence") > 0  # the leader is one of this group
    assert group.home.get("partners", "/_evidence")["issued_twice"] == []


def test_one_of_them_leads(group: Group) -> None:
    assert group.logged("leads") - group.logged("follows") == 1


def test_a_process_that_dies_is_replaced(group: Group) -> None:
    began = group.logged("started")
    victim = min(group.workers())
    os.kill(victim, signal.SIGKILL)
    until(lambda: group.logged("started") == began + 1 and len(group.workers()) == 2)
    assert victim not in group.workers()
    group.send(20, seed=2)
    assert group.metric("gateway_processes") == 2


@dataclass
class Asking:
    """Asks for a document again and again, on new connections, until told to stop."""

    port: int
    answers: dict[int, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Asking:
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _ask_on(self) -> None:
        while not self._stopping.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request("GET", "/openapi.json")
                status = connection.getresponse().status
                self.answers[status] = self.answers.get(status, 0) + 1
            except OSError as error:
                self.broken.append(type(error).__name__)
            finally:
                connection.close()


def test_a_rolling_restart_refuses_no_connection(group: Group) -> None:
    before = group.workers()
    with Asking(group.home.ports["public"]) as asking:
        os.kill(group.pid, signal.SIGUSR2)
        group.send(60, seed=3)
        until(lambda: group.logged("replaced") == 1 and len(group.workers()) == 2)
    assert not group.workers() & before
    assert _fewest_serving(group.home.folder / "gateway.log") == 2
    assert asking.broken == []
    assert set(asking.answers) == {200}
    assert group.home.get("partners", "/_evidence")["issued_twice"] == []


def _fewest_serving(log: Path) -> int:
    """How many served at the worst moment of the restart that the log ends with."""
    lines = log.read_text(encoding="utf-8").splitlines()
    serving = fewest = 2
    for line in lines[next(n for n, line in enumerate(lines) if '"event": "replacing"' in line) :]:
        serving += ('"event": "started"' in line) - ('"event": "draining"' in line)
        fewest = min(fewest, serving)
    return fewest


def test_what_is_misconfigured_ends_the_whole_with_its_text(
    postgresql_server: Server, tmp_path: Path
) -> None:
    home = Installation(tmp_path)
    found = home.run("serve", "--workers", "2", GATEWAY_DATABASE_URL="postgresql+psycopg://127.0.0.1:1/none")
    assert found.returncode == 2
    assert b"database_url" in found.stderr


def test_at_the_embedded_ledger_every_process_does_everything(tmp_path: Path) -> None:
    found = Installation(tmp_path).run("serve", "--workers", "2", "--role", "api")
    assert found.returncode == 2
    assert b"SQLite" in found.stderr


def test_one_that_has_nothing_to_carry_helps_without_having_to_look(tmp_path: Path) -> None:
    rarely = {"gateway.yaml": [("sweep_interval_s: 0.2", "sweep_interval_s: 600")]}
    group = Group(Installation(tmp_path, changes=rarely), {})
    try:
        group.home.start_partners()
        group.start()
        until(lambda: group.logged("started") == 2)
        group.send(500, seed=4, wait=False)
        with closing(sqlite3.connect(group.home.data / "gateway.db")) as ledger:
            until(lambda: len(_who_issued(ledger)) == 2, within_s=20)
    finally:
        group.home.stop()


def _who_issued(ledger: sqlite3.Connection) -> set[str]:
    """The processes that carried an application to its end, each by its chain of the journal."""
    return {chain for (chain,) in ledger.execute("SELECT DISTINCT chain FROM audit WHERE action = 'issue'")}


def test_an_orphan_keeps_everybody_else_from_the_embedded_ledger(tmp_path: Path) -> None:
    """Its supervisor was killed, and it stands still: whatever it may do yet, nobody writes beside it."""
    group = Group(Installation(tmp_path), {})
    left: set[int] = set()
    try:
        group.start()
        until(lambda: group.logged("started") == 2)
        left = group.workers()
        for pid in left:
            os.kill(pid, signal.SIGSTOP)
        group.home.kill("gateway")
        found = group.home.run("serve")
        assert found.returncode == 2
        assert b"another gateway process uses this data directory" in found.stderr
        for pid in left:
            os.kill(pid, signal.SIGCONT)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
        assert group.logged("orphaned") == 2
    finally:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        group.home.stop()


def test_listening_and_carrying_can_be_apart_and_nobody_is_left_behind(
    postgresql_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "carry").mkdir()
    (tmp_path / "listen").mkdir()
    carrying = Group(Installation(tmp_path / "carry"), {"GATEWAY_DATABASE_URL": postgresql_server.emptied()})
    env = {**carrying.env, "GATEWAY_DATA_DIR": str(carrying.home.data)}
    listening = Group(Installation(tmp_path / "listen"), env)
    try:
        carrying.home.start_partners()
        carrying.start("--role", "worker")
        until(lambda: carrying.logged("started") == 2)
        listening.home._start("gateway", "serve", "--role", "api", **env)
        listening.home._wait_for("public", "/openapi.json", process="gateway")
        assert carrying.home.get("public", "/openapi.json") is None
        listening.send(30, seed=4)
        assert listening.logged("moved") == 0
        left = carrying.workers()
        carrying.home.kill("gateway")
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
        assert carrying.logged("orphaned") == 2
    finally:
        listening.home.stop()
        carrying.home.stop()
