"""A bucket of tokens for all processes: it fills evenly, and processes take blocks out of it. Pure.

A block is good for a moment only: what a process does not use is lost. So in any `t` seconds there are at
most `burst + calls_per_s * (t + BLOCK_S)` calls, however many processes call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.message import Micros
from gateway.settings.protection import CallRate

#: How long a block is good for, in seconds.
BLOCK_S: Final = 1.0
#: How far clocks of processes may be apart, in microseconds.
_CLOCKS_DIFFER: Final = 10_000_000
#: A process asks for what may be needed in this time, in seconds.
_AHEAD_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is in it, in millionths of a token, as it was at `at`."""

    millionths: int
    at: Micros


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens taken out, and how long until the next one is there."""

    tokens: int
    wait_s: float


def take(bucket: Bucket | None, rate: CallRate, wanted: int, now: Micros) -> tuple[Bucket, Block]:
    """As many of the wanted as there are. A bucket that nobody has used is full."""
    full = rate.burst * 1_000_000
    held = full if bucket is None else min(full, _filled(bucket, rate, now))
    tokens = min(wanted, held // 1_000_000)
    left = held - tokens * 1_000_000
    missing = max(0, 1_000_000 - left)
    at = now
    if bucket is not None and 0 < bucket.at - now <= _CLOCKS_DIFFER:
        at = bucket.at  # what another clock has filled is not filled again; one far ahead does not count
    return Bucket(left, at), Block(tokens, missing / 1_000_000 / rate.calls_per_s)


def _filled(bucket: Bucket, rate: CallRate, now: Micros) -> int:
    return bucket.millionths + int(max(0, now - bucket.at) * rate.calls_per_s)


def block_size(rate: CallRate, waiting: int) -> int:
    """How many tokens a process asks for when it has none and so many messages wait."""
    ahead = int(rate.calls_per_s * _AHEAD_S)
    return max(1, min(ahead, rate.burst, max(waiting, ahead // 4)))
