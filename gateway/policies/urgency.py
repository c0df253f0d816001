"""Whose turn it is: the lane that a message waits in, and its place there.

Claims go round the lanes, and within a lane the most urgent goes first. A lane is a licensee's, whatever it
sends by however many batches and centers; so nobody gets more by cutting a batch into a hundred.
"""

from __future__ import annotations

from typing import Final

from gateway.message import Micros

#: A message without a deadline stands among the others as if it had to be done within a day.
_WITHIN: Final = 86_400_000_000


def lane_of(licensee: str, kind: str, party: str) -> str:
    """The licensee's lane; what is on behalf of nobody waits by its kind and sender."""
    return f"licensee/{licensee}" if licensee else f"{kind}/{party}"


def urgency(
    received_at: Micros, deadline_at: Micros | None, line: int | None, useful_until: Micros | None = None
) -> Micros:
    """By when a message should have been carried: the smaller, the sooner it is its turn.

    `useful_until`: when an answer that was got for it (a clearance) ends, and has to be asked for again.
    Those of one travel day go by their line: a short batch does not wait for the end of a long one. What is
    urgent by an instant is overtaken only by what has an earlier one, so nothing waits for ever.
    """
    wanted = deadline_at if deadline_at is not None else received_at + _WITHIN
    if useful_until is not None:
        wanted = min(wanted, useful_until)
    return Micros(wanted + (line or 0))
