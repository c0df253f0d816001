"""Disclosures: who was given what about one person, when, by which rule and what for.

The question is an entry of the journal itself, beside each application that it found, so that the next one
who asks sees it too. The answer names fields, receivers and ids, and holds no value of any field.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.clock import moment
from gateway.ledger.journal import Entry
from gateway.ledger.port import Disclosed, Involved
from gateway.message import Disclosure, MessageId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.persons import passport_indices
from gateway.policies.reveal import receiver
from gateway.states import State

#: Whoever asks learns which messages there are about a person: that is noted as given to him.
_OPERATION: Final = "disclosures"
_PURPOSE: Final = "Telling who was given what of a person"
_LEASED: Final = frozenset({State.CARRIED, State.INQUIRING})
#: A call whose end is not known: what stands in its intent may have been given.
_OPEN: Final = _LEASED | {State.UNCERTAIN, State.UNDER_REVIEW}


@dataclass(frozen=True, slots=True)
class Person:
    """A passport, as it was typed."""

    passport: str
    issuing_state: str


async def disclosures(person: Person, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """Everything that was given, in order, and the messages about the person. Noted before it is answered."""
    indices = await passport_indices(person.passport, person.issuing_state, engine)
    involved = await engine.ledger.about(indices)
    found = await engine.ledger.disclosures(indices)
    await note_question(_OPERATION, involved, operator, reason, engine)
    return {
        "messages": [_message(one) for one in involved],
        "disclosures": [_told(one, involved) for one in found],
        # Steps being carried at this moment: they are noted once they have ended.
        "under_way": [one.id for one in involved if one.state in _LEASED],
    }


async def note_question(
    action: str, involved: Sequence[Involved], operator: str, reason: str, engine: Engine
) -> None:
    """That somebody asked about a person: once by each message found, or once of nobody."""
    why = engine.vault.note(reason)
    given = Disclosure(receiver(operator), _OPERATION, (), _PURPOSE, engine.settings.confidentiality.version)
    detail = {"found": len(involved)}
    ids: list[MessageId | None] = [*(one.id for one in involved)] or [None]
    entries = [
        Entry(engine.now(), action, operator, id, detail=detail, commitment=why.commitment, note=why.sealed)
        for id in ids
    ]
    await asyncio.gather(*(engine.ledger.note(entry, disclosed=[given]) for entry in entries))
    log.info("operator", action=action, operator=operator)
    engine.metrics.operator_actions.labels(action).inc()


def _message(one: Involved) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "party": one.party,
        "batch_id": one.batch_id,
        "line": one.line,
        "state": one.state.value,
    }


def _told(found: Disclosed, involved: Sequence[Involved]) -> dict[str, Any]:
    entry, given = found.entry, found.disclosure
    about = next((one for one in involved if one.id == entry.message_id), None)
    return {
        "at": moment(entry.at).isoformat(timespec="milliseconds"),
        "receiver": given.receiver if given else None,
        "operation": given.operation if given else None,
        "fields": list(given.fields) if given else None,
        "purpose": given.purpose if given else None,
        "rule": given.rule if given else None,
        "certain": _certain(found, about),
        "action": entry.action,
        "actor": entry.actor,
        "message_id": entry.message_id,
        "batch_id": entry.batch_id or (about.batch_id if about else None),
        "lines": [one.line for one in involved if one.line is not None and one.in_entry(entry)],
    }


def _certain(found: Disclosed, about: Involved | None) -> bool:
    """Not where a worker died in the middle, nor of a call that is open: it is noted before it is sent."""
    if found.disclosure is None:
        return False
    if found.entry.action != "intent" or about is None:
        return True
    return not (about.state in _OPEN and about.open_step == found.disclosure.operation)
