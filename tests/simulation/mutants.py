"""Gateways that are broken on purpose, to see that the simulation would notice.

Each takes one promise away for as long as its context lasts. One that no seed shows would mean that a fault
or an invariant is missing here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

from gateway.ledger.postgresql import database_time
from gateway.ledger.postgresql import ledger as postgresql
from gateway.ledger.sql import carrying, counters, intake, moving, rows, sweeping
from gateway.message import NotDone, Unknown
from gateway.pipeline import absorb, admit, carry, commit, deliver, inquire, settle, wishes
from gateway.pipeline.decide import Wait
from gateway.pipeline.journey import StepStatus
from gateway.states import Outcome, State
from gateway.values import replace
from gateway.webhooks.courier import Courier
from gateway.webhooks.schedule import Result
from tests.simulation import partner as simulated_partner
from tests.simulation.ledger import SimulatedLedger
from tests.simulation.plan import Fault, PartnerClass, Plan, plan_of
from tests.simulation.world import Violation, simulate

_MUTANTS: dict[str, Mutant] = {}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One promise that is not kept. `broken` is a context in which it is not."""

    name: str
    promise: str
    broken: Callable[[], Any]
    #: Plans that come close to where it shows, by number: for those who have no time for any plans.
    near: Callable[[int], Plan]


@dataclass(frozen=True, slots=True)
class Caught:
    """The first seed that showed it, after how many, and what was violated."""

    seed: int
    after: int
    violation: Violation


def mutants() -> tuple[Mutant, ...]:
    return tuple(_MUTANTS.values())


def caught(mutant: Mutant, most: int, first: int = 0, plan: Callable[[int], Plan] = plan_of) -> Caught | None:
    """Play seeds until one shows the mutant. None: `most` of them did not."""
    with mutant.broken():
        for number in range(most):
            run = simulate(plan(first + number), keep_trace=False)
            if run.violations:
                return Caught(first + number, number + 1, run.violations[0])
    return None


def _mutant(
    promise: str, near: Callable[[int], Plan] = plan_of
) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Any]]:
    def register(broken: Callable[[], Iterator[None]]) -> Callable[[], Any]:
        context = contextmanager(broken)
        _MUTANTS[broken.__name__] = Mutant(broken.__name__, promise, context, near)
        return context

    return register


def _near(
    kind: str, after: str, amount: float, partner: PartnerClass = "deduplicates", roughness: float = 0.0
) -> Callable[[int], Plan]:
    """A few such faults, each a little later than the one before."""

    def plan(seed: int) -> Plan:
        faults = tuple(Fault(step, kind, amount, after=after) for step in range(seed * 7 % 50, 300, 60))
        return Plan(seed, partner, processes=2, batches=(4, 4), roughness=roughness, faults=faults)

    return plan


def _rough(partner: PartnerClass) -> Callable[[int], Plan]:
    return lambda seed: Plan(seed, partner, processes=2, batches=(6, 6, 6), roughness=0.5)


def _patched(place: Any, name: str, value: Any) -> Any:
    return mock.patch.object(place, name, value)


# --- intents and tokens ------------------------------------------------------------------------------------


@_mutant("the intent is durable before the call")
def no_intent_before_the_call() -> Iterator[None]:
    async def committed(journey: Any, steps: Any, engine: Any) -> Any:
        return commit.Committed(journey, engine.clock.boottime_s() + 60)

    with _patched(carry, "commit", committed):
        yield


@_mutant("what is told as committed is committed")
def told_before_the_commit() -> Iterator[None]:
    apply, running = SimulatedLedger.apply, set()

    async def told_early(self: Any, move: Any) -> Any:
        if move.intent is None:
            return await apply(self, move)
        running.add(asyncio.create_task(apply(self, move)))
        return moving.Applied(cancel_requested=False)

    with _patched(SimulatedLedger, "apply", told_early):
        yield


@_mutant("a worker that lost its lease writes nothing", _near("freeze", "send", 60.0))
def token_not_checked() -> Iterator[None]:
    apply_all = moving.apply_all

    def unfenced(tx: Any, move: Any) -> Any:
        row = tx.one("SELECT lease_token, state FROM message WHERE id = ?", (move.message.id,))
        to = State(row["state"]) if move.intent is not None else move.to
        held = replace(move.message, token=row["lease_token"], state=State(row["state"]))
        return replace(move, message=held, to=to)

    def whoever(tx: Any, moves: Any, books: Any) -> Any:
        return apply_all(tx, [unfenced(tx, move) for move in moves], books)

    with _patched(moving, "apply_all", whoever):
        yield


@_mutant("each lease has a token of its own")
def token_not_raised() -> Iterator[None]:
    with _patched(
        carrying,
        "_LEASE",
        carrying._LEASE.replace("lease_token = lease_token + 1", "lease_token = lease_token"),
    ):
        yield


@_mutant(
    "a lease that ends after an intent makes the message uncertain",
    _near("crash", "effect", 5.0, "can_be_asked"),
)
def ended_lease_is_ready() -> Iterator[None]:
    shift = sweeping._shift

    def ready(tx: Any, row: Any, to: State, *args: Any, **options: Any) -> None:
        if to is State.UNCERTAIN:
            to = State.READY
            tx.run("UPDATE effect SET state = 'free' WHERE message_id = ?", (row["id"],))
            tx.run("UPDATE message SET open_step = NULL WHERE id = ?", (row["id"],))
        shift(tx, row, to, *args, **options)

    with _patched(sweeping, "_shift", ready):
        yield


@_mutant(
    "one intent a reference, also where the state of its message went wrong",
    _near("crash", "effect", 5.0, "can_be_asked"),
)
def effect_row_not_unique() -> Iterator[None]:
    """The last line of defence: behind it, an ended lease is taken for one without an intent."""
    shift = sweeping._shift

    def ready(tx: Any, row: Any, to: State, *args: Any, **options: Any) -> None:
        tx.run("UPDATE message SET open_step = NULL WHERE id = ?", (row["id"],))
        shift(tx, row, State.READY if to is State.UNCERTAIN else to, *args, **options)

    opened = (
        "INSERT OR REPLACE INTO effect (destination, operation, request_reference, message_id, token,"
        " state, opened_at) VALUES (?, ?, ?, ?, ?, 'open', ?)"
    )
    with _patched(sweeping, "_shift", ready), _patched(moving, "_OPEN_EFFECT", opened):
        yield


@_mutant("nothing is sent after its deadline", _near("freeze", "effect", 70.0))
def deadline_not_checked() -> Iterator[None]:
    committed = commit.commit

    async def for_ever(journey: Any, steps: Any, engine: Any) -> Any:
        found = await committed(journey, steps, engine)
        if isinstance(found, commit.Committed):
            found = replace(found, send_by_boottime_s=math.inf)
        return found

    with _patched(carry, "commit", for_ever):
        yield


# --- doubt -------------------------------------------------------------------------------------------------


@_mutant("a lost answer is asked about, never repeated")
def retry_after_uncertain() -> Iterator[None]:
    after = absorb._after

    def retried(state: Any, operation: Any, end: Any, now: Any, engine: Any) -> Any:
        return after(state, operation, NotDone(end.code) if isinstance(end, Unknown) else end, now, engine)

    with _patched(absorb, "_after", retried):
        yield


@_mutant("an intent whose call is in doubt stays open")
def doubt_frees_the_intent() -> Iterator[None]:
    ends = settle._intent_ends
    with _patched(
        settle,
        "_intent_ends",
        lambda journey: ends(journey) or ("free" if journey.message.open_step else None),
    ):
        yield


@_mutant("absence counts when given twice, after the longest processing", _rough("deduplicates"))
def absence_believed_at_the_first_ask() -> Iterator[None]:
    with _patched(inquire, "proven_absent", lambda asked, *_: bool(asked)):
        yield


@_mutant("the clock of absence starts at the latest moment of sending", _rough("deduplicates"))
def absence_counts_too_early() -> Iterator[None]:
    proven = inquire.proven_absent

    def since_the_claim(asked: Any, send_by: Any, *given: Any) -> bool:
        return proven(asked, send_by - timedelta(days=1), *given)

    with _patched(inquire, "proven_absent", since_the_claim):
        yield


@_mutant("what is proven absent is sent again only to a partner that recognises it", _rough("can_be_asked"))
def sent_again_without_deduplication() -> Iterator[None]:
    review = inquire._review

    def again(journey: Any, code: str, engine: Any) -> Any:
        if code == "absent_not_deduplicated":
            operation = engine.operations[journey.message.open_step]
            new = journey.with_step(operation, replace(journey.step(operation), status=StepStatus.NEW))
            return replace(inquire._again(new, engine), action="proven_absent")
        return review(journey, code, engine)

    with _patched(inquire, "_review", again):
        yield


@_mutant("a partner without an inquiry leaves it to a person", _rough("neither"))
def no_inquiry_is_absence() -> Iterator[None]:
    review = inquire._review

    def again(journey: Any, code: str, engine: Any) -> Any:
        return inquire._again(journey, engine) if code == "no_inquiry" else review(journey, code, engine)

    with _patched(inquire, "_review", again):
        yield


@_mutant("an answer that comes after the lease is kept", _near("freeze", "issue", 60.0))
def late_answer_thrown_away() -> Iterator[None]:
    async def nothing(journey: Any, engine: Any) -> None:
        return None

    with _patched(settle, "_keep_late_answers", nothing):
        yield


# --- cancelling, places, gate ------------------------------------------------------------------------------


@_mutant("the commit of an intent looks whether somebody cancelled", _near("cancel", "answer", 0.0))
def cancel_ignored_by_the_intent() -> Iterator[None]:
    may_intend = moving._may_intend

    def blind(move: Any, held: Any, books: Any) -> Any:
        found = may_intend(move, held, books)
        return (
            (None if move.gate is None else move.gate(books))
            if isinstance(found, moving.CancelAsked)
            else found
        )

    with _patched(moving, "_may_intend", blind):
        yield


@_mutant("issued although cancelled: the visa is cancelled", _near("cancel", "issue", 0.0))
def cancellation_forgotten() -> Iterator[None]:
    with (
        _patched(settle, "cancellation_of", None),
        _patched(
            settle, "_issued", lambda rest, journey, engine: replace(rest, action="issue", outcome="issued")
        ),
    ):
        yield


def _suspended_often(seed: int) -> Plan:
    """While commits take their time, so that there is time between a look at the gate and an intent."""
    slow = tuple(Fault(step, "slow", 8.0) for step in range(40, 400, 60))
    suspended = tuple(Fault(step, "suspend", 1.0, target=seed) for step in range(60 + seed * 3 % 40, 400, 40))
    faults = tuple(sorted((*slow, *suspended), key=lambda fault: fault.step))
    return Plan(seed, processes=2, batches=(6, 6), roughness=0.0, ceiling=3, faults=faults)


@_mutant("the gate, and the places under ceilings, belong to the commit of the intent", _suspended_often)
def gate_before_the_commit() -> Iterator[None]:
    committed = commit.commit

    async def early(journey: Any, steps: Any, engine: Any) -> Any:
        once_only = next((step for step in steps if not step.operation.repeatable), None)
        gate = None if once_only is None else intent(journey, once_only, engine).gate
        if gate is not None:
            closed = await engine.ledger.work(gate)
            if closed is not None:
                return Wait(State.HELD, engine.now() + 10_000_000, closed.code)
        return await committed(journey, steps, engine)

    intent = commit._intent_move

    def ungated(journey: Any, step: Any, engine: Any) -> Any:
        return replace(intent(journey, step, engine), gate=None)

    with _patched(carry, "commit", early), _patched(commit, "_intent_move", ungated):
        yield


@_mutant("places are given back by what ends without a visa")
def place_kept() -> Iterator[None]:
    with _patched(moving, "give_back", lambda tx, id: None):
        yield


@_mutant("a person has one live application")
def person_not_held() -> Iterator[None]:
    insert = rows.insert_messages

    def nobody(tx: Any, messages: Any) -> None:
        insert(tx, [replace(new, person_key=None) for new in messages])

    with _patched(intake, "insert_messages", nobody):
        yield


# --- batches and what is told ------------------------------------------------------------------------------


@_mutant("every line of an accepted batch is released")
def release_skips_a_line() -> Iterator[None]:
    def short(tx: Any, batch_id: str, after: int, upto: int) -> int:
        tx.run(
            "UPDATE batch SET released_line = CASE WHEN lines < ? THEN lines ELSE ? END WHERE id = ?",
            (upto, upto, batch_id),
        )
        return tx.run(
            "UPDATE message SET state = 'ready', next_at = ? WHERE batch_id = ? AND line > ? AND line < ?"
            " AND line < (SELECT lines FROM batch WHERE id = batch_id) AND state = 'accepted'",
            (tx.now, batch_id, after, upto),
        )

    with _patched(intake, "release_lines", short), _patched(intake, "_released", lambda line: line):
        yield


@_mutant("the receipt is given after the commit", _near("crash", "served", 5.0))
def receipt_before_the_commit() -> Iterator[None]:
    accept, running = admit.accept, set()

    async def early(*args: Any) -> None:
        running.add(asyncio.create_task(accept(*args)))

    with _patched(admit, "accept", early):
        yield


@_mutant("a batch's completion is told once a revision")
def completion_told_twice() -> Iterator[None]:
    settle = counters._settle

    def twice(tx: Any, batch_ids: list[str]) -> None:
        settle(tx, batch_ids)
        settle(tx, batch_ids)

    with _patched(counters, "_settle", twice):
        yield


@_mutant("counts follow every move")
def sweep_does_not_count() -> Iterator[None]:
    count = counters.BatchCounters.count

    def forgetful(self: Any, batch_id: Any, before: Any, after: Any) -> None:
        if after != "waiting":
            count(self, batch_id, before, after)

    with _patched(counters.BatchCounters, "count", forgetful):
        yield


@_mutant("a notice is marked once it was taken")
def marked_before_published() -> Iterator[None]:
    deliver_one = Courier._deliver

    async def marked(self: Any, event: Any, position: Any) -> Any:
        _, after = Result.DELIVERED, replace(position, seq=event.seq, failures=0, next_at=None)
        await self.engine.ledger.mark(self.party, "webhook", after, after=position.seq)
        await deliver_one(self, event, position)
        return Result.DELIVERED, after

    with _patched(Courier, "_deliver", marked):
        yield


@_mutant("what a partner was given stands in the journal")
def disclosure_not_noted() -> Iterator[None]:
    with _patched(deliver, "_disclosed", lambda *_: None):
        yield


@_mutant("an ambiguous commit is one commit")
def lost_commit_told_as_done() -> Iterator[None]:
    """The server loses what it has said to have: a commit that did not flush."""
    committing = SimulatedLedger._commit

    def lost(self: Any, units: Any) -> None:
        if self._server.random.random() < 0.02 and not self._refuses():
            connection = self._server.database.connection
            tx = moving.Transaction(connection, self._server.now(), self._journal)
            connection.execute("BEGIN IMMEDIATE")
            for unit in units:
                unit.run(tx)
            connection.execute("ROLLBACK")
            self._server.database.take_changes()
            self._journal.forget()
            self._memory.forget()
            return
        committing(self, units)

    with _patched(SimulatedLedger, "_commit", lost):
        yield


# --- what the simulation found once ------------------------------------------------------------------------


def _database_ahead(seed: int) -> Plan:
    """The database's clock is ahead of the processes' from the beginning; a licensee is suspended once."""
    faults = (Fault(10, "leap", 1_500.0, target=2), Fault(100 + seed % 60, "suspend", 9.0, target=seed % 2))
    return Plan(seed, "resends", processes=2, batches=(6, 6), roughness=0.5, faults=faults)


@_mutant("a message that was hurried is tried once, whichever clock said when", _database_ahead)
def hurried_by_another_clock() -> Iterator[None]:
    absorbed = absorb.absorb

    def by_our_clock(journey: Any, operation: Any, record: Any, end: Any, engine: Any) -> Any:
        found = absorbed(journey, operation, record, end, engine)
        state = found.step(operation)
        if state.last_at is None or record.finished_at is None:
            return found
        return found.with_step(operation, replace(state, last_at=record.finished_at))

    with _patched(deliver, "absorb", by_our_clock):
        yield


@_mutant("a wait is as long as it was meant to be, also where the database's clock is ahead", _database_ahead)
def waits_by_another_clock() -> Iterator[None]:
    with _patched(database_time, "_due", lambda at, told, now: at):
        yield


def _one_machine_behind(seed: int) -> Plan:
    """Of three machines one has a clock that is five minutes behind the others'."""
    faults = (Fault(20, "leap", -300.0, target=0),)
    return Plan(seed, "resends", processes=3, batches=(5, 5), roughness=0.15, faults=faults)


@_mutant("whether a denial counts is judged by one clock", _one_machine_behind)
def denials_by_two_clocks() -> Iterator[None]:
    by_database = postgresql.by_database

    def as_told(move: Any, now: Any, ahead: int) -> Any:
        moved = by_database(move, now, ahead)
        return replace(moved, intent=move.intent, send_by=move.send_by, attempts=move.attempts)

    with (
        _patched(postgresql, "by_database", as_told),
        _patched(postgresql, "by_process", lambda claimed, ahead: claimed),
        _patched(postgresql, "attempt_by_process", lambda attempt, ahead: attempt),
        # What goes badly takes effect late.
        _patched(simulated_partner, "_FATES", ("late",)),
    ):
        yield


def _killed_while_cancelling(seed: int) -> Plan:
    faults = (
        Fault(600, "cancel_batch"),
        Fault(602 + seed, "crash", 5.0),
        Fault(640, "cancel_batch", target=1),
    )
    return Plan(seed, processes=1, batches=(4, 4), roughness=0.0, faults=faults)


@_mutant("a wish to cancel an issued visa is recorded with what sees to it", _killed_while_cancelling)
def wish_in_two_commits() -> Iterator[None]:
    async def cancelled(message_id: Any, actor: str, engine: Any, why: Any = None) -> Any:
        row = await engine.ledger.cancel(message_id, actor=actor, now=engine.now(), why=why)
        if row.outcome is Outcome.ISSUED and row.state is State.COMPLETED:
            key = engine.vault.data_key(row.id, row.data_key)
            await engine.ledger.add_message(wishes.cancellation_of_row(row, key, engine), actor=actor)
        return row

    with _patched(wishes, "cancel", cancelled):
        yield


@_mutant(
    "the clock of absence begins by no clock that was set meanwhile",
    _near("leap", "issue", 250.0, "resends", roughness=0.6),
)
def doubt_begins_by_the_processes_clock() -> Iterator[None]:
    doubt = settle._doubt

    def as_told(rest: Any, journey: Any) -> Any:
        return replace(doubt(rest, journey), send_by=journey.unsaved[-1].send_by if journey.unsaved else None)

    with _patched(settle, "_doubt", as_told):
        yield
