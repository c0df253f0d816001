"""An installation whose processes are forked off one that has imported everything: commands take no time."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import Installation
from tests.survival.spawner import ENDED, Forked, Spawner, exit_code

_ENDS_WITHIN_S = 60.0
_RUNS_AT_MOST_S = 300.0


@dataclass
class ForkedInstallation(Installation):
    """As any other (`tests.processes`), each process with the environment that it needs and no other."""

    spawner: Spawner = field(default_factory=Spawner)
    #: For gateways and commands, not for the partners.
    mutant: str | None = None
    forked: dict[str, Forked] = field(default_factory=dict)
    _commands: int = 0

    def _start(self, name: str, *arguments: str, **env: str) -> None:
        mutant = None if name == "partners" else self.mutant
        self.forked[name] = self.spawner.spawn(arguments, self._all(env), self._log(name), mutant)

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        self._commands += 1
        said, log = (self._log(f"command-{self._commands}-{name}") for name in ("said", "told"))
        command = self.spawner.spawn(arguments, self._all(env), log, self.mutant, said=said)
        if not command.ended_within(_RUNS_AT_MOST_S):
            command.kill()
        told = log.read_bytes().rpartition(b"\n" + ENDED.encode())[0]
        return subprocess.CompletedProcess(arguments, exit_code(log), said.read_bytes(), told)

    def _all(self, env: dict[str, str]) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **self.environment(), **env}

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def alive(self, name: str) -> bool:
        return self.forked[name].alive()

    def kill(self, name: str) -> None:
        self.forked[name].kill()

    def terminate(self, name: str) -> int:
        self.forked[name].signal(signal.SIGTERM)
        if not self.forked[name].ended_within(_ENDS_WITHIN_S):
            raise TimeoutError(f"{name} goes on")
        return exit_code(self._log(name))

    def stop(self) -> None:
        for forked in self.forked.values():
            forked.kill()
