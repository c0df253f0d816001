"""A wall clock that jumps, for processes that are started under it; the boot-time clock goes on as it is.

libfaketime is loaded into those processes alone, and reads the offset from a file at every look at the clock.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import dataclass
from pathlib import Path


def library() -> Path | None:
    """libfaketime as its package on PyPI ships it, if it is installed. (Debian's breaks `time.sleep`.)"""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):  # all that it is built for
        return None
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return path if path.exists() else None


@dataclass
class JumpingClock:
    """`env` is for the processes that are to see it."""

    file: Path
    offset_s: int = 0

    def __post_init__(self) -> None:
        self.jump_to(0)

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump_to(self, offset_s: int) -> None:
        """So many seconds before or after the real time, from now on."""
        self.offset_s = offset_s
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self.file)
