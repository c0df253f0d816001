"""The life of a message as one table. Every move not in it raises.

accepted ─→ ready ─→ carried ─→ completed
                 ↑      ├─→ ready (retry at)      held ─→ ready       awaiting ─→ ready
                 │      └─→ uncertain ─→ inquiring ─→ completed | ready (proven absent) | under_review
                 └──────────────────────────┘

`docs/message_life.md` draws it whole and says what a crash leaves behind at each point.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a message stands."""

    #: Recorded; its batch is still being received or its line has not been released yet.
    ACCEPTED = "accepted"
    #: May be claimed as soon as `next_at` has come.
    READY = "ready"
    #: Leased to a worker that takes it through its itinerary.
    CARRIED = "carried"
    #: Waits for room or permission: capacity, quota, calendar, pause, an inactive party.
    HELD = "held"
    #: Waits for an answer that a partner gives later.
    AWAITING = "awaiting"
    #: A call was sent and its outcome is unknown.
    UNCERTAIN = "uncertain"
    #: Leased to a worker that asks the partner what became of the call.
    INQUIRING = "inquiring"
    #: A person must decide.
    UNDER_REVIEW = "under_review"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Outcome(StrEnum):
    """How a completed message ended."""

    ISSUED = "issued"
    REFUSED = "refused"
    REJECTED = "rejected"
    #: The effect asked for was done (messages other than applications, such as a cancellation).
    DONE = "done"


class PublicState(StrEnum):
    """What a service center is shown."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    ISSUED = "issued"
    REFUSED = "refused"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNDER_REVIEW = "under_review"


MOVES: Final[dict[State, frozenset[State]]] = {
    # Whatever is not final becomes uncertain when its ledger was restored from a backup.
    State.ACCEPTED: frozenset({State.READY, State.COMPLETED, State.CANCELLED, State.UNCERTAIN}),
    State.READY: frozenset({State.CARRIED, State.HELD, State.CANCELLED, State.EXPIRED, State.UNCERTAIN}),
    State.CARRIED: frozenset(
        {
            State.COMPLETED,
            State.READY,
            State.HELD,
            State.AWAITING,
            State.UNCERTAIN,
            State.UNDER_REVIEW,
            State.CANCELLED,
            State.EXPIRED,
        }
    ),
    State.HELD: frozenset({State.READY, State.CANCELLED, State.EXPIRED, State.UNCERTAIN}),
    State.AWAITING: frozenset({State.READY, State.CANCELLED, State.EXPIRED, State.UNCERTAIN}),
    State.UNCERTAIN: frozenset({State.INQUIRING}),
    State.INQUIRING: frozenset(
        {State.COMPLETED, State.READY, State.UNCERTAIN, State.UNDER_REVIEW, State.CANCELLED}
    ),
    State.UNDER_REVIEW: frozenset({State.INQUIRING, State.COMPLETED, State.READY, State.CANCELLED}),
    # A settled visa.cancellation turns its application's `issued` into `cancelled`.
    State.COMPLETED: frozenset({State.CANCELLED}),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}

FINAL: Final = frozenset({State.COMPLETED, State.CANCELLED, State.EXPIRED})
#: States in which a message is leased to a worker.
LEASED: Final = frozenset({State.CARRIED, State.INQUIRING})
#: Public states that count as settled: a batch is completed when every line is in one of them.
SETTLED: Final = frozenset(
    {
        PublicState.ISSUED,
        PublicState.REFUSED,
        PublicState.REJECTED,
        PublicState.CANCELLED,
        PublicState.EXPIRED,
        PublicState.UNDER_REVIEW,
    }
)


class IllegalMove(RuntimeError):
    """A state move that the table does not have: a fault of the program, never of a message."""


def check_move(current: State, target: State, outcome: Outcome | None = None) -> None:
    """Raise `IllegalMove` unless `current → target` stands in the table.

    `outcome` is the outcome the message has now: only an issued application leaves `completed`.
    """
    if target not in MOVES[current]:
        raise IllegalMove(f"{current} -> {target}")
    if current is State.COMPLETED and outcome not in (None, Outcome.ISSUED):
        raise IllegalMove(f"{current}({outcome}) -> {target}")


def public_state(state: State, outcome: Outcome | None, attempts: int) -> PublicState:
    """What a center sees of a message in `state`; `attempts` tells whether it was ever claimed."""
    match state:
        case State.COMPLETED:
            return _COMPLETED[outcome] if outcome else PublicState.REFUSED
        case State.ACCEPTED:
            return PublicState.ACCEPTED
        case State.READY:
            return PublicState.IN_PROGRESS if attempts else PublicState.ACCEPTED
        case State.HELD | State.AWAITING:
            return PublicState.WAITING
        case State.CARRIED | State.UNCERTAIN | State.INQUIRING:
            return PublicState.IN_PROGRESS
        case State.UNDER_REVIEW:
            return PublicState.UNDER_REVIEW
        case State.CANCELLED:
            return PublicState.CANCELLED
        case State.EXPIRED:
            return PublicState.EXPIRED


_COMPLETED: Final = {
    Outcome.ISSUED: PublicState.ISSUED,
    Outcome.DONE: PublicState.ISSUED,
    Outcome.REFUSED: PublicState.REFUSED,
    Outcome.REJECTED: PublicState.REJECTED,
}
