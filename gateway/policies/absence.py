"""When does a partner's "I know of no such request" prove that nothing was done? Pure functions.

A request may still be on its way, or in the partner's hands, when the partner first denies it. So a denial
counts only once the request can no longer take effect: after the latest instant at which it may have been
sent plus the partner's longest processing time. And one denial is not enough: it takes two, `interval` apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta


def counts(asked_at: datetime, send_by: datetime, longest_processing: timedelta) -> bool:
    """Whether a denial counts that answers a question asked at `asked_at`.

    `send_by` is the latest instant at which the request may have been sent. The instant of asking decides,
    not that of the answer: the partner may have looked before it answered.
    """
    return asked_at >= send_by + longest_processing


def proven_absent(
    absent_answers: Sequence[datetime],
    send_by: datetime,
    longest_processing: timedelta,
    interval: timedelta,
) -> bool:
    """Whether the denials prove that nothing was done. `absent_answers` are the instants they were asked at.

    True when two of them count and were asked at least `interval` apart.
    """
    counting = [at for at in absent_answers if counts(at, send_by, longest_processing)]
    return len(counting) >= 2 and max(counting) - min(counting) >= interval


def next_inquiry_at(
    now: datetime,
    last_asked_at: datetime | None,
    send_by: datetime,
    longest_processing: timedelta,
    interval: timedelta,
) -> datetime:
    """When to ask (again). Never earlier than `now`.

    The first time at once: that something was done counts at any time, and a visa is found soonest so.
    Then every `interval`; but a question that would come less than one interval before denials begin to
    count waits for that instant, so that its answer is of use either way.
    """
    if last_asked_at is None:
        return now
    regular = last_asked_at + interval
    settled = send_by + longest_processing
    if regular < settled < regular + interval:
        return max(now, settled)
    return max(now, regular)
