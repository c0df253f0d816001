"""Real processes for tests and benchmarks: the gateway and the simulators, each on free ports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Installation:
    """A folder with a configuration of its own, on free ports, and the processes that use it."""

    folder: Path
    foreign_affairs: str = "deduplicates"
    seed: int = 1
    latency_ms: float = 0
    #: Textual changes to configuration files, by file: (old, new) pairs.
    changes: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("public", "admin", "partners")}
        shutil.copytree(ROOT / "config", self.folder / "config")
        for file in ("gateway.yaml", "destinations.yaml"):
            self._replace(file, "8080", str(self.ports["public"]))
            self._replace(file, "8081", str(self.ports["admin"]))
            self._replace(file, "8090", str(self.ports["partners"]))
        for file, pairs in self.changes.items():
            for old, new in pairs:
                self._replace(file, old, new)

    def _replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / "config" / file
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start_partners(self) -> None:
        self._start(
            "partners",
            "simulate",
            "--port",
            str(self.ports["partners"]),
            "--seed",
            str(self.seed),
            "--latency-ms",
            str(self.latency_ms),
            "--foreign-affairs",
            self.foreign_affairs,
            "--state",
            str(self.folder / "partners"),
        )
        self._wait_for("partners", "/_evidence")

    def start_gateway(self, **env: str) -> None:
        self._start("gateway", "serve", **env)
        self._wait_for("admin", "/livez", process="gateway")

    def _start(self, name: str, *arguments: str, **env: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, str(ROOT / "run_gateway.py"), *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**os.environ, **self.environment(), **env},
            )

    def environment(self) -> dict[str, str]:
        """What a command needs to use this installation."""
        return {
            "GATEWAY_CONFIG": str(self.folder / "config" / "gateway.yaml"),
            "GATEWAY_DATA_DIR": str(self.data),
            "GATEWAY_PROFILE": "demo",
        }

    def _wait_for(self, listener: str, path: str, process: str | None = None) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if self.get(listener, path) is not None or not self.alive(process or listener):
                return
            time.sleep(0.05)
        raise TimeoutError(f"{process or listener} did not come up; see {self.folder}")

    def get(self, listener: str, path: str) -> Any:
        """The JSON (or bytes) at a path, or None when nobody answers."""
        try:
            with urllib.request.urlopen(self.url(listener) + path, timeout=5) as reply:
                body = reply.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None
        try:
            return json.loads(body)
        except ValueError:
            return body

    def alive(self, name: str) -> bool:
        return self.processes[name].poll() is None

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def terminate(self, name: str) -> int:
        """SIGTERM; the exit code."""
        self.processes[name].terminate()
        return self.processes[name].wait(timeout=60)

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """One command to its end."""
        return subprocess.run(
            [sys.executable, str(ROOT / "run_gateway.py"), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, **self.environment(), **env},
            timeout=300,
            check=False,
        )

    def stop(self) -> None:
        """End what is still running; every process here was started by us."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
