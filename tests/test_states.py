"""The whole state table: every pair of states, and what a center sees of each."""

from __future__ import annotations

import itertools

import pytest

from gateway.states import (
    FINAL,
    LEASED,
    MOVES,
    SETTLED,
    IllegalMove,
    Outcome,
    PublicState,
    State,
    check_move,
    public_state,
)

#: The table of docs/message_life.md, by hand.
LEGAL = {
    ("accepted", "ready"), ("accepted", "completed"), ("accepted", "cancelled"),
    ("ready", "carried"), ("ready", "held"), ("ready", "cancelled"), ("ready", "expired"),
    ("carried", "completed"), ("carried", "ready"), ("carried", "held"), ("carried", "awaiting"),
    ("carried", "uncertain"), ("carried", "under_review"), ("carried", "cancelled"), ("carried", "expired"),
    ("held", "ready"), ("held", "cancelled"), ("held", "expired"),
    ("awaiting", "ready"), ("awaiting", "cancelled"), ("awaiting", "expired"),
    # after a restore only
    ("accepted", "uncertain"), ("ready", "uncertain"), ("held", "uncertain"), ("awaiting", "uncertain"),
    ("uncertain", "inquiring"),
    ("inquiring", "completed"), ("inquiring", "ready"), ("inquiring", "uncertain"),
    ("inquiring", "under_review"), ("inquiring", "cancelled"),
    ("under_review", "inquiring"), ("under_review", "completed"), ("under_review", "ready"),
    ("under_review", "cancelled"),
    ("completed", "cancelled"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_only_the_moves_of_the_table_are_legal(before: State, after: State) -> None:
    if (before.value, after.value) in LEGAL:
        check_move(before, after, Outcome.ISSUED)
    else:
        with pytest.raises(IllegalMove):
            check_move(before, after, Outcome.ISSUED)


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.REJECTED, Outcome.DONE])
def test_only_an_issued_application_leaves_its_final_state(outcome: Outcome) -> None:
    with pytest.raises(IllegalMove):
        check_move(State.COMPLETED, State.CANCELLED, outcome)


def test_an_uncertain_message_can_only_be_asked_about() -> None:
    assert MOVES[State.UNCERTAIN] == {State.INQUIRING}


def test_every_state_can_be_left_or_is_final() -> None:
    assert {state for state in State if not MOVES[state] or state is State.COMPLETED} == FINAL


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_public_face_and_only_ended_ones_count_as_settled(state: State) -> None:
    shown = public_state(state, Outcome.ISSUED if state is State.COMPLETED else None, 1)
    assert (shown in SETTLED) == (state in FINAL or state is State.UNDER_REVIEW)
    if state in LEASED or state is State.UNCERTAIN:
        assert shown is PublicState.IN_PROGRESS
