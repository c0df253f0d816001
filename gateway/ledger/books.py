"""The books: what one transaction sees of the ledger's records, quotas, visas and outbox.

A flow (`gateway.flows`) is handed the books inside the transaction that records its message, or that settles
it, so that a message and everything it leads to become true together. The methods are plain calls: they run
on the ledger's own thread, must not block, and may run again when the transaction is repeated. A flow that
refuses (raises `errors.Refused`) does so before it writes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from gateway.ledger.records import NewMessage
from gateway.message import BatchFacts, Disclosure, MessageId, Micros, PartyId

# --- reference records ------------------------------------------------------------------------------------


class Record(Struct, frozen=True):
    """A licensee, service_center, agent, contract, package, plan, control set, mission … as it stood.

    Every version is kept. `facts` are clear text in the database: codes, ids, dates, statuses; nothing of a
    person and no number of an account.
    """

    kind: str
    id: str
    #: Counts every version of every record: the state of all of them at one moment is one number.
    seq: int
    #: The sender's own version or revision; the configuration file's for an initial record.
    version: str
    facts: Mapping[str, Any]
    #: Whose it is, for `Books.records`: usually a licensee's id.
    owner: str = ""
    #: The message that made it; None for an initial record.
    message_id: str | None = None


# --- quotas -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Quota:
    """A ceiling: `control` is plan or mission_capacity, `scope` says for whom and when."""

    control: str
    scope: str

    @property
    def name(self) -> str:
        """What a message that waits for a place waits for."""
        return f"{self.control}:{self.scope}"


class QuotaState(Struct, frozen=True):
    """How a quota stands."""

    quota: Quota
    ceiling: int
    taken: int

    @property
    def free(self) -> int:
        return max(0, self.ceiling - self.taken)


# --- visas ------------------------------------------------------------------------------------------------


class Presence(StrEnum):
    """Where the holder of an issued visa is."""

    ISSUED = "issued"
    INSIDE = "inside"
    OVERSTAYED = "overstayed"
    DEPARTED = "departed"
    CANCELLED = "cancelled"


class Visa(Struct, frozen=True):
    """An issued visa, found again by the blind index of its number."""

    index: bytes
    message_id: MessageId
    party: PartyId
    facts: BatchFacts
    country: str
    due_on: date
    presence: Presence = Presence.ISSUED
    arrived_on: date | None = None
    departed_on: date | None = None
    #: How often an overstay of this visa was given notice of.
    notices: int = 0


#: The code of an application whose person has such a visa.
FORGOTTEN = "visa_forgotten"


class ForgottenVisa(Struct, frozen=True):
    """A visa that a partner issued on our request, of which a restored ledger knows nothing."""

    #: Of the person's passport, in no season.
    person_index: bytes
    #: As `Visa.index`.
    number_index: bytes
    destination: str
    request_reference: str


class Movement(Struct, frozen=True):
    """An arrival or a departure, also of a visa that is not known (yet)."""

    message_id: MessageId
    visa_index: bytes
    #: `arrival` or `departure`.
    direction: str
    #: The instant, and the day that it was in Riyadh.
    at: Micros
    on: date
    matched: bool = False


# --- outbox -----------------------------------------------------------------------------------------------


class Event(Struct, frozen=True):
    """What is meant for one party. `sealed` is already reduced to what that party may have."""

    id: str
    receiver: PartyId
    kind: str
    subject: str
    classification: str
    data_key: bytes
    sealed: bytes
    disclosed: Disclosure
    message_id: str | None = None
    correlation_id: str | None = None


class Books(Protocol):
    """See the module's docstring for what holds of every method."""

    #: System time of the transaction.
    now: Micros
    #: The business date.
    today: date

    # reference records
    def record(self, kind: str, id: str) -> Record | None:
        """The version in force."""

    def records(self, kind: str, *, owner: str | None = None) -> Sequence[Record]:
        """The versions in force of all that belong to `owner` (None: of all there are), by id."""

    def put(
        self,
        kind: str,
        id: str,
        facts: Mapping[str, Any],
        *,
        version: str,
        owner: str = "",
        message_id: str | None = None,
    ) -> Record:
        """A new version. Messages that the gate holds are looked at again."""

    # quotas
    def quota(self, quota: Quota) -> QuotaState | None: ...

    def set_ceiling(self, quota: Quota, ceiling: int) -> None:
        """Publish or change a ceiling. As many as fit now of those that wait for a place go on."""

    def reserve(self, message_id: MessageId, quotas: Sequence[Quota]) -> Quota | None:
        """Take one place of each, once a message; or none, and the first that is full is returned.

        A quota without a ceiling is full.
        """

    def count_in(self, message_id: MessageId, quotas: Sequence[Quota]) -> None:
        """Take the places of a visa that exists, full or not; nothing, if this message has places."""

    def waiting_for(self, name: str) -> int:
        """How many messages wait for this quota."""

    def wake(self, waits_for: str, most: int) -> None:
        """Messages that wait for this are due now, the oldest `most` of them."""

    # visas and movements
    def visa(self, index: bytes) -> Visa | None: ...

    def put_visa(self, visa: Visa) -> bool:
        """Insert, or replace what was known of it. False, and nothing is written: it is another message's."""

    def visa_of(self, message_id: MessageId) -> Visa | None:
        """The visa of an application."""

    def forgotten_visas(self, person_index: bytes) -> Sequence[ForgottenVisa]:
        """Those that were found in a partner's list and are still unknown to the books."""

    def let_forgotten_go(self, person_index: bytes) -> None:
        """Two operators decided that this person may get another one."""

    def remember_forgotten(self, visa: ForgottenVisa) -> None:
        """It was found in a partner's list. Safe to call again."""

    def overdue(
        self, before: date, *, notices: int, limit: int, after: tuple[date, bytes] | None = None
    ) -> Sequence[Visa]:
        """Visas whose holders are inside, due before that day, with fewer than `notices` notices.

        By due day and index; those that follow `after`, which is where the page before this one ended.
        """

    def presences(
        self,
        *,
        season: int,
        licensee: str | None = None,
        agent: str | None = None,
        presence: Presence | None = None,
    ) -> Mapping[Presence, int]:
        """How many visas of a season stand in each presence, or in this one."""

    def overstaying(self) -> Sequence[tuple[int, str, str]]:
        """Season, licensee and agent of all who stay too long now, each once."""

    def note_movement(self, movement: Movement) -> None:
        """Keep it: matched, or parked until its visa is known."""

    def movements(self, index: bytes) -> Sequence[Movement]:
        """All movements of a visa, parked ones too, in the order in which they happened."""

    def parked_movements(self, index: bytes) -> Sequence[Movement]:
        """Those that were parked, in the order in which they happened."""

    def match_movement(self, message_id: MessageId) -> None:
        """The visa of a parked movement is known now."""

    # messages and what is meant for parties
    def add(self, message: NewMessage) -> MessageId | None:
        """A further message, to be carried; None when one of that party and key is known already."""

    def tell(self, event: Event) -> None:
        """Put into the outbox, in order."""

    def release_person(self, message_id: MessageId) -> None:
        """The person of this application may apply again. Safe to call again."""

    def message(self, message_id: MessageId) -> Any:
        """A message's row (`records.MessageRow`), or None."""
