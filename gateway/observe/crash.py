"""Named points at which a test may kill the process, to prove what is found afterwards.

Nothing happens unless `arm` was called, which `serve` does when `GATEWAY_CRASH_POINT` is set
(`after_intent:3` kills at the third pass). The points are listed in `docs/message_life.md`.
"""

from __future__ import annotations

import os
import signal
from typing import Final

POINTS: Final = (
    "before_accept_commit",
    "after_accept_commit",
    "after_claim",
    "before_intent",
    "after_intent",
    "after_checks",
    "after_call",
    "before_settle",
    "after_settle",
    "before_inquiry",
    "after_inquiry",
)

_armed: dict[str, int] = {}


def arm(point: str) -> None:
    """`name` or `name:pass`. Raises ValueError for an unknown name."""
    name, _, passes = point.partition(":")
    if name not in POINTS:
        raise ValueError(f"no crash point {name!r}; there are {', '.join(POINTS)}")
    _armed[name] = int(passes or 1)


def crash_point(name: str) -> None:
    """Die here, as by SIGKILL, if armed for this pass."""
    if not _armed or name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
