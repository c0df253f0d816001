"""The part of the ledger's port for what a restore has forgotten, and for comparing with partners' lists.

What holds of every method of the port (`gateway.ledger.port`) holds here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.ledger.books import Books
from gateway.ledger.records import MessageRow
from gateway.message import MessageId, Micros

#: The move of a message whose call may have been sent after the backup.
ASKED_FIRST: Final = "asked_after_restore"


@dataclass(frozen=True, slots=True)
class Restoration:
    """A restore of this ledger."""

    id: int
    #: From here on the ledger knows nothing of what was done before `taken_on_at`.
    lost_from: Micros
    restored_at: Micros
    #: When the gateway first ran on it; None: nobody has said yet that it is a restored one.
    taken_on_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a kind of message must ask its partner before anything else."""

    step: str
    destination: str
    #: By which the partner knows the request of a message.
    reference: Callable[[MessageId], str]


@dataclass(frozen=True, slots=True)
class TakingOn:
    """What is to be written when a restored ledger is taken on."""

    #: Of a ledger that was restored by other means than our own; else what its mark says holds.
    lost_from: Micros
    now: Micros
    #: By kind of message.
    questions: Mapping[str, Question]
    #: What else is written with it.
    then: Callable[[Books, Restoration], None]
    #: The latest restore that was taken on, as far as the caller knows: whoever comes second does nothing.
    seen: int = 0


@dataclass(frozen=True, slots=True)
class OurCall:
    """A call that must not be repeated, as it stands with us."""

    request_reference: str
    #: The intent: open, done or free.
    effect: str
    opened_at: Micros
    message: MessageRow
    #: By which the visa's number is found again, where the message has one.
    visa_index: bytes | None


class Restoring(Protocol):
    """What the ledger does after a restore, and what it knows of calls that partners list."""

    async def restoration(self) -> Restoration | None:
        """The latest one, whether it was taken on or not."""

    async def latest_entry_before(self, now: Micros) -> Micros | None:
        """When the journal's latest entry before that instant was made."""

    async def take_on_restore(
        self, taking: TakingOn, detail: Callable[[Restoration], Mapping[str, Any]]
    ) -> Restoration:
        """Believe the worst of every message that is not final: that its call was sent. One transaction.

        All leases end. What has a `Question` becomes uncertain and is asked about at once, with the denials'
        clock beginning now; the outbox goes on far beyond every number that may have been given. `detail` is
        noted in the journal.
        """

    async def calls_of(self, destination: str, step: str, references: Sequence[str]) -> Sequence[OurCall]:
        """Those of our calls that these references name."""

    async def calls_between(
        self, destination: str, step: str, since: Micros, until: Micros
    ) -> Sequence[OurCall]:
        """Calls that were sent, or may have been, whose latest intent is of that time."""
