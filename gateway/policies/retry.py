"""When is a call that provably had no effect made again? A pure function of time, attempt and policy.

Exponential back-off with full jitter: the wait is drawn evenly between a small floor and a ceiling that grows
by `factor` with each attempt. Drawing from the whole range spreads the callers of a partner that has just
come back; the floor keeps an unlucky draw from making a hot loop.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Final

from gateway.settings import Retry

#: The shortest wait, as a part of `first_s`.
_FLOOR: Final = 0.25
#: Beyond it `factor ** n` could overflow; every ceiling is reached long before.
_MAX_EXPONENT: Final = 128


def next_attempt_at(
    now: datetime, attempt: int, policy: Retry, random: Random, *, first_at: datetime
) -> datetime | None:
    """The time of the next attempt after attempt number `attempt` (from 1) failed, or None to give up.

    `first_at` is when the call was first attempted: `policy.give_up_after_s` counts from there.
    Raises `ValueError` for an attempt below 1.
    """
    at = now + wait(attempt, policy, random)
    if policy.give_up_after_s is not None and at > first_at + timedelta(seconds=policy.give_up_after_s):
        return None
    return at


def wait(attempt: int, policy: Retry, random: Random) -> timedelta:
    """How long to wait after attempt number `attempt` (from 1): never less than a quarter of `first_s`."""
    if attempt < 1:
        raise ValueError("attempts count from 1")
    grown = policy.first_s * policy.factor ** min(attempt - 1, _MAX_EXPONENT)
    return timedelta(seconds=random.uniform(policy.first_s * _FLOOR, min(policy.ceiling_s, grown)))
