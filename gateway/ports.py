"""What the engine needs from outside itself. Adapters and the command line fill these in.

The ledger's port is `gateway.ledger.port`; those here are the edges towards parties and partners.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from msgspec import Struct

from gateway.message import CallContext, MessageId, Micros, PartyId
from schemas.violation import Violation


class Clock(Protocol):
    """Time as the gateway sees it. All of it is safe from any thread."""

    def now(self) -> datetime:
        """System time, aware UTC: leases, tokens, retries. Never accelerated."""

    def now_us(self) -> Micros:
        """The same in microseconds, as the ledger keeps it. Asked several times for each message."""

    def today(self) -> date:
        """Business date in Riyadh: rules about dates and windows. May be accelerated."""

    def business_now(self) -> datetime:
        """The instant within `today`, aware: `now` unless the business date was set. For due moments."""

    def boottime_s(self) -> float:
        """Seconds that also pass while the machine or process is frozen; for send deadlines."""


# --- intake: bytes of a party into lines ---------------------------------------------------------


class ReadHeader(Struct, frozen=True):
    """The batch's own fields, as given. Comes before the first line, once."""

    fields: Mapping[str, Any]


class ReadLine(Struct, frozen=True):
    """One application as read. Either `fields`, or the `violation` that kept it from being read."""

    #: Counts applications from 1, in every format.
    line: int
    fields: Mapping[str, Any] | None
    violation: Violation | None = None
    #: Place in the file, for people: 1-based row (NDJSON, CSV, XML), else None.
    row: int | None = None


ReadItem = ReadHeader | ReadLine


class BatchParser(Protocol):
    """Turns one body into a header and lines while it arrives. Not thread-safe; one a body.

    Both methods raise `errors.Refused` when the body as a whole can't be read (not UTF-8, a doctype, a
    broken frame); a fault of one line is a `ReadLine` with a violation, and the next line goes on.
    """

    def feed(self, data: bytes) -> Iterator[ReadItem]:
        """Take more decoded bytes and yield what is complete. Lazily: the caller may pause in between."""

    def close(self) -> Iterator[ReadItem]:
        """The body has ended. Yields the rest; raises `Refused` if it ended too early."""


class BatchReader(Protocol):
    """A format in which batches come in."""

    media_types: tuple[str, ...]

    def open(self, *, max_line_bytes: int, max_lines: int) -> BatchParser:
        """A parser for one new body."""


# --- results: what a party gets back --------------------------------------------------------------


class ResultWriter(Protocol):
    """A format in which results go out."""

    media_type: str

    def head(self, batch: Mapping[str, Any]) -> bytes:
        """What precedes the first line. `batch` is the JSON of the batch's status."""

    def line(self, result: Mapping[str, Any]) -> bytes:
        """One result, already reduced to what the center may see."""

    def tail(self) -> bytes:
        """What follows the last line."""


# --- partners ---------------------------------------------------------------------------------------


class PreparedRequest(Struct, frozen=True):
    """A request ready for the wire: made and schema-checked before any intent is committed."""

    action: str
    body: bytes
    #: The id that the reply must carry back.
    correlation_id: str


class Partner(Protocol):
    """One destination: prepares requests and makes one attempt. Safe for concurrent use in one loop."""

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> PreparedRequest:
        """Serialise and check against the schema. Pure but for ids.

        Raises `errors.Refused` (`conversion_failed`) when the values don't fit the partner's contract.
        """

    async def send(self, request: PreparedRequest, *, send_by_boottime_s: float) -> Mapping[str, Any]:
        """One attempt within the destination's total deadline; the reply's values, fully checked.

        Refuses to send after `send_by_boottime_s` (read again just before the bytes leave).
        Raises `errors.Unavailable` when provably not done and `errors.Uncertain` otherwise.
        """

    async def close(self) -> None:
        """Give back connections."""


# --- wake-up ------------------------------------------------------------------------------------------


class WorkHints(Protocol):
    """Tells workers that something may be due. Losing a hint costs latency, never a message."""

    def notify(self, count: int = 1, ids: Sequence[str] = ()) -> None:
        """So many became ready, perhaps these. Safe to call too often, from the event loop only."""

    async def wait(self, timeout_s: float) -> None:
        """Return at the next hint or after `timeout_s`, whichever is first."""


BodyStream = AsyncIterator[bytes]
Lines = Iterable[ReadItem]


# --- messages that partners send us --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InboundOperation:
    """One operation of a service that we offer to a partner system."""

    #: Of the message that it becomes, such as `movement.arrival`.
    kind: str
    #: The operation's name in the WSDL.
    action: str
    #: The service's name, and the last part of its path: `movements` is served at `/soap/movements`.
    service: str
    #: The only party that may call it.
    sender: str
    #: Pure: the values of the WSDL's element, valid by its schema, to the canonical body.
    convert: Callable[[Mapping[str, Any]], dict[str, Any]]
    #: Dotted paths of the body that together name the message: its idempotency key.
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message is recorded: now, or, for a `duplicate`, when it first came."""

    message_id: MessageId
    received_at: datetime
    duplicate: bool


class Take(Protocol):
    """Takes in one message of a party whose identity is proven."""

    async def __call__(self, party_id: PartyId, kind: str, body: Mapping[str, Any], key: str) -> Taken:
        """Return once the message is durably recorded.

        Raises `errors.Refused` or `errors.Conflict` when it will never be taken as it is,
        `errors.Conflict` with `retry_after_s` or `errors.Unavailable` when it may be later.
        """


# --- partners' own lists -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StatementRow:
    """What a partner says that it did on one of our requests."""

    request_reference: str
    #: `issued`, or `cancelled` for what was issued and taken back.
    status: str
    visa_number: str
    #: Of the passport; empty in a list that names no persons.
    passport_number: str = ""
    issuing_state: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A partner's list of what it did on one day."""

    day: date
    #: When it was made: what was done later that day is missing.
    until: datetime
    rows: Sequence[StatementRow]


#: Reads a partner's list. Raises `errors.Refused` (`statement_unusable`) for anything else.
StatementReader = Callable[[bytes], Statement]
