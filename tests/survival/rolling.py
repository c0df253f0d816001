"""Rolling restarts and an upgrade under load: a client that submits and polls all the time notices nothing.

The gateway is `serve --workers N` as operators start it; SIGUSR2 replaces its workers one by one.
"""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.ledger.migrating import migrations, newest
from tests.survival.center import Center
from tests.survival.home import Home
from tests.survival.row import Row, judge
from tests.survival.spawner import ROOT, Forked

_CLIENTS: Final = 3
_REPLACED_WITHIN_S: Final = 120


@dataclass
class Client:
    """Submits, then polls what it submitted, on one connection that is kept open."""

    center: Center
    number: int
    statuses: Counter[int] = field(default_factory=Counter)
    #: Connections that were closed while idle: the request is sent once more, on another.
    idle_closed: int = 0
    refused: int = 0
    broken: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    _connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        for turn in itertools.count():
            if self.stopping.is_set():
                break
            number = 10_000 * (self.number + 1) + turn
            self._submit(number)
            for batch in list(self.center.receipts.values())[-3:]:
                self._ask("GET", f"/v1/batches/{batch}")
            self.stopping.wait(0.02)
        if self._connection is not None:
            self._connection.close()

    def _submit(self, number: int) -> None:
        body, key = self.center.batch(number), f"rolling-{number}"
        status, answer = self._ask("POST", "/v1/batches", body, key)
        if 200 <= status < 300:
            self.center.receipts[key] = answer["batch_id"]

    def _ask(self, method: str, path: str, body: bytes | None = None, key: str = "") -> tuple[int, Any]:
        headers = self.center._headers() | ({"Idempotency-Key": key} if key else {})
        for attempt in (1, 2):
            fresh = self._connection is None
            try:
                found = self._once(method, path, body, headers)
            except ConnectionRefusedError:
                self._drop()
                self.refused += 1
                return 0, None
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if fresh or attempt == 2:
                    self.broken.append(f"{method}: {type(error).__name__}")
                    return 0, None
                self.idle_closed += 1
                headers |= {"Authorization": self.center._headers()["Authorization"]}
            else:
                self.statuses[found[0]] += 1
                if found[0] >= 500:
                    self.errors.append(f"{method} {path[:12]} {found[0]} {(found[1] or {}).get('code')}")
                return found
        return 0, None

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        if self._connection is None:
            port = self.center.home.ports[0][0]
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            self._connection.connect()
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.will_close:
            self._drop()
        return reply.status, _json(text)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class Program:
    """A copy of the gateway that may be replaced by a newer one while it runs."""

    folder: Path
    mutant: str | None = None

    def install(self) -> None:
        for name in ("gateway", "adapters", "schemas", "cli"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        program = (ROOT / "run_gateway.py").read_text(encoding="utf-8")
        (self.folder / "run_gateway.py").write_text(self._broken() + program, encoding="utf-8")

    def _broken(self) -> str:
        if self.mutant is None:
            return ""
        return (
            f"import sys; sys.path.append({str(ROOT)!r})\n"
            f"from tests.survival.mutants import MUTANTS; MUTANTS[{self.mutant!r}]()\n"
        )

    def upgrade(self) -> None:
        """The next version: a new column, of which the version before knows nothing."""
        known = newest(migrations())
        script = f"-- compatible with: {known}\nALTER TABLE batch ADD COLUMN rehearsed INTEGER;\n"
        folder = self.folder / "gateway" / "ledger" / "migrations"
        (folder / f"{known + 1:04}_rehearsed.sql").write_text(script, encoding="utf-8")


@dataclass
class RollingRestarts:
    """The last of the restarts is one into a newer version."""

    home: Home
    center: Center
    program: Program
    workers: int = 2

    def run(self, restarts: int, *, seconds: float | None = None, rest_s: float = 90) -> Row:
        began, done = time.monotonic(), 0
        self.program.install()
        supervisor = self._start()
        clients = [Client(self.center, number) for number in range(_CLIENTS)]
        threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        time.sleep(1)
        replaced = 0
        while done < restarts and (seconds is None or time.monotonic() - began < seconds):
            replaced += self._replace(supervisor)
            done += 1
        self.program.upgrade()
        replaced += self._replace(supervisor)
        done += 1
        for client in clients:
            client.stopping.set()
        for thread in threads:
            thread.join(60)
        row = self._judge(clients, done, replaced, began, rest_s)
        supervisor.terminate()
        code = supervisor.wait(60)
        if code != 0:
            row.other["broken"].append(f"drained with exit code {code}")
        return row

    def _start(self) -> subprocess.Popen[bytes]:
        with self.home.log().open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "run_gateway.py", "serve", "--workers", str(self.workers)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.program.folder,
                env=self.home.environment(),
            )
        self.home.partners.processes["supervisor"] = process
        self.home.forked[0] = Forked.of(process.pid)
        self.home.wait_until_up()
        return process

    def _replace(self, supervisor: subprocess.Popen[bytes]) -> bool:
        """SIGUSR2, until every worker of before is gone and as many others are there."""
        before = children(supervisor.pid)
        supervisor.send_signal(signal.SIGUSR2)
        ends = time.monotonic() + _REPLACED_WITHIN_S
        while time.monotonic() < ends:
            now = children(supervisor.pid)
            if not now & before and len(now) == self.workers:
                return True
            time.sleep(0.1)
        return False

    def _judge(self, clients: list[Client], done: int, replaced: int, began: float, rest_s: float) -> Row:
        statuses = sum((client.statuses for client in clients), Counter())
        errors = sum(count for status, count in statuses.items() if status >= 500)
        refused = sum(client.refused for client in clients)
        broken = [text for client in clients for text in client.broken]
        broken += [f"{errors} answers of 5xx"] if errors else []
        broken += [f"{refused} connections refused"] if refused else []
        broken += [f"{done - replaced} restarts did not replace every worker"] if replaced < done else []
        return judge(
            self.center,
            "rolling restart, at last into a newer version",
            done,
            rest_s=rest_s,
            broken=broken,
            requests=sum(statuses.values()),
            errors=sorted(text for client in clients for text in client.errors),
            statuses={str(status): count for status, count in sorted(statuses.items())},
            idle_connections_closed=sum(client.idle_closed for client in clients),
            seconds=round(time.monotonic() - began),
        )


def children(pid: int) -> set[int]:
    """The processes that `pid` has started and that live."""
    found = subprocess.run(["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True, check=False)
    lines = [line.split() for line in found.stdout.decode().splitlines()]
    return {int(number) for number, state in lines if not state.startswith("Z")}


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
