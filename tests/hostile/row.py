"""One row of the table: a hostile input, how it is put in, what the gateway must say to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.hostile.site import CANARY, Site
from tests.hostile.wire import Answer

#: None costs more than this: wall time at rest, and memory above what the process had before.
LONGEST_S: Final = 1.0
MOST_MB: Final = 64.0


@dataclass(frozen=True, slots=True)
class Told:
    """What came of an input: the answer in words, and every byte that came back."""

    answer: str
    bytes_back: bytes = b""
    #: Where only a part of the time is the input's own.
    seconds: float | None = None
    #: Of another process than the gateway.
    memory_mb: float | None = None


#: Puts the input in; what it needs was made before, so that only the gateway's work is timed.
Act = Callable[[], Told]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    section: str
    input: str
    prepare: Callable[[Site], Act] = lambda _site: lambda: Told("")
    #: What the answer must be.
    answer: str = ""
    #: The gateway that waits shortly for slow senders is the one to send to.
    hasty: bool = False
    #: A good message of this door must pass afterwards (see `good.py`).
    door: str = "json"
    #: The input is refused, and nothing is recorded of it.
    refused: bool = True
    #: Texts of the input that may not come back or be logged.
    canaries: tuple[str, ...] = (CANARY,)
    note: str = ""
    #: Why there is nothing to send; then nothing is sent, and nothing is claimed.
    not_applicable: str = ""
    #: The tests that try it, where it needs more than a site of this table has (a link from docs/).
    tried_by: str = ""
    #: Left out of the test suite.
    long: bool = False


def of(answer: Answer) -> Told:
    """An HTTP answer in words: the status, and the stable code where there is one."""
    if not answer.status:
        return Told("connection closed", answer.raw)
    return Told(f"{answer.status} {answer.code}".strip(), answer.raw)


def lines_of(answer: Answer) -> Told:
    """A receipt in words: how many lines were accepted, and the codes of the rejected ones."""
    receipt = answer.document
    if answer.status not in (200, 202) or not isinstance(receipt, dict):
        return of(answer)
    codes = sorted({each["code"] for each in receipt["rejected"]})
    counts = receipt["counts"]
    accepted = counts["total"] - counts.get("rejected", 0)
    rejected = f", {counts['rejected']} rejected: {' '.join(codes)}" if counts.get("rejected") else ""
    return Told(f"{answer.status}, {accepted} accepted{rejected}", answer.raw)
