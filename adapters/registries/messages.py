"""The registries' contracts: what each is asked, and what it may answer.

Dates are texts `YYYY-MM-DD` that are a day; amounts are decimal texts.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.rest import Message
from gateway.rest.service import ErrorCode
from schemas.shapes import Shape


def _is_a_day(text: str) -> str:
    date.fromisoformat(text)
    return text


Date = Annotated[str, Shape("[12]", "[0-9]{3}", "-", "[0-9]{2}", "-", "[0-9]{2}"), AfterValidator(_is_a_day)]
Registration = Annotated[str, Shape("[A-Za-z0-9]", "[A-Za-z0-9._-]{0,39}")]
Country = Annotated[str, Shape("[A-Z]{3}")]
Currency = Annotated[str, Shape("[A-Z]{3}")]
#: At most twelve digits before the point and three after it.
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?$", max_length=16)]
IataNumber = Annotated[str, Shape("[0-9]{7,8}")]
AccountText = Annotated[str, Shape("[A-Za-z0-9]", "[A-Za-z0-9._/-]{0,63}")]
Season = Annotated[int, Field(ge=1343, le=1500)]


class LicenseeQuestion(Message):
    """How does this licensee stand, for this season?"""

    licensee_id: Registration
    season: Season


class LicenseeStanding(Message):
    """`valid_until`: the last day for which it holds. `code`: with BLOCK, why."""

    standing: Literal["CLEAR", "BLOCK"]
    valid_until: Date | None = None
    code: ErrorCode | None = None


class MembershipQuestion(Message):
    """Is an agent of this number accredited in this country?"""

    iata_number: IataNumber
    country: Country


class Membership(Message):
    """Only a MEMBER may be an external agent."""

    status: Literal["MEMBER", "SUSPENDED", "NOT_MEMBER"]
    valid_until: Date | None = None


class AccountQuestion(Message):
    """Has the agent this account, at a bank that is approved?"""

    agent_id: Registration
    bank_code: AccountText
    account: AccountText


class Account(Message):
    """NOT_APPROVED: no such account, or at a bank that is not approved."""

    status: Literal["APPROVED", "NOT_APPROVED"]


class GuaranteeQuestion(Message):
    """Is there this guarantee for them, of at least this amount, until at least this day?"""

    licensee_id: Registration
    agent_id: Registration
    number: AccountText
    amount: Amount
    currency: Currency
    expiry_date: Date


class Guarantee(Message):
    """INSUFFICIENT: it is there, for less. EXPIRED: it is there, and ends earlier. `valid_until`: its end."""

    status: Literal["HELD", "INSUFFICIENT", "EXPIRED", "NOT_FOUND"]
    valid_until: Date | None = None
