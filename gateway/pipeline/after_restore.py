"""After a restore: the ledger has forgotten what was done since the backup, the partners have not.

Every call that must not be repeated is believed to have been sent: whatever is not final is asked about
first, under the reference that it always had (it is made of the message's id and the operation). And nothing
new is asked of such a partner before its lists of the lost days were read (`gateway.flows.restored`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any

from gateway.clock import RIYADH, moment
from gateway.errors import Misconfigured
from gateway.flows import restored
from gateway.ledger.books import Books
from gateway.ledger.restoring import Question, Restoration, TakingOn
from gateway.message import Micros, Operation
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import request_reference


async def stand_after_restore(engine: Engine, *, told: bool, began: Micros) -> None:
    """Let a restored ledger be served only by somebody who says so, and then believe the worst.

    `told`: started with `--after-restore`. `began`: when this process was started; the ledger is open.
    Raises `Misconfigured` for a restored ledger that is about to be served as if it were whole.
    """
    latest = await engine.ledger.restoration()
    waiting = latest is not None and latest.taken_on_at is None
    if waiting and not told:
        raise Misconfigured(
            [
                "ledger:1:1: this ledger was restored from a backup and has forgotten what was sent since: "
                "start it once with `serve --after-restore`"
            ]
        )
    if not told:
        return
    if latest is not None and not waiting:
        log.warning("taken_on_before", action="after_restore", code="already_taken_on")
        return
    await _take_on(engine, latest, began)


async def _take_on(engine: Engine, marked: Restoration | None, began: Micros) -> None:
    last = await engine.ledger.latest_entry_before(began)
    checkpoint = await engine.ledger.last_checkpoint()
    taking = TakingOn(
        lost_from=marked.lost_from if marked else (last or began),
        now=engine.now(),
        questions=questions(engine),
        then=partial(_begin_gaps, engine),
        seen=marked.id - 1 if marked else 0,
    )
    taken = await engine.ledger.take_on_restore(
        taking, partial(_told, checkpoint=0 if checkpoint is None else checkpoint.number)
    )
    log.warning("restored", action="after_restore", lost_from=moment(taken.lost_from).isoformat())


def questions(engine: Engine) -> Mapping[str, Question]:
    """What each kind of message must ask first: about its one step that must not be repeated."""
    found = {}
    for kind in engine.settings.routes.itineraries:
        for operation in (step for stage in engine.stages(kind) for step in stage if not step.repeatable):
            found[kind] = Question(
                operation.name, operation.destination, partial(request_reference, operation=operation)
            )
    return found


def _told(restoration: Restoration, *, checkpoint: int) -> Mapping[str, Any]:
    """For the journal: checkpoints behind this one are others than those that were signed before."""
    return {
        "lost_from": restoration.lost_from,
        "restored_at": restoration.restored_at,
        "after_checkpoint": checkpoint,
    }


def _begin_gaps(engine: Engine, books: Books, restoration: Restoration) -> None:
    issuance = issuing(engine)
    taken_on_at = restoration.taken_on_at
    if issuance is None or taken_on_at is None:
        return
    settled_at = settled(issuance, taken_on_at, engine)
    days = _days(restoration.lost_from, settled_at)
    restored.begin(issuance.destination, restoration.id, days, settled_at, books)


def issuing(engine: Engine) -> Operation | None:
    """The step that gives a person something which they must not get twice."""
    question = questions(engine).get("visa.application")
    return None if question is None else engine.operations[question.step]


def settled(operation: Operation, taken_on_at: Micros, engine: Engine) -> Micros:
    """From when on nothing that was sent before can take effect at the partner any more."""
    return Micros(taken_on_at + round(engine.destination(operation).longest_processing_s * 1_000_000))


def _days(since: Micros, until: Micros) -> Iterator[date]:
    """The days in Riyadh from one instant to another."""
    day, last = day_of(since), day_of(until)
    while day <= last:
        yield day
        day += timedelta(days=1)


def day_of(instant: Micros) -> date:
    """The day that it is in Riyadh."""
    return moment(instant).astimezone(RIYADH).date()
