"""Persist: what a worker has to commit is tried until the ledger takes it, for as long as its lease lasts.

A ledger that can't be written (disk full, I/O error, read-only, database lost) refuses with `Unavailable`,
and nothing of that commit was done: one whose answer was lost is resolved before anybody is answered
(decision 0020). So it is tried again, and what a partner answered is kept here until it is durable. Should
the lease end meanwhile, its token is another one, and the ledger raises `LeaseLost`.

A refused intent is not tried again by itself: nothing was sent, and its message is put back (`commit.py`).
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

from gateway.errors import Unavailable
from gateway.message import MessageId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine

T = TypeVar("T")
#: The pauses grow from the first to the longest, each drawn from its upper half.
_FIRST_S: Final = 0.05
_LONGEST_S: Final = 1.0


async def until_committed(commit: Callable[[], Awaitable[T]], message_id: MessageId, engine: Engine) -> T:
    """What `commit` returns; it is called again after each refusal.

    Raises what it raises; `Unavailable` only when the ledger has refused for as long as a lease lasts, or is
    closed.
    """
    pauses = _pauses(engine)
    refused = 0
    while True:
        try:
            result = await commit()
        except Unavailable as refusal:
            pause_s = next(pauses, None)
            if pause_s is None or refusal.code == "ledger_closed":
                raise
            if not refused:
                log.warning(
                    "commit_refused", action="commit_refused", message_id=message_id, code=refusal.code
                )
            refused += 1
            await sleep(pause_s)
        else:
            if refused:
                log.info("commit_taken", action="commit_taken", message_id=message_id, count=refused)
            return result


def _pauses(engine: Engine) -> Iterator[float]:
    """In seconds, until a lease has passed since the first was asked for."""
    clock, longest_s = engine.clock, _FIRST_S
    ends_at_s = clock.boottime_s() + engine.settings.gateway.carrying.lease_s
    while clock.boottime_s() < ends_at_s:
        yield longest_s * engine.random.uniform(0.5, 1.0)
        longest_s = min(2 * longest_s, _LONGEST_S)
