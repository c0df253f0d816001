"""What a flow works with: the books of its transaction, and the means to tell parties and send on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from gateway.flows.subjects import visas_named
from gateway.ledger.books import Books, Event, Record
from gateway.ledger.records import NewMessage
from gateway.ledger.vault import Place, Vault
from gateway.message import BatchFacts, Body, MessageId, PartyId, new_id
from gateway.policies.confidentiality import NeedToKnow
from gateway.policies.urgency import lane_of
from gateway.states import Outcome, State

#: The sender of messages that the gateway makes itself.
GATEWAY = PartyId("gateway")


class Office(Struct, frozen=True):
    """What is the same for every message under one configuration."""

    vault: Vault
    need_to_know: NeedToKnow
    #: Kind of party by party id.
    parties: Mapping[PartyId, str]
    #: Of everything that decides, for the record.
    versions: str

    def subscribers(self, kind: str) -> list[PartyId]:
        """Departments, the committee and systems that are told of such events without being addressed."""
        return [party for party in self.parties if self.need_to_know.receives(party, kind)]


class Subject(Struct, frozen=True):
    """The message that a flow is about."""

    #: Empty for what no message leads to, such as a new business day.
    id: MessageId
    kind: str
    party: PartyId


class Desk(Struct, frozen=True):
    """One flow at work in one transaction."""

    office: Office
    books: Books
    subject: Subject

    def fact(self, kind: str, id: str) -> Mapping[str, Any] | None:
        """The facts of the record in force."""
        record = self.books.record(kind, id)
        return None if record is None else record.facts

    def put(
        self, kind: str, id: str, facts: Mapping[str, Any], *, version: object, owner: str = ""
    ) -> Record:
        """A new version of a record, made by this message."""
        return self.books.put(
            kind, id, facts, version=str(version), owner=owner, message_id=self.subject.id or None
        )

    def publish(
        self,
        kind: str,
        body: Body,
        *,
        about: str,
        to: Iterable[PartyId] = (),
        without: Iterable[PartyId] = (),
    ) -> list[PartyId]:
        """Tell the subscribers of this kind of event, and those addressed, what each may know of it.

        `about` names the subject (an id). Returns who was told: an addressed party without a grant is not.
        """
        spared = set(without)
        receivers = dict.fromkeys((*self.office.subscribers(kind), *to))
        return [party for party in receivers if party not in spared and self._tell(party, kind, body, about)]

    def _tell(self, receiver: PartyId, kind: str, body: Body, about: str) -> bool:
        office = self.office
        sort = office.parties.get(receiver, "")
        shown = office.need_to_know.event(receiver, sort, kind, body)
        grade = office.need_to_know.event_class(receiver, sort, kind)
        if shown is None or grade is None:
            return False
        id = new_id()
        key = office.vault.new_data_key(id, kind)
        self.books.tell(
            Event(
                id=id,
                receiver=receiver,
                kind=kind,
                subject=about,
                classification=grade.value,
                data_key=key.wrapped,
                sealed=office.vault.seal(key, shown, place=event_place(receiver, id)),
                disclosed=office.need_to_know.event_disclosure(receiver, sort, kind, shown),
                message_id=self.subject.id or None,
                correlation_id=self.subject.id or None,
            )
        )
        return True

    def send_on(
        self, kind: str, body: Body, *, key: str, facts: BatchFacts, carried: bool = True
    ) -> MessageId | None:
        """A message of the gateway's own, carried by its itinerary. None when it was made before.

        Not `carried`: it is only kept, and what is published of it names it.
        """
        id = MessageId(new_id())
        data_key = self.office.vault.new_data_key(id, kind)
        sealed = self.office.vault.seal(data_key, body, place=Place(GATEWAY, id, "payload", 1))
        return self.books.add(
            NewMessage(
                id=id,
                kind=kind,
                party=GATEWAY,
                facts=facts,
                reference="",
                lane=lane_of(facts.licensee, kind, GATEWAY),
                state=State.READY if carried else State.COMPLETED,
                outcome=None if carried else Outcome.DONE,
                received_at=self.books.now,
                data_key=data_key.wrapped,
                sealed_payload=sealed,
                versions=self.office.versions,
                idempotency_key=f"{kind}/{key}",
                next_at=self.books.now if carried else None,
                visas_named=visas_named(body, self.office.vault),
            )
        )

    def centers_of(self, licensee: str) -> list[PartyId]:
        """The service centers that serve a licensee."""
        record = self.books.record("serving", licensee)
        return [] if record is None else [PartyId(center) for center in record.facts["centers"]]


def event_place(receiver: str, event_id: str) -> Place:
    """Where an event's data is sealed."""
    return Place(receiver, event_id, "event", 1)
