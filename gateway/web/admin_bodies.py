"""The bodies of requests to the admin listener."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.application import Date
from schemas.shapes import Shape

_PRINTABLE: Final = r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"

Reason = Annotated[str, Shape(_PRINTABLE + "{1,200}")]
Word = Annotated[str, Shape("[A-Za-z0-9._-]{1,64}")]
#: A dotted path.
FieldName = Annotated[str, Shape("[a-z0-9_.]{1,120}")]


class AdminBody(BaseModel):
    """Nothing unknown, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Because(AdminBody):
    """Why something is done. Never a name or a passport number: it is kept in the audit log."""

    reason: Reason


class Decision(AdminBody):
    """How a review ends."""

    decision: Word
    visa_number: Word | None = None
    reason: Reason


class Wanted(AdminBody):
    """Which messages are meant. All given conditions hold together."""

    state: Word | None = None
    kind: Word | None = None
    party: Word | None = None
    batch_id: Word | None = None
    #: Not updated for so many seconds.
    older_than_s: Annotated[int, Field(ge=0, le=10**9)] | None = None


class Bulk(AdminBody):
    """One action on every message that fits."""

    filter: Wanted
    reason: Reason
    dry_run: bool = False


class Passport(AdminBody):
    """Whose messages are meant, in upper or lower case. Only its keyed digests are kept."""

    number: Annotated[str, Shape("[A-Za-z0-9<]{1,20}")]
    issuing_state: Annotated[str, Shape("[A-Za-z]{3}")]


class Reveal(AdminBody):
    """Why somebody has to see what a message says, and how much of it: all that is granted unless told."""

    reason: Reason
    fields: Annotated[list[FieldName], Field(min_length=1, max_length=100)] | None = None


class AboutPerson(AdminBody):
    """Of whom it is asked what others were given, and why."""

    passport: Passport
    reason: Reason


class EntriesAboutPerson(AboutPerson):
    """Entries of the journal about one person. Days are those of Riyadh, both included."""

    party: Word | None = None
    since: Annotated[Date | None, Field(alias="from")] = None
    until: Date | None = None


class Replay(AdminBody):
    """From which notification on a party is told again."""

    from_cursor: Annotated[str, Shape("[0-9]{1,18}")]
    reason: Reason


class BusinessDate(AdminBody):
    """The business date that a demonstration goes on to."""

    date: Date
