"""Disks that fail on demand: a small file system that fills up, and calls that the kernel seems to refuse.

`SmallDisk` is a tmpfs of its own, which only root may mount; `FailingWrites` is libfiu under one process.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.postgresql import Server
from tests.required import required

_BALLAST: Final = "ballast"
_PIECE: Final = b"\0" * 65_536


def may_mount() -> bool:
    """Whether this process may mount a file system here; tried once with an empty one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    folder = Path(f"/tmp/mount-try-{os.getpid()}")
    folder.mkdir()
    try:
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if tried.returncode == 0:
            subprocess.run(["umount", str(folder)], check=False)
        return tried.returncode == 0
    finally:
        folder.rmdir()


@dataclass
class SmallDisk:
    """Mounted at `folder` while used with `with`."""

    folder: Path
    size_mb: int

    def __enter__(self) -> Self:
        """Skips a test where none can be mounted; fails it where everything must be there."""
        required("a small disk (it takes root)", may_mount())
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"size={self.size_mb}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)], check=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Lazily: a process that is just ending may still hold a file.
        subprocess.run(["umount", "-l", str(self.folder)], check=False)

    def fill(self) -> None:
        """Take every free byte."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as ballast:
            piece = _PIECE
            while piece:
                try:
                    ballast.write(piece)
                except OSError as failure:
                    if failure.errno != errno.ENOSPC:
                        raise
                    piece = piece[: len(piece) // 2]

    def free(self) -> None:
        """Give it all back."""
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free


@contextmanager
def small_server(size_mb: int) -> Iterator[tuple[Server, SmallDisk]]:
    """PostgreSQL whose tables are on such a disk. Its log of writes is not: without that it can't go on."""
    with tempfile.TemporaryDirectory(prefix="small-server-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with SmallDisk(folder / "disk", size_mb) as disk:
            server = Server(disk.folder / "server")
            server.create()
            _put_aside(server.data / "pg_wal", folder / "pg_wal")
            server.start()
            try:
                yield server, disk
            finally:
                server.stop(signal.SIGQUIT)


def _put_aside(log: Path, aside: Path) -> None:
    owner = log.owner()
    shutil.move(log, aside)
    log.symlink_to(aside)
    for path in (aside, *aside.rglob("*")):
        shutil.chown(path, owner)


#: What a database file is written and flushed with; sockets use other calls.
_WRITES: Final = ("posix/io/rw/pwrite", "posix/io/sync/fsync", "posix/io/sync/fdatasync")


def fiu() -> bool:
    """Whether libfiu's programs are installed."""
    return shutil.which("fiu-run") is not None and shutil.which("fiu-ctrl") is not None


@dataclass
class FailingWrites:
    """Put `launcher` before a program; its writes to files fail between `fail` and `mend`."""

    folder: Path
    names: Sequence[str] = field(default=_WRITES)

    @property
    def launcher(self) -> list[str]:
        return ["fiu-run", "-x", "-f", str(self._control)]

    @property
    def _control(self) -> Path:
        return self.folder / "fiu"

    def fail(self, pid: int, number: int) -> None:
        """Every write fails with this `errno` from now on."""
        self._tell(pid, *(f"enable name={name},failinfo={number}" for name in self.names))

    def mend(self, pid: int) -> None:
        self._tell(pid, *(f"disable name={name}" for name in self.names))

    def _tell(self, pid: int, *orders: str) -> None:
        commands = [part for order in orders for part in ("-c", order)]
        subprocess.run(
            ["fiu-ctrl", "-f", str(self._control), *commands, str(pid)], check=True, capture_output=True
        )
