"""A lock between processes of one machine, which none of them holds longer than it lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

_CLOSED: Final = -1


class FileLock:
    """A lock between processes. The file stays; what counts is who holds it open and locked."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @property
    def descriptor(self) -> int:
        """Whoever inherits it holds what this one holds."""
        return self._descriptor

    def try_take(self) -> bool:
        """False when somebody else has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def take(self) -> None:
        """Wait for it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def share(self) -> None:
        """Hold it together with others: wait while one has it alone."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def give_back(self) -> None:
        """Not for good."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it back for good. Safe to call again."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)
