"""What is known of one kind of message beside its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from schemas.kinds.record import Record
from schemas.violation import Violation

PartyKind = Literal["service_center", "ministry", "committee", "system"]

#: A message's fields as the rules see them. What is there and not well-formed is None; absent is absent.
Fields = Mapping[str, Any]

CENTER: Final = frozenset[PartyKind]({"service_center"})
MINISTRY: Final = frozenset[PartyKind]({"ministry"})
COMMITTEE: Final = frozenset[PartyKind]({"committee"})
SYSTEM: Final = frozenset[PartyKind]({"system"})
#: Only the gateway sends it.
NOBODY: Final = frozenset[PartyKind]()


@dataclass(frozen=True, slots=True)
class Rule:
    """What the fields of a message must mean together."""

    #: What it can find.
    codes: tuple[str, ...]
    #: In words, for the documentation.
    says: str
    find: Callable[[Fields], Iterator[Violation]]


@dataclass(frozen=True, slots=True, eq=False)
class KindSchema:
    """One kind of message."""

    #: `package.submission`: on the wire, in routes and in metrics.
    kind: str
    model: type[Record]
    title_en: str
    title_ar: str
    #: What it says and what follows from it.
    summary_en: str
    #: Dotted names of the fields that tell one message of this kind from another. One sender's second
    #: message with the same values there is a repetition, and must say the same.
    key: tuple[str, ...]
    #: Kinds of parties that may send it.
    senders: frozenset[PartyKind]
    #: Kinds of parties that are told of it: all of it, some fields, or a message that follows from it.
    receivers: frozenset[PartyKind]
    #: Who is told, in words.
    goes_to: str
    #: A valid body.
    example: Mapping[str, Any]
    rules: tuple[Rule, ...] = field(default=())
    #: Of the body's form. A field that is taken away or gets another meaning makes a new one.
    version: int = 1
    #: What is told of it, where the gateway adds fields of its own; else `model`.
    published: type[Record] | None = None

    @property
    def outgoing(self) -> bool:
        """Whether only the gateway sends it."""
        return not self.senders
