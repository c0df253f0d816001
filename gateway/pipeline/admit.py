"""The first half of a message's life: a party's batch, before it gets its answer.

    read → validate → authorise → gate → route → record │ COMMIT = 202

What a crash leaves behind: before the accepting commit, nothing that anybody was told of (the client sends
again under the same key, and the abandoned remains are discarded); after it, the whole batch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from gateway.errors import Conflict, Refused
from gateway.ledger.port import AlreadyAccepted, BatchOpening, BeingReceived, NewMessage, Opened
from gateway.ledger.vault import DataKey, Place, Unsealable
from gateway.message import BatchFacts, BatchId, new_id
from gateway.observe.log import log
from gateway.pipeline.authorise import authorise
from gateway.pipeline.engine import Engine
from gateway.pipeline.intake import CheckedLine, OpenIntake, Receipt, Submission, Tally
from gateway.pipeline.mahram import companions, reject_unaccompanied
from gateway.pipeline.photos import refuse_unknown_photos
from gateway.pipeline.read import BodyReader, Pause
from gateway.pipeline.record import KIND, Lines, accept, intake_until, kept_rejection, record_lines
from gateway.pipeline.validate import (
    controls_in_force,
    in_season,
    person_key,
    refuse_repeated,
    rules_of,
    validate_header,
    validate_line,
)
from gateway.ports import ReadHeader
from gateway.values import replace

#: What a batch itself is kept as.
BATCH: Final = "visa.batch"
#: A lease is renewed so often in its own time: a piece of the body that is late does no harm.
_RENEWALS: Final = 3
_NO_FACTS = BatchFacts(batch_reference="", licensee="", agent="", mission="", season=0)


async def admit(submission: Submission, engine: Engine) -> Receipt:
    """Take a batch in, line by line; the receipt is true once this returns.

    Raises `Refused` when the batch as a whole can't be taken (nothing is recorded then), `Conflict` for a
    key that is being received or was used for another body, `Unavailable` when the ledger can't write or
    nothing new may be taken in. What had begun before is taken in whole, or given up whole.
    """
    engine.refuse_under_pressure()
    if submission.dry_run:
        return await _receive(submission, None, "", None, engine)
    batch_id, token = BatchId(new_id()), new_id()
    key = engine.vault.new_data_key(batch_id, BATCH)
    match await _open(submission, batch_id, token, key, engine):
        case BeingReceived(retry_after_s):
            raise Conflict("batch_in_progress", retry_after_s=retry_after_s)
        case AlreadyAccepted() as first:
            return await _first_answer(submission, first, engine)
        case Opened():
            pass
    try:
        return await _receive(submission, batch_id, token, key, engine)
    except BaseException:
        await engine.ledger.abandon_batch(batch_id, token)
        raise


async def _open(
    submission: Submission, batch_id: BatchId, token: str, key: DataKey, engine: Engine
) -> Opened | AlreadyAccepted | BeingReceived:
    opening = BatchOpening(
        batch_id=batch_id,
        party=submission.party,
        idempotency_key=submission.idempotency_key,
        intake_token=token,
        intake_until=intake_until(engine),
        mode=submission.mode,
        data_key=key.wrapped,
        now=engine.now(),
    )
    return await engine.ledger.begin_batch(opening)


async def _receive(
    submission: Submission, batch_id: BatchId | None, token: str, key: DataKey | None, engine: Engine
) -> Receipt:
    lease = _Lease(batch_id, token, engine)
    while_held = replace(submission, body=lease.held(submission.body))
    body = BodyReader(while_held, engine.settings.gateway.intake)
    rules = rules_of(await controls_in_force(engine), engine.clock.today())
    tally = Tally(companions=companions(rules))
    size = engine.settings.gateway.intake.chunk_lines
    last: Lines = []
    intake = OpenIntake(submission, batch_id, token, key, _NO_FACTS)
    pause = Pause()
    async for chunk in body.chunks(size):
        if isinstance(chunk, ReadHeader):
            facts = validate_header(chunk)
            await authorise(submission.party, facts, engine, dry_run=submission.dry_run)
            intake = OpenIntake(submission, batch_id, token, key, facts)
            continue
        if intake.facts is _NO_FACTS:
            raise Refused("header_missing", status=422)
        if engine.pressure is not None:
            engine.pressure.refuse_the_rest()
        lines: Lines = []
        for line in chunk:
            checked = in_season(validate_line(line, rules), intake.facts.season)
            lines.append((checked, person_key(checked, intake.facts.season, engine.vault)))
            if pause.due():
                await pause.begin()
        lines = await refuse_unknown_photos(lines, submission.party, engine)
        lines = [_once(line, person, tally) for line, person in lines]
        if len(lines) < size and _waits_for_the_end(intake, tally):
            last = lines
        else:
            await record_lines(lines, intake, tally, engine)
            lease.was_renewed()
    await reject_unaccompanied(intake, tally, engine)
    return await _answer(last, intake, tally, await body.digest(), engine)


def _once(line: CheckedLine, person: bytes | None, tally: Tally) -> tuple[CheckedLine, bytes | None]:
    checked = refuse_repeated(line, person, tally)
    return checked, None if checked.violations else person


class _Lease:
    """Our hold on a batch being received (None: a dry run has none).

    Recorded lines renew it; those of a slow sender may be too few to be recorded for longer than it lasts.
    """

    def __init__(self, batch_id: BatchId | None, token: str, engine: Engine) -> None:
        self._batch_id, self._token, self._engine = batch_id, token, engine
        self._after_us = round(engine.settings.gateway.intake.lease_s * 1_000_000 / _RENEWALS)
        self.was_renewed()

    def was_renewed(self) -> None:
        """It need not be again before some of it has passed."""
        self._renew_at = self._engine.now() + self._after_us

    async def held(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body; while it comes, the lease doesn't end. Raises `LeaseLost`."""
        async for piece in body:
            if self._batch_id is not None and self._engine.now() >= self._renew_at:
                await self._engine.ledger.add_lines(
                    self._batch_id, self._token, (), _no_line, intake_until=intake_until(self._engine)
                )
                self.was_renewed()
            yield piece


def _no_line(message: NewMessage) -> NewMessage:
    raise AssertionError("a lease is renewed without lines")


def _waits_for_the_end(intake: OpenIntake, tally: Tally) -> bool:
    """Whether the lines that fill no chunk any more are recorded by the accepting commit.

    A dry run has none, and where a mahram must be in the batch all lines have to be recorded before.
    """
    return intake.batch_id is not None and tally.companions is None


async def _answer(last: Lines, intake: OpenIntake, tally: Tally, digest: bytes, engine: Engine) -> Receipt:
    if intake.batch_id is None:
        tally.check(intake.submission.mode)
    else:
        await accept(last, intake, tally, digest, engine)
    _measure(intake, tally, engine)
    return Receipt(
        batch_id=intake.batch_id,
        counts=tally.counts(),
        rejected=tuple(tally.named),
        more_rejected=tally.rejected > len(tally.named),
        dry_run=intake.submission.dry_run,
    )


async def _first_answer(submission: Submission, first: AlreadyAccepted, engine: Engine) -> Receipt:
    """The same key again: the same answer for the same body, a conflict for another."""
    digest = await BodyReader(submission, engine.settings.gateway.intake).digest()
    if digest != first.payload_sha:
        raise Conflict("idempotency_key_reused")
    try:
        key = engine.vault.data_key(first.batch_id, first.data_key)
        place = Place(submission.party, first.batch_id, "receipt", 1)
        kept = engine.vault.open(key, first.sealed_receipt, place=place)
    except Unsealable:
        return await _what_is_left(first, engine)
    return Receipt(
        batch_id=first.batch_id,
        counts=kept["counts"],
        rejected=tuple(kept_rejection(value) for value in kept["rejected"]),
        more_rejected=kept["more_rejected"],
        replayed=True,
    )


async def _what_is_left(first: AlreadyAccepted, engine: Engine) -> Receipt:
    """The first answer where it was damaged or shredded: the counts stand elsewhere, the rejected by page."""
    log.error("unsealable", action="unsealable", batch_id=first.batch_id)
    batch = await engine.ledger.batch(first.batch_id)
    if batch is None:
        raise AssertionError("an accepted batch is never removed")
    rejected = batch.counts.get("rejected", 0)
    counts = Tally(lines=batch.lines, rejected=rejected).counts()
    return Receipt(first.batch_id, counts, (), more_rejected=rejected > 0, replayed=True)


def _measure(intake: OpenIntake, tally: Tally, engine: Engine) -> None:
    party = intake.submission.party
    if intake.batch_id is None:
        return
    engine.metrics.received.labels(party, KIND, "http").inc(tally.lines)
    for code, count in tally.codes.items():
        engine.metrics.rejected.labels(party, KIND, code).inc(count)
    log.info(
        "batch_accepted",
        action="accept_batch",
        batch_id=intake.batch_id,
        party=party,
        lines=tally.lines,
        count=tally.rejected,
    )
