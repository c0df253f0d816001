"""Record: lines become messages in the ledger, sealed; one commit accepts the batch whole.

The answer to the center (202) is given after that commit, never before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from gateway.clock import RIYADH, micros
from gateway.ledger.port import Acceptance, NewMessage
from gateway.ledger.vault import DataKey, Place, Vault
from gateway.message import MessageId, Micros, PartyId, new_id
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.pipeline.engine import Engine
from gateway.pipeline.intake import CheckedLine, OpenIntake, Rejection, Tally
from gateway.pipeline.validate import passport_key
from gateway.policies.urgency import lane_of
from gateway.states import Outcome, State
from gateway.values import replace
from schemas.violation import Violation

KIND = "visa.application"
#: Lines that were checked, each with the person it is for unless it is rejected.
Lines = list[tuple[CheckedLine, bytes | None]]


def new_message(line: CheckedLine, person: bytes | None, intake: OpenIntake, engine: Engine) -> NewMessage:
    """A line as it is recorded: accepted, or completed at once when it is rejected."""
    id = MessageId(new_id())
    party = intake.submission.party
    key = engine.vault.new_data_key(id, KIND)
    payload = engine.vault.seal(key, line.body or {}, place=Place(party, id, "payload", 1))
    message = NewMessage(
        id=id,
        kind=KIND,
        party=party,
        facts=intake.facts,
        # A center's own reference may be anything, so it stands in the sealed payload only.
        reference="",
        lane=lane_of(intake.facts.licensee, KIND, party),
        state=State.ACCEPTED,
        received_at=engine.now(),
        data_key=key.wrapped,
        sealed_payload=payload,
        versions=engine.versions(),
        batch_id=intake.batch_id,
        line=line.line,
        deadline_at=_deadline(line.arrival_date),
        person_key=person,
        passport_key=passport_key(line, intake.facts.season, engine.vault),
    )
    if not line.violations:
        return message
    return as_rejected(message, line, party, key, engine.vault)


def as_rejected(
    message: NewMessage, line: CheckedLine, party: PartyId, key: DataKey, vault: Vault
) -> NewMessage:
    """The same message, ended: what is wrong with it is sealed beside its payload."""
    value = kept(line.row, line.violations)
    return replace(
        message,
        state=State.COMPLETED,
        outcome=Outcome.REJECTED,
        code=line.violations[0].code,
        sealed_progress=vault.seal(key, value, place=Place(party, message.id, "progress", 1)),
    )


def kept(row: int | None, violations: Sequence[Violation]) -> dict[str, Any]:
    """What is kept of a rejected line beside its payload."""
    return {"row": row, "violations": [_kept(violation) for violation in violations]}


def _kept(violation: Violation) -> dict[str, Any]:
    return {"code": violation.code, "pointer": violation.pointer, "params": dict(violation.params)}


@lru_cache(1024)
def _deadline(arrival_date: str | None) -> Micros | None:
    """The end of the travel day in Riyadh: waiting longer would be of no use."""
    if arrival_date is None:
        return None
    end = date.fromisoformat(arrival_date) + timedelta(days=1)
    return micros(datetime.combine(end, time(), RIYADH))


class _Recording:
    """Lines on their way into the ledger. A person with a live application elsewhere is a duplicate."""

    def __init__(self, lines: Lines, intake: OpenIntake, engine: Engine) -> None:
        self._vault, self._party = engine.vault, intake.submission.party
        self.messages = [new_message(line, person, intake, engine) for line, person in lines]
        self._lines = {message.id: line for message, (line, _) in zip(self.messages, lines, strict=True)}

    def duplicate(self, message: NewMessage) -> NewMessage:
        """The message as it is recorded when its person turns out to have another live application."""
        line = _duplicate(self._lines[message.id])
        key = self._vault.data_key(message.id, message.data_key)
        return as_rejected(message, line, self._party, key, self._vault)

    def lines(self, recorded: Sequence[NewMessage]) -> Iterator[CheckedLine]:
        """The lines as they were recorded."""
        for message in recorded:
            line = self._lines[message.id]
            yield _duplicate(line) if message.outcome and not line.violations else line

    def count(self, recorded: Sequence[NewMessage], tally: Tally) -> None:
        """They are in the ledger."""
        for message, line in zip(recorded, self.lines(recorded), strict=True):
            tracing.born(message.id, kind=KIND, state=message.state)
            tally.add(line)


async def record_lines(lines: Lines, intake: OpenIntake, tally: Tally, engine: Engine) -> None:
    """Add lines to the batch being received."""
    if intake.batch_id is None:
        await _check_only(lines, tally, engine)
        return
    recording = _Recording(lines, intake, engine)
    recorded = await engine.ledger.add_lines(
        intake.batch_id,
        intake.token,
        recording.messages,
        recording.duplicate,
        intake_until=intake_until(engine),
    )
    crash_point("after_lines")
    recording.count(recorded, tally)


async def _check_only(lines: Lines, tally: Tally, engine: Engine) -> None:
    taken = await engine.ledger.holders([person for _, person in lines if person is not None])
    for line, person in lines:
        tally.add(_duplicate(line) if person in taken and not line.violations else line)


def _duplicate(line: CheckedLine) -> CheckedLine:
    """Says that there is another live application, never whose."""
    return replace(line, violations=(Violation("duplicate_application", "/passport/number"),))


def intake_until(engine: Engine) -> Micros:
    """The end of an intake lease renewed now."""
    return Micros(engine.now() + round(engine.settings.gateway.intake.lease_s * 1_000_000))


async def accept(last: Lines, intake: OpenIntake, tally: Tally, digest: bytes, engine: Engine) -> None:
    """The commit behind the 202, with the lines that are not recorded yet. Raises what `Tally.check` does."""
    if intake.batch_id is None:
        raise AssertionError("a dry run is not accepted")
    recording = _Recording(last, intake, engine)

    def acceptance(recorded: Sequence[NewMessage]) -> Acceptance:
        whole = tally.with_lines(recording.lines(recorded))
        whole.check(intake.submission.mode)
        return Acceptance(
            facts=intake.facts,
            payload_sha=digest,
            lines=whole.lines,
            sealed_receipt=seal_receipt(whole, intake, engine.vault),
            now=engine.now(),
            received_on=engine.clock.today(),
        )

    crash_point("before_accept_commit")
    recorded = await engine.ledger.accept_batch(
        intake.batch_id, intake.token, recording.messages, recording.duplicate, acceptance
    )
    crash_point("after_accept_commit")
    recording.count(recorded, tally)
    engine.hints.notify(tally.lines - tally.rejected)
    # Before the answer is put together the worker wakes, and the ledger begins its claim: one round each.
    for _ in range(2):
        await asyncio.sleep(0)


def seal_receipt(tally: Tally, intake: OpenIntake, vault: Vault) -> bytes:
    """The first answer, so that a repetition gets it again."""
    if intake.key is None or intake.batch_id is None:
        raise AssertionError("a dry run leaves no receipt")
    value = {
        "counts": tally.counts(),
        "more_rejected": tally.rejected > len(tally.named),
        "rejected": [
            {
                "line": named.line,
                "row": named.row,
                "reference": named.reference,
                "violations": [_kept(violation) for violation in named.violations],
            }
            for named in tally.named
        ],
    }
    place = Place(intake.submission.party, intake.batch_id, "receipt", 1)
    return vault.seal(intake.key, value, place=place)


def kept_rejection(value: dict[str, Any]) -> Rejection:
    """The inverse of what `seal_receipt` keeps of a rejected line."""
    return Rejection(value["line"], value["row"], value["reference"], kept_violations(value["violations"]))


def kept_violations(values: list[dict[str, Any]]) -> tuple[Violation, ...]:
    return tuple(Violation(value["code"], value["pointer"], value["params"]) for value in values)
