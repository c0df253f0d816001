"""Named points at which a test may kill or stop the process, to prove what is found afterwards.

Nothing happens unless `arm` was called, which `serve` does when `GATEWAY_CRASH_POINT` is set:
`after_intent:3` kills at the third pass, `after_intent:3:stop` freezes there until somebody sends SIGCONT.
The points are listed in `docs/message_life.md`.
"""

from __future__ import annotations

import os
import signal
from typing import Final

POINTS: Final = (
    "before_accept_commit",
    "after_accept_commit",
    "after_lines",
    "after_take",
    "after_claim",
    "before_intent",
    "after_intent",
    "after_checks",
    "after_call",
    "before_settle",
    "after_settle",
    "before_inquiry",
    "after_inquiry",
    "before_mark",
    "before_ack",
)

_DEEDS: Final = {"": signal.SIGKILL, "kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_armed: dict[str, tuple[int, signal.Signals]] = {}


def arm(point: str) -> None:
    """`name`, `name:pass` or `name:pass:stop`. Raises ValueError for an unknown name or deed."""
    name, _, rest = point.partition(":")
    passes, _, deed = rest.partition(":")
    if name not in POINTS:
        raise ValueError(f"no crash point {name!r}; there are {', '.join(POINTS)}")
    if deed not in _DEEDS:
        raise ValueError(f"{deed!r} is neither kill nor stop")
    _armed[name] = (int(passes or 1), _DEEDS[deed])


def crash_point(name: str) -> None:
    """Die here as by SIGKILL, or stand still, if armed for this pass."""
    if not _armed or name not in _armed:
        return
    passes, deed = _armed[name]
    _armed[name] = (passes - 1, deed)
    if passes == 1:
        os.kill(os.getpid(), deed)
