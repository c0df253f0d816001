"""What follows from an attempt: a pure function of the event, its end, and how long nothing was taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random
from typing import Final

from gateway.clock import micros, moment
from gateway.ledger.records import Position, StoredEvent
from gateway.message import Micros
from gateway.policies.retry import wait
from gateway.settings import Retry
from gateway.values import replace

RETRY: Final = Retry(first_s=5.0, ceiling_s=3_600.0, factor=2.0)
#: An event is given up when it is older than this and nothing was taken for as long.
GIVE_UP_AFTER: Final = timedelta(days=3)

_OK: Final = range(200, 300)
_GONE: Final = 410


class Result(StrEnum):
    """What became of an attempt: a label of `gateway_webhook_deliveries_total`."""

    DELIVERED = "delivered"
    #: To be tried again.
    FAILED = "failed"
    #: Failed, and given up; the center still finds it among its notifications.
    SKIPPED = "skipped"
    #: The receiver asked not to be called any more.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one ended: an HTTP status, or the code of what kept it from having one."""

    status: int | None = None
    code: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status in _OK


def follow(
    attempt: Attempt,
    event: StoredEvent,
    before: Position,
    *,
    now: Micros,
    failing_since: Micros,
    random: Random,
) -> tuple[Result, Position]:
    """The result, and where the party stands after it."""
    if attempt.is_taken:
        return Result.DELIVERED, Position(event.seq)
    if attempt.status == _GONE:
        return Result.GONE, before
    # An old event may be new here, after a replay: both must have lasted.
    tried_since = moment(max(event.created_at, failing_since))
    if moment(now) - tried_since > GIVE_UP_AFTER:
        # The next is tried at once, but the failures stay: the receiver is no better for it.
        return Result.SKIPPED, Position(event.seq, before.failures)
    failures = before.failures + 1
    due = micros(moment(now) + wait(failures, RETRY, random))
    return Result.FAILED, replace(before, failures=failures, next_at=due)
