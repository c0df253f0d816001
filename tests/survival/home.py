"""A home for gateways that are to survive something: configuration, data, partners, processes of our own."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.bus.broker import PrivateBroker
from tests.bus.conftest import empty_broker
from tests.postgresql import Server, server
from tests.processes import Installation
from tests.survival.spawner import ENDED, ROOT, Forked, Spawner, exit_code

SQLITE: Final = "sqlite"
SERVERS: Final = "postgresql+rabbitmq"
ENGINES: Final = (SQLITE, SERVERS)

#: Short leases and deadlines, so that what a crash leaves behind is found in seconds.
SHORT: Final[Mapping[str, Mapping[str, Any]]] = {
    "gateway.yaml": {"carrying.lease_s": 3, "intake.lease_s": 3, "intake.chunk_lines": 10},
    "destinations.yaml": {
        "destinations.*.deadline_s": 2,
        "destinations.*.connect_timeout_s": 1,
        "destinations.*.waiting.longest_s": 0.5,
    },
}

#: Among the forked processes.
_PARTNERS: Final = -1
_UP_WITHIN_S: Final = 90
#: Below those that Linux gives to whoever connects.
_NOT_FOR_CLIENTS: Final = (15_000, 32_000)

Changes = Mapping[str, Mapping[str, Any]]


@dataclass
class Servers:
    """A database server and a broker of this run's own."""

    postgresql: Server
    rabbitmq: PrivateBroker


@contextmanager
def servers() -> Iterator[Servers]:
    """Both, started; gone afterwards."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        broker = PrivateBroker(folder)
        stack.callback(broker.close)
        broker.start()
        yield Servers(stack.enter_context(server()), broker)


def partner_class(name: str) -> Changes:
    """What the configuration says of Foreign Affairs must be true of it."""
    changes: dict[str, Any] = {}
    if name != "deduplicates":
        changes["destinations.foreign-affairs.deduplicates"] = False
    if name == "neither":
        changes["destinations.foreign-affairs.inquiry.enabled"] = False
    return {"destinations.yaml": changes}


@dataclass
class Home:
    """One ledger, one simulator of the partners, and as many gateway processes as wanted."""

    folder: Path
    spawner: Spawner
    engine: str = SQLITE
    servers: Servers | None = None
    foreign_affairs: str = "deduplicates"
    gateways: int = 1
    #: The gateways are the processes of one group, which is how several share a SQLite file.
    group: bool = False
    latency_ms: float = 0
    #: By file: values by dotted name, `*` for each of a mapping's. In order; later ones win.
    changes: Sequence[Changes] = (SHORT,)
    mutant: str | None = None
    #: For every gateway.
    env: dict[str, str] = field(default_factory=dict)
    #: In place of the servers' own ports, such as a proxy's.
    database_port: int | None = None
    broker_port: int | None = None
    #: Put before the program, which is then started anew in place of being forked.
    launcher: Sequence[str] = ()
    #: Public and admin, by the number of the gateway.
    ports: list[tuple[int, int]] = field(default_factory=list)
    forked: dict[int, Forked] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write the configuration and start the partners."""
        self.partners = Installation(
            self.folder, foreign_affairs=self.foreign_affairs, latency_ms=self.latency_ms
        )
        _edit(self.folder / "config", *self.changes, partner_class(self.foreign_affairs))
        for number in range(self.gateways):
            self._add_gateway(number)
        self.env |= self._addresses()
        self._start_partners()

    def _start_partners(self) -> None:
        """Forked too, unless the forks' clock jumps: the partners' does not."""
        if self.spawner.env:
            self.partners.start_partners()
            return
        options = {
            "--port": self.partners.ports["partners"],
            "--latency-ms": self.latency_ms,
            "--foreign-affairs": self.foreign_affairs,
            "--state": self.folder / "partners",
        }
        arguments = [str(part) for pair in options.items() for part in pair]
        log = self.folder / "partners.log"
        self.forked[_PARTNERS] = self.spawner.spawn(["simulate", *arguments], self.environment(), log)
        url = self.partners.url("partners") + "/_evidence"
        ends = time.monotonic() + _UP_WITHIN_S
        while not answers(url):
            if time.monotonic() > ends or not self.forked[_PARTNERS].alive():
                raise RuntimeError(f"the partners did not come up: {log.read_text()[-800:]}")
            time.sleep(0.02)

    def _add_gateway(self, number: int) -> None:
        """Listens on ports of its own; the data directory is everybody's."""
        folder = self._config(number)
        shutil.copytree(self.folder / "config", folder)
        public, admin = lasting_port(), lasting_port()
        _edit(folder, {"gateway.yaml": {"listeners.public.port": public, "listeners.admin.port": admin}})
        self.ports.append((public, admin))

    def _addresses(self) -> dict[str, str]:
        """SQLite has a broker only where one is to be broken."""
        found: dict[str, str] = {}
        if self.servers is not None and (self.engine == SERVERS or self.broker_port is not None):
            broker = self.servers.rabbitmq
            empty_broker(broker.url)
            found["GATEWAY_BROKER_URL"] = _at(broker.url, broker.port, self.broker_port)
        if self.servers is not None and self.engine == SERVERS:
            database = self.servers.postgresql
            found["GATEWAY_DATABASE_URL"] = _at(database.emptied(), database.port, self.database_port)
        return found

    def _config(self, number: int) -> Path:
        return self.folder / f"config-{number}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def public(self, number: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[number][0]}"

    def admin(self, number: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[number][1]}"

    # processes

    def start(self, number: int = 0, point: str | None = None, *, wait: bool = True) -> Forked:
        """Start a gateway, armed to die at `point`."""
        env = self.environment(number)
        if point is not None:
            env["GATEWAY_CRASH_POINT"] = point
        forked = self._launched(env, number) if self.launcher else self._forked(env, number)
        self.forked[number] = forked
        if wait:
            self.wait_until_up(number)
            if point is None and not forked.alive():
                raise RuntimeError(f"a gateway ended: {self.log(number).read_text()[-800:]}")
        return forked

    def _forked(self, env: Mapping[str, str], number: int) -> Forked:
        return self.spawner.spawn(["serve"], env, self.log(number), self.mutant, member=self.group)

    def _launched(self, env: Mapping[str, str], number: int) -> Forked:
        with self.log(number).open("ab") as log:
            process = subprocess.Popen(
                [*self.launcher, sys.executable, str(ROOT / "run_gateway.py"), "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=dict(env),
            )
        self.partners.processes[f"gateway-{number}"] = process
        return Forked.of(process.pid)

    def environment(self, number: int = 0) -> dict[str, str]:
        """What a gateway, or a command beside it, needs to know."""
        config = self._config(number) / "gateway.yaml"
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "GATEWAY_CONFIG": str(config),
            "GATEWAY_DATA_DIR": str(self.data),
            "GATEWAY_PROFILE": "demo",
            **self.env,
        }

    def log(self, number: int = 0) -> Path:
        return self.folder / f"gateway-{number}.log"

    def wait_until_up(self, number: int = 0, timeout_s: float = _UP_WITHIN_S) -> None:
        """Until it answers, or has died already."""
        ends = time.monotonic() + timeout_s
        while time.monotonic() < ends:
            if not self.forked[number].alive() or answers(self.admin(number) + "/livez"):
                return
            time.sleep(0.01)
        raise TimeoutError(f"a gateway did not come up; see {self.log(number)}")

    def kill(self, number: int = 0) -> None:
        self.forked[number].kill()
        self.forked[number].close()

    def end(self, number: int = 0, within_s: float = 10) -> None:
        """Let a gateway drain and go: it gives back what it leads. One that takes longer is killed."""
        self.forked[number].signal(signal.SIGTERM)
        self.forked[number].ended_within(within_s)
        self.kill(number)

    def stop(self) -> None:
        """End everything that this home started."""
        for forked in self.forked.values():
            with suppress(ProcessLookupError):
                forked.signal(signal.SIGCONT)
            forked.kill()
        if hasattr(self, "partners"):
            self.partners.stop()

    def run(self, *arguments: str, timeout_s: float = 300) -> tuple[int, str]:
        """One command of `run_gateway.py` to its end: exit code, and what it said."""
        log = self.folder / "command.log"
        log.unlink(missing_ok=True)
        command = self.spawner.spawn(arguments, self.environment(), log)
        if not command.ended_within(timeout_s):
            command.kill()
        return exit_code(log), log.read_text(errors="replace").rpartition(ENDED)[0].strip()

    def evidence(self) -> dict[str, Any]:
        """What the partners really did."""
        found: dict[str, Any] = self.partners.get("partners", "/_evidence")
        return found

    def logged(self, text: str) -> int:
        """How often a text stands in the gateways' logs."""
        return sum(path.read_text(errors="replace").count(text) for path in self.folder.glob("gateway-*.log"))


@contextmanager
def prepared(home: Home) -> Iterator[Home]:
    """A home whose partners run, with everything ended afterwards."""
    try:
        home.prepare()
        yield home
    finally:
        home.stop()


def answers(url: str) -> bool:
    """Whether anybody answers 2xx there."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status < 300)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def lasting_port() -> int:
    """A free port that no outgoing connection is given while the gateway is down."""
    while True:
        port = random.randrange(*_NOT_FOR_CLIENTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _at(url: str, port: int, instead: int | None) -> str:
    return url if instead is None else url.replace(f":{port}", f":{instead}", 1)


def _edit(folder: Path, *changes: Changes) -> None:
    yaml = YAML()
    for change in changes:
        for name, values in change.items():
            path = folder / name
            document = yaml.load(path)
            for dotted, value in values.items():
                _set(document, dotted.split("."), value)
            yaml.dump(document, path)


def _set(node: Any, names: list[str], value: Any) -> None:
    first, *rest = names
    for name in list(node) if first == "*" else [first]:
        if not rest:
            node[name] = value
        else:
            _set(node.setdefault(name, {}) if hasattr(node, "setdefault") else node[name], rest, value)
