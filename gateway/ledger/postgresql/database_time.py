"""Machines have different clocks, and rows hold times by one: the database's.

Whether a partner's "I know of no such request" counts depends on when the request may have been sent at the
latest and when the question was asked, by two machines perhaps. Taken over as each machine saw them, a
question by one whose clock is ahead would seem to come late enough. So what a move tells is written as
the database's clock had it, and what a worker reads is given to it as its own clock has it.

A wait or a deadline that lies ahead is as long as the process meant it to be. What lies behind is moved by
the difference of the clocks at the commit, and never into the future: a clock that leaps meanwhile errs to
the safe side, or by no more than the call took. So no instant of a process that lies behind becomes one
before which nothing was sent: that is the intent's (ahead when it is told) or the commit's own.
"""

from __future__ import annotations

from gateway.ledger.partners import PartnerState
from gateway.ledger.records import AttemptRecord, Claimed, Doubt, Move
from gateway.message import Micros
from gateway.values import replace


def by_database(move: Move, now: Micros, ahead: int) -> Move:
    """The move with times by the database's clock, which shows `now` and is `ahead` of the process's."""
    intent = move.intent
    if intent is not None:
        intent = replace(intent, send_by=_later(intent.send_by, move.now, now))
    return replace(
        move,
        lease_until=None if move.lease_until is None else _later(move.lease_until, move.now, now),
        next_at=None if move.next_at is None else _due(move.next_at, move.now, now),
        send_by=None if move.send_by is None else _later(move.send_by, move.now, now),
        intent=intent,
        attempts=tuple(_attempt(attempt, move.now, now, ahead) for attempt in move.attempts),
    )


def by_process(claimed: Claimed, ahead: int) -> Claimed:
    """What was claimed, with times as the process's clock has them."""
    return claimed if claimed.send_by is None else replace(claimed, send_by=Micros(claimed.send_by - ahead))


def attempt_by_process(attempt: AttemptRecord, ahead: int) -> AttemptRecord:
    """The same of an attempt that was read."""
    finished = attempt.finished_at
    return replace(
        attempt,
        started_at=Micros(attempt.started_at - ahead),
        send_by=Micros(attempt.send_by - ahead),
        finished_at=None if finished is None else Micros(finished - ahead),
    )


def doubt_by_process(doubt: Doubt, ahead: int) -> Doubt:
    """The same of all that is known of a call: by one difference, whatever clocks do meanwhile."""
    return Doubt(
        None if doubt.send_by is None else Micros(doubt.send_by - ahead),
        [attempt_by_process(attempt, ahead) for attempt in doubt.attempts],
    )


def partner_by_process(state: PartnerState, ahead: int) -> PartnerState:
    """A circuit opens and closes by the database's clock; a process compares with its own."""
    circuit = state.circuit
    if circuit.closed:
        return state
    since, until = Micros(circuit.since - ahead), Micros(circuit.until - ahead)
    return replace(state, circuit=replace(circuit, since=since, until=until))


def _attempt(attempt: AttemptRecord, told: Micros, now: Micros, ahead: int) -> AttemptRecord:
    finished = attempt.finished_at
    return replace(
        attempt,
        started_at=_earlier(attempt.started_at, now, ahead),
        send_by=_later(attempt.send_by, told, now),
        finished_at=None if finished is None else _earlier(finished, now, ahead),
    )


def _later(at: Micros, told: Micros, now: Micros) -> Micros:
    """An instant at or after the move, by its distance from it."""
    return Micros(now + at - told)


def _earlier(at: Micros, now: Micros, ahead: int) -> Micros:
    return Micros(min(now, at + ahead))


def _due(at: Micros, told: Micros, now: Micros) -> Micros:
    """Taken over as it is, a wait would end at once where the database is ahead, again and again.

    What was due before the move keeps its turn.
    """
    return _later(at, told, now) if at > told else Micros(min(now, at))
