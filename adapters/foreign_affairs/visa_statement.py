"""The stand-in's list of what it issued on a day, as the real system hands one out for comparing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from typing import Final
from xml.sax.saxutils import quoteattr
from zoneinfo import ZoneInfo

from adapters.foreign_affairs.visa_register import IssuedVisa, VisaRegister

_RIYADH: Final = ZoneInfo("Asia/Riyadh")
_COLUMNS: Final = ("request_reference", "status", "visa_number", "issuing_state", "passport_number", "at")
#: Letters of the issuing state, which stand before the number in the register.
_STATE: Final = 3


def as_csv(day: date, now: datetime, register: VisaRegister) -> str:
    """Two comment lines, a header, a row a visa."""
    out = io.StringIO()
    out.write(f"# date: {day.isoformat()}\n# until: {now.isoformat()}\n")
    csv.writer(out, lineterminator="\n").writerows((_COLUMNS, *_rows(day, register)))
    return out.getvalue()


def as_xml(day: date, now: datetime, register: VisaRegister) -> str:
    """An element a visa, its attributes named as the columns."""
    visas = (
        "  <Visa "
        + " ".join(f"{name}={quoteattr(value)}" for name, value in zip(_COLUMNS, row, strict=True))
        + "/>\n"
        for row in _rows(day, register)
    )
    return f'<Statement date="{day.isoformat()}" until="{now.isoformat()}">\n{"".join(visas)}</Statement>\n'


def _rows(day: date, register: VisaRegister) -> Iterator[tuple[str, ...]]:
    for visa in register.issued():
        if visa.at and datetime.fromisoformat(visa.at).astimezone(_RIYADH).date() == day:
            yield _row(visa, register)


def _row(visa: IssuedVisa, register: VisaRegister) -> tuple[str, ...]:
    status = "cancelled" if register.is_cancelled(visa) else "issued"
    return visa.reference, status, visa.number, visa.person[:_STATE], visa.person[_STATE:], visa.at
