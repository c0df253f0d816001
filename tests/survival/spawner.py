"""Gateways forked off one process that has imported everything: a start takes a fraction of a second.

What runs in the fork is `run_gateway.py serve` as always, in a process of its own with its own environment,
log and memory. `python -m tests.survival.spawner` is that one process; `Spawner` is its other end.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).parents[2]
#: The last line of a log, before the exit code.
ENDED: Final = "ended with "
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG


@dataclass(slots=True)
class Forked:
    """One gateway process. Its descriptor tells its end, whoever its parent is."""

    pid: int
    _descriptor: int

    @classmethod
    def of(cls, pid: int) -> Forked:
        try:
            return cls(pid, os.pidfd_open(pid))
        except ProcessLookupError:  # dead already
            return cls(pid, -1)

    def alive(self) -> bool:
        return not self.ended_within(0)

    def ended_within(self, timeout_s: float) -> bool:
        """Whether it has ended, waiting for that so long at most."""
        if self._descriptor < 0:
            return True
        ended, _, _ = select.select([self._descriptor], [], [], max(0.0, timeout_s))
        return bool(ended)

    def signal(self, number: signal.Signals) -> None:
        if self.alive():
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if not self.ended_within(10):
            raise TimeoutError(f"process {self.pid} did not die")

    def stands_still(self) -> bool:
        """Whether it is stopped (SIGSTOP)."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].startswith("T")
        except OSError:
            return False

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass
class Spawner:
    """The harness's end. `env` is for the one process, and so for all gateways (a preloaded library)."""

    env: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _forked: list[Forked] = field(default_factory=list)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.survival.spawner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **self.env},
        )
        self._line()

    def spawn(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        mutant: str | None = None,
        *,
        said: Path | None = None,
        member: bool = False,
    ) -> Forked:
        """A gateway with exactly this environment, writing to `log`, or what it says on stdout to `said`.

        `member`: one of a group's processes (`members`).
        """
        if self._process is None or self._process.stdin is None:
            raise AssertionError("not started")
        order = {"arguments": list(arguments), "env": dict(env), "log": str(log), "mutant": mutant}
        order |= {"said": str(said or log), "member": member}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        forked = Forked.of(int(self._line()))
        self._forked.append(forked)
        return forked

    def stop(self) -> None:
        """End everything that was spawned."""
        for forked in self._forked:
            forked.kill()
            forked.close()
        self._forked.clear()
        if self._process is not None and self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.close()
            self._process.wait(10)
            self._process.stdout.close()
            self._process = None

    def _line(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            raise AssertionError("not started")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that gateways are forked off has ended")
        return line


def exit_code(log: Path) -> int:
    """How a process that has ended did so, by the last line of its log; -1 for one that was killed."""
    told = log.read_text(errors="replace").rpartition(ENDED)[2].strip()
    return int(told) if told.lstrip("-").isdigit() else -1


# --- the one process ----------------------------------------------------------------------------------------


def main() -> None:
    """Fork a gateway for each line that comes in, until there are no more."""
    for module in ("cli.main", "cli.serve", "cli.commands.running", "cli.bootstrap", "uvloop"):
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become_gateway(order, os.getppid())
        _say(str(pid))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _become_gateway(order: dict[str, Any], parent: int) -> NoReturn:
    code = 1
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _use_logs(order["said"], order["log"])
        os.environ.clear()
        os.environ.update(order["env"])
        if order["member"]:
            _join()
        sys.argv = ["run_gateway.py", *order["arguments"]]
        code = _run(order["mutant"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.write(f"\n{ENDED}{code}\n")
        sys.stderr.flush()
        os._exit(code)


def _use_logs(said: str, log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for path, target in ((said, 1), (log, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), target)


def _join() -> None:
    from tests.survival.members import join

    join(os.environ)


def _run(mutant: str | None) -> int:
    from cli.main import main as run_command

    if mutant is not None:
        from tests.survival.mutants import MUTANTS

        MUTANTS[mutant]()
    return int(run_command() or 0)


if __name__ == "__main__":
    main()
