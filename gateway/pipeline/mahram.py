"""The mahram that a line names must be another line of its batch: known only when the body has ended.

Until then the lines are recorded as accepted, and nobody claims them: the accepting commit comes after this.
A crash in between leaves a batch that nobody was told of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.ledger.port import MessageRow
from gateway.ledger.vault import Place
from gateway.pipeline.engine import Engine
from gateway.pipeline.intake import OpenIntake, Rejection, Tally
from gateway.pipeline.record import intake_until, kept
from gateway.policies.companions import Companion, Companions
from schemas.rules import ApplicationRules
from schemas.violation import Violation

_MISSING: Final = Violation("mahram_not_in_batch", "/mahram/reference")


def companions(rules: ApplicationRules) -> Companions | None:
    """What remembers who names whom, where the control set asks for a mahram."""
    return Companions() if rules.mahram_rule else None


async def reject_unaccompanied(intake: OpenIntake, tally: Tally, engine: Engine) -> None:
    """Reject the lines whose mahram was not taken. Raises `LeaseLost`.

    They are only counted in a dry run, and with `all_or_nothing`, where one of them refuses the batch.
    """
    alone = tally.companions.without_mahram() if tally.companions else []
    for companion in alone:
        tally.reject(Rejection(companion.line, companion.row, companion.reference, (_MISSING,)))
    if intake.batch_id is None or intake.submission.mode == "all_or_nothing":
        return
    size = engine.settings.gateway.intake.chunk_lines
    for start in range(0, len(alone), size):
        await _reject(alone[start : start + size], intake, engine)


async def _reject(alone: Sequence[Companion], intake: OpenIntake, engine: Engine) -> None:
    if intake.batch_id is None:
        raise AssertionError("a dry run records nothing")
    rows = {companion.line: companion.row for companion in alone}

    def seal(message: MessageRow) -> bytes:
        key = engine.vault.data_key(message.id, message.data_key)
        place = Place(message.party, message.id, "progress", 1)
        return engine.vault.seal(key, kept(rows[message.line or 0], (_MISSING,)), place=place)

    await engine.ledger.reject_lines(
        intake.batch_id,
        intake.token,
        list(rows),
        _MISSING.code,
        seal,
        intake_until=intake_until(engine),
        now=engine.now(),
    )
