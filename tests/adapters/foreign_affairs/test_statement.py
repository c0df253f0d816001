"""Foreign Affairs' list of a day's visas: both forms say the same, and anything else is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from adapters.foreign_affairs import visa_statement
from adapters.foreign_affairs.statement import read_statement
from adapters.foreign_affairs.visa_register import VisaRegister
from gateway.errors import Refused

NOON = datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
LATE = datetime(2026, 7, 1, 22, 0, tzinfo=UTC)
DAY = date(2026, 7, 1)
HEAD = "# date: 2026-07-01\n# until: 2026-07-02T00:10:00+03:00\n"


def register() -> VisaRegister:
    """Two visas of the day, one of them cancelled, and one of the next day in Riyadh."""
    made = VisaRegister()
    dates = {"valid_from": "2026-07-01", "valid_until": "2026-08-01", "stay_until": "2026-07-20"}
    made.issue("a/visa_issuance", "IDNA1234567", **dates, at=NOON.isoformat())
    made.cancel(made.issue("b/visa_issuance", "TURU7654321", **dates, at=NOON.isoformat()))
    made.issue("c/visa_issuance", "EGYE1111111", **dates, at=LATE.isoformat())
    return made


def test_both_forms_say_the_same() -> None:
    as_csv = read_statement(visa_statement.as_csv(DAY, LATE, register()).encode())
    as_xml = read_statement(visa_statement.as_xml(DAY, LATE, register()).encode())
    assert as_csv == as_xml
    assert (as_csv.day, as_csv.until) == (DAY, LATE)


def test_a_day_is_one_in_riyadh() -> None:
    read = read_statement(visa_statement.as_csv(DAY, LATE, register()).encode())
    assert [(row.request_reference, row.status) for row in read.rows] == [
        ("a/visa_issuance", "issued"),
        ("b/visa_issuance", "cancelled"),
    ]
    assert (read.rows[0].issuing_state, read.rows[0].passport_number) == ("IDN", "A1234567")


def test_a_list_may_name_no_persons_and_have_columns_of_its_own() -> None:
    text = f"{HEAD}request_reference,status,visa_number,fee\na/b,issued,6000000001,9\n"
    (row,) = read_statement(b"\xef\xbb\xbf" + text.encode()).rows
    assert (row.visa_number, row.passport_number) == ("6000000001", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "request_reference,status,visa_number\na/b,issued,6000000001\n",
        "# date: 2026-07-01\n# until: 2026-07-02T00:10:00\nrequest_reference,status,visa_number\n",
        f"{HEAD}request_reference,status,visa_number\na/b,perhaps,6\n",
        f"{HEAD}request_reference,status,visa_number\na b,issued,6\n",
        f"{HEAD}reference,status\na/b,issued\n",
        f"{HEAD}request_reference,status,visa_number\na/b,issued\n",
        '<Statement date="2026-07-01" until="2026-07-02T00:10:00Z"><Visa status="issued"/></Statement>',
        '<!DOCTYPE a><Statement date="2026-07-01" until="2026-07-02T00:10:00Z"/>',
        "<Other/>",
        "<Statement",
        "\xff",
    ],
)
def test_what_is_no_list_is_refused_whole(text: str) -> None:
    with pytest.raises(Refused):
        read_statement(text.encode("latin-1"))
