"""`serve --workers N`: listens, keeps N processes that serve on its sockets, and replaces them one by one.

The listening sockets are the supervisor's and are never closed while it lives: a process that ends, by a
deploy or a fault, leaves no connection refused. SIGTERM drains everything. SIGHUP goes to every process.
SIGUSR2 replaces them one after the other: each new one runs the program as it stands on the disk, and an old
one drains only after its successor serves.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from prometheus_client.multiprocess import mark_process_dead

from cli.databases import database_file
from cli.group import Membership
from gateway.ledger.sqlite.connection import ProcessLock
from gateway.observe.exposition import GROUP_DIRECTORY
from gateway.observe.log import log
from gateway.settings import Settings
from gateway.web.host import listening_socket
from gateway.web.seat import Role

#: For a process to come up: migrations of a large ledger included.
_COMES_UP_WITHIN_S: Final = 300.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
#: Whoever lived so long did not fail at once.
_LIVED_S: Final = 60.0
_MISCONFIGURED: Final = 2


@dataclass(slots=True, eq=False)
class _Process:
    """One serving process."""

    process: asyncio.subprocess.Process
    began_s: float = field(default_factory=time.monotonic)
    served: bool = False
    #: Told to end: its death is no fault.
    leaving: bool = False
    #: A successor until its predecessor is told to end: when it dies, nobody comes in its place.
    on_trial: bool = False


class Supervisor:
    """Nothing is opened before `run`. `command` starts one serving process."""

    def __init__(self, settings: Settings, command: Sequence[str], *, workers: int, role: Role) -> None:
        self._settings = settings
        self._command = tuple(command)
        self._workers = workers
        self._role = role
        self._group = f"{socket.gethostname()}:{os.getpid()}"
        data = Path(settings.gateway.data_directory)
        self._counters = data.absolute() / "counters" / str(os.getpid())
        self._public: socket.socket | None = None
        self._admin: socket.socket | None = None
        self._lifeline = (-1, -1)
        self._hints = (-1, -1)
        file = database_file(settings)
        self._lock = None if file is None else ProcessLock(file.with_suffix(".lock"))
        self._living: set[_Process] = set()
        self._keepers: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        #: Whether any process ever did: the program and its configuration were in order once.
        self._served = False
        self._code = 0
        self._fault: OSError | None = None

    async def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit code.

        Raises `Misconfigured` when an address is taken, `OSError` when the program cannot be started at all.
        """
        self._open()
        try:
            self._listen_to_signals()
            for _ in range(self._workers):
                self._keep(self._keep_one())
            await self._stopping.wait()
            await self._drain()
        finally:
            self._close()
        if self._fault is not None:
            raise self._fault
        return self._code

    # --- what all processes share

    def _open(self) -> None:
        listeners = self._settings.gateway.listeners
        if self._lock is not None:
            self._lock.take()
        self._admin = listening_socket(listeners.admin)
        if self._role is not Role.WORKER:
            self._public = listening_socket(listeners.public)
        self._lifeline = os.pipe()
        self._hints = os.pipe()
        for descriptor in self._hints:
            os.set_blocking(descriptor, False)
        _remove_dead(self._counters.parent)
        self._counters.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.info("supervises", action="supervise", count=self._workers, address=self._address())

    def _address(self) -> str:
        taken = self._public or self._admin
        return "" if taken is None else "{}:{}".format(*taken.getsockname()[:2])

    def _close(self) -> None:
        for taken in (self._public, self._admin):
            if taken is not None:
                taken.close()
        for descriptor in (*self._lifeline, *self._hints):
            os.close(descriptor)
        if self._lock is not None:
            self._lock.release()
        shutil.rmtree(self._counters, ignore_errors=True)

    # --- signals

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._tell_all, signal.SIGHUP)
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._keep(self._replace_all()))

    def _tell_all(self, number: signal.Signals) -> None:
        for one in self._living:
            if one.served:  # before, it would end of it
                _tell(one, number)

    async def _drain(self) -> None:
        for one in tuple(self._living):
            self._let_go(one)
        while self._keepers:
            await asyncio.wait(self._keepers)
        log.info("stopped", action="stop")

    def _let_go(self, one: _Process) -> None:
        one.leaving = True
        _tell(one, signal.SIGTERM)

    # --- one process after another

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._keepers.add(task)
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[None]) -> None:
        self._keepers.discard(task)
        if error := task.exception():
            log.error("supervision_failed", action="supervise", error=type(error).__name__)
            self._give_up(1)

    async def _keep_one(self, one: _Process | None = None) -> None:
        """A process, and another whenever it dies by itself, sooner or later by how long it lived."""
        pause_s = _FIRST_PAUSE_S
        while one is not None or not self._stopping.is_set():
            one = one or await self._begun()
            lived_s = 0.0
            if one is not None:
                code = await self._ended(one)
                if one.leaving or self._stopping.is_set():
                    return
                lived_s = self._died(one, code)
                if one.on_trial:
                    return
                one = None
            pause_s = _FIRST_PAUSE_S if lived_s > _LIVED_S else min(2 * pause_s, _LONGEST_PAUSE_S)
            await self._pause(pause_s)

    async def _begun(self) -> _Process | None:
        """None when the system cannot start the program, as while another version of it is installed."""
        try:
            return await self._begin()
        except OSError as error:
            log.error("not_begun", action="supervise", error=type(error).__name__)
            if not self._served:
                self._fault = error
                self._stopping.set()
            return None

    def _died(self, one: _Process, code: int) -> float:
        """How long it lived."""
        lived_s = time.monotonic() - one.began_s
        misconfigured = code == _MISCONFIGURED and not one.served
        log.error(
            "process_died",
            action="supervise",
            status=code,
            code="misconfigured" if misconfigured else None,
            duration_s=round(lived_s, 1),
        )
        # It said itself what is wrong. Another one would say the same, but those that serve are not at fault.
        if misconfigured and not self._served:
            self._give_up(code)
        return lived_s

    def _give_up(self, code: int) -> None:
        """Drain, and end with this code."""
        self._code = code
        self._stopping.set()

    async def _pause(self, longest_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._stopping.wait()

    async def _replace_all(self) -> None:
        """A successor for each process; when one does not come up the rest stay as they are."""
        async with self._one_at_a_time:
            log.info("replacing", action="supervise", count=self._workers)
            for old in tuple(one for one in self._living if not one.leaving):
                comes_up = await self._replace(old)
                if self._stopping.is_set():
                    return
                if not comes_up:
                    log.error("not_replaced", action="supervise", code="successor_failed")
                    return
            log.info("replaced", action="supervise", count=self._workers)

    async def _replace(self, old: _Process) -> bool:
        """False when its successor does not come up."""
        if old not in self._living:  # what its keeper starts is what is installed now
            return True
        successor = await self._begun()
        if successor is None:
            return False
        successor.on_trial = True
        self._keep(self._keep_one(successor))
        await self._until_decided(old, successor)
        # Both asked at the same moment: of the two keepers one goes on, and one only.
        if successor.served and {old, successor} <= self._living:
            successor.on_trial = False
            self._let_go(old)
            return True
        self._let_go(successor)
        return old not in self._living

    async def _until_decided(self, old: _Process, successor: _Process) -> None:
        """Until the successor serves or failed, or nobody is left to be replaced by it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_COMES_UP_WITHIN_S):
                while not successor.served and {old, successor} <= self._living:
                    if self._stopping.is_set():
                        return
                    await self._pause(0.05)

    async def _begin(self) -> _Process:
        told, tells = os.pipe()
        member = Membership(
            group=self._group,
            role=self._role,
            ready=tells,
            lifeline=self._lifeline[0],
            public=None if self._public is None else self._public.fileno(),
            admin=None if self._admin is None else self._admin.fileno(),
            lock=None if self._lock is None else self._lock.descriptor,
            hints_in=self._hints[0],
            hints_out=self._hints[1],
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, **member.variables(), GROUP_DIRECTORY: str(self._counters)},
                pass_fds=member.descriptors,
                stdin=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            os.close(told)
            raise
        finally:
            os.close(tells)
        one = _Process(process)
        self._living.add(one)
        _when_readable(told, lambda: self._heard(one, told))
        if self._stopping.is_set():
            self._let_go(one)
        return one

    def _heard(self, one: _Process, told: int) -> None:
        """It serves, or it ended before it did."""
        one.served = os.read(told, 1) == b"1"
        self._served |= one.served
        os.close(told)

    async def _ended(self, one: _Process) -> int:
        code = await one.process.wait()
        self._living.discard(one)
        mark_process_dead(one.process.pid, str(self._counters))  # type: ignore[no-untyped-call]
        return code


def _tell(one: _Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        one.process.send_signal(number)


def _when_readable(descriptor: int, then: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def readable() -> None:
        loop.remove_reader(descriptor)
        then()

    loop.add_reader(descriptor, readable)


def _remove_dead(folder: Path) -> None:
    """Counters of supervisors that were killed."""
    for left in folder.glob("*"):
        if not Path(f"/proc/{left.name}").exists():
            shutil.rmtree(left, ignore_errors=True)


def command_line() -> tuple[str, ...]:
    """How this very program is started again, with the same arguments."""
    return (sys.executable, *sys.argv)
