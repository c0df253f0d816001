"""What travels through the gateway: identities, the envelope, and what a call can come back with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NewType, Protocol

import uuid_utils
from msgspec import Struct, field

MessageId = NewType("MessageId", str)
BatchId = NewType("BatchId", str)
PartyId = NewType("PartyId", str)

#: Microseconds since 1970-01-01T00:00:00Z: every time in the ledger.
Micros = NewType("Micros", int)

#: A canonical message body: nested dicts of JSON values, already validated.
Body = Mapping[str, Any]


def new_id() -> str:
    """A UUIDv7 (RFC 9562): unique, and ordered by the time it was made."""
    return str(uuid_utils.uuid7())


class BatchFacts(Struct, frozen=True):
    """What a batch says of all its lines."""

    batch_reference: str
    licensee: str
    agent: str
    mission: str
    season: int
    package: str | None = None
    group_number: str | None = None


class Readable(Protocol):
    """Values by name. A name that is not there raises `KeyError`."""

    def __getitem__(self, name: str, /) -> Any: ...


class CallContext(Struct, frozen=True):
    """What a converter may know beside the projection: identities of this call, and what is granted.

    The need-to-know lists govern it as they do the projection: what its destination was not granted does not
    stand in it.
    """

    message_id: MessageId
    #: Fixed for a message and operation, the same in every repetition and inquiry.
    request_reference: str
    #: For whom the call is made: licensee, agent and season, each where it is granted, else blank. Nothing
    #: else stands in it: a converter takes the other facts (`batch.mission_id`) from the projection.
    batch: BatchFacts
    #: The partner's own reference from its deferred answer to this operation, for a follow-up call: it goes
    #: back to where it came from.
    partner_reference: str | None = None
    #: Results of earlier steps, by step name: of each, what is granted (`earlier.STEP.FIELD`).
    earlier: Mapping[str, Readable] = field(default_factory=dict)


# --- what a partner's trustworthy answer means -------------------------------------------------


class Answered(Struct, frozen=True):
    """The partner did what was asked (or answered what was asked). `result` holds canonical values only."""

    result: Mapping[str, Any]


class Declined(Struct, frozen=True):
    """A business refusal: a normal answer, final."""

    #: The partner's own code, for operators. Class secret for a clearance.
    code: str
    #: The code in `schemas/error_codes.yaml` that the service center is shown.
    public_code: str


class Deferred(Struct, frozen=True):
    """Not now: the partner answers later (`reference` given: ask with it) or has no room yet."""

    #: `answer_pending` or `mission_capacity`, shown to the center as the reason for waiting.
    reason: str
    reference: str | None = None


class Contested(Struct, frozen=True):
    """An answer that only a person can interpret, such as ALREADY_ISSUED under another reference."""

    code: str


class Absent(Struct, frozen=True):
    """An inquiry's answer: the partner knows of no such request."""


class StillProcessing(Struct, frozen=True):
    """An inquiry's answer: the partner has the request and has not decided yet."""


class NotDone(Struct, frozen=True):
    """The call provably had no effect (`errors.Unavailable`)."""

    code: str


class Unknown(Struct, frozen=True):
    """The call may have had its effect (`errors.Uncertain`)."""

    code: str
    #: A whole reply was read, so nothing of the request is on its way any more.
    answered: bool = False


#: What an exchange's `reply` may return.
Verdict = Answered | Declined | Deferred | Contested | Absent | StillProcessing
#: What one attempt ends in, as the pipeline sees it.
AttemptEnd = Verdict | NotDone | Unknown


class FieldNotGranted(KeyError):
    """A converter reached for a field that the need-to-know list does not grant."""


class Projection(Struct, frozen=True, eq=False):
    """The part of a message that one destination may see in one operation.

    Holds nothing but granted fields, by dotted path (`passport.number`). A granted field that the
    message does not carry reads as None; any other path raises `FieldNotGranted`.
    """

    fields: Mapping[str, Any]
    #: The paths that a converter read: what it did not read, it can't have passed on.
    taken: set[str] = field(default_factory=set)

    def __getitem__(self, path: str) -> Any:
        try:
            value = self.fields[path]
        except KeyError:
            raise FieldNotGranted(path) from None
        self.taken.add(path)
        return value


class Disclosure(Struct, frozen=True):
    """Who was given which fields, what for, and by which version of the need-to-know lists."""

    receiver: str
    #: Of a partner; a kind of event; `results` of a batch; `reveal` to an operator.
    operation: str
    #: Only those that had a value.
    fields: tuple[str, ...]
    purpose: str
    rule: str


#: Pure: projection and context to the values of a request, in the shape of the WSDL's element.
RequestConverter = Callable[[Projection, CallContext], Mapping[str, Any]]
#: Pure: the reply's values (already schema-checked and correlated) to a verdict.
ReplyConverter = Callable[[Mapping[str, Any], CallContext], Verdict]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and reply with a partner."""

    #: The operation's name in the partner's WSDL, such as `IssueVisa`.
    action: str
    request: RequestConverter
    reply: ReplyConverter


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """What the gateway can ask of a partner: one step of an itinerary. There is one object of each."""

    #: `interior.security_clearance`: the name used in routes, need-to-know lists and metrics.
    name: str
    #: The key in `config/destinations.yaml`.
    destination: str
    #: True when doing it twice does no harm. False: an intent is committed before it is sent.
    repeatable: bool
    #: Every path that the converters read, of the body and of its batch (`batch.mission_id`). The start fails
    #: unless all are granted.
    needs: frozenset[str]
    call: Exchange
    #: Asked in place of `call` once a deferred answer gave a reference.
    follow_up: Exchange | None = None
    #: What became of the call? Required when not repeatable; a partner without one leads to review.
    inquiry: Exchange | None = None
    #: How long a result stays good, in seconds; None: for ever.
    result_valid_s: int | None = None
    #: The answer is of class secret: in clear it is only recorded that there was one.
    secret: bool = False
    #: Every path of the context that is read, which must be granted too: by the header block of the call
    #: (`batch.licensee_id`), and by the converters of what earlier steps came to (`earlier.STEP.FIELD`).
    context_needs: frozenset[str] = frozenset()
