"""Telephone numbers."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.phones import is_phone


def _examples() -> list[str]:
    numbers = (phonenumbers.example_number(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS))
    return [phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.E164) for n in numbers if n]


@pytest.mark.parametrize("number", ["+966501234567", "+6281234567890", "+201001234567", "+390612345678"])
def test_numbers_of_many_plans_are_taken(number: str) -> None:
    assert is_phone(number)


def test_an_example_of_every_numbering_plan_is_taken() -> None:
    assert [number for number in _examples() if not is_phone(number)] == []


@pytest.mark.parametrize(
    "number",
    [
        "966501234567",
        "00966501234567",
        "+966 501234567",
        "+9660501234567",
        "+96650123456",
        "+9665012345678",
        "+999123456789",
        "+٩٦٦٥٠١٢٣٤٥٦٧",
        "+966501234567\n",
        "+",
        "+1",
        "",
    ],
)
def test_what_is_not_e164_or_fits_no_plan_is_refused(number: str) -> None:
    assert not is_phone(number)


_REGION_PREFIXES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@given(st.sampled_from(_REGION_PREFIXES), st.text("0123456789", min_size=4, max_size=11))
def test_whatever_is_taken_is_valid_to_the_library_as_well(code: int, national: str) -> None:
    number = f"+{code}{national}"
    if is_phone(number):
        parsed = phonenumbers.parse(number)
        assert phonenumbers.is_possible_number(parsed)
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number
