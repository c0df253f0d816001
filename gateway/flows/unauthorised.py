"""Phantom companies and trade in groups: what a center tried on a behalf that was not its to act on.

The attempt was refused and left nothing behind; that it was made is recorded here, and the ministry is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.clock import RIYADH, moment
from gateway.flows.desk import GATEWAY, Desk, Office, Subject
from gateway.ledger.books import Books
from gateway.ledger.records import NewMessage
from gateway.ledger.vault import Place
from gateway.message import BatchFacts, Body, MessageId, PartyId, new_id
from gateway.states import Outcome, State
from schemas.hijri import season

KIND: Final = "unauthorised_activity.reported"

#: Refusals that tell of somebody who is not who, or does not have what, they claim.
CODES: Final = frozenset(
    {
        "licensee_unknown",
        "licensee_inactive",
        "center_not_licensed",
        "agent_not_served",
        "agent_unknown",
        "agent_contract_invalid",
        "group_of_another_licensee",
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a center was refused, and why."""

    center: PartyId
    licensee: str
    agent: str
    group: str
    code: str


def report(attempt: Attempt, office: Office, books: Books) -> bool:
    """Record the attempt and tell the ministry, once a business day. False when it was told already."""
    id = MessageId(new_id())
    body = _body(id, attempt, books)
    if books.add(_message(id, body, attempt, office, books)) is None:
        return False
    Desk(office, books, Subject(id, KIND, GATEWAY)).publish(KIND, body, about=attempt.center)
    return True


def _body(id: MessageId, attempt: Attempt, books: Books) -> Body:
    named = {
        "licensee_id": attempt.licensee,
        "agent_id": attempt.agent,
        "group_number": attempt.group,
    }
    return {
        "event_id": id,
        "center_id": attempt.center,
        **{name: value for name, value in named.items() if value},
        "code": attempt.code,
        "at": moment(books.now).astimezone(RIYADH).isoformat(timespec="seconds"),
    }


def _message(id: MessageId, body: Body, attempt: Attempt, office: Office, books: Books) -> NewMessage:
    key = office.vault.new_data_key(id, KIND)
    facts = BatchFacts(
        batch_reference="",
        licensee=attempt.licensee,
        agent=attempt.agent,
        mission="",
        season=season(books.today),
        group_number=attempt.group or None,
    )
    return NewMessage(
        id=id,
        kind=KIND,
        party=GATEWAY,
        facts=facts,
        reference="",
        lane=KIND,
        state=State.COMPLETED,
        outcome=Outcome.DONE,
        code=attempt.code,
        received_at=books.now,
        data_key=key.wrapped,
        sealed_payload=office.vault.seal(key, body, place=Place(GATEWAY, id, "payload", 1)),
        versions=office.versions,
        idempotency_key=_key(attempt, books),
    )


def _key(attempt: Attempt, books: Books) -> str:
    """Ids hold no slash."""
    named = (attempt.center, attempt.licensee, attempt.agent, attempt.group, attempt.code)
    return "/".join((KIND, books.today.isoformat(), *named))
