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


def _told(code: int, national: str) -> bool:
    """What the library's own judgement is, for which the number is taken apart as its parser would."""
    zeros = len(national) - len(national.lstrip("0"))
    number = phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(national),
        italian_leading_zero=bool(zeros) or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
    return bool(phonenumbers.is_valid_number(number))


_PLANS = [
    (code, region) for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items() for region in regions
]
_SORTS = (*range(11), phonenumbers.PhoneNumberType.VOICEMAIL)


def _examples_of(code: int, region: str) -> list[str]:
    """National numbers of every sort that the plan has numbers for."""
    if region == "001":
        found = [phonenumbers.example_number_for_non_geo_entity(code)]
    else:
        found = [phonenumbers.example_number_for_type(region, sort) for sort in _SORTS]
    return sorted({phonenumbers.national_significant_number(number) for number in found if number})


@pytest.mark.parametrize(("code", "region"), _PLANS)
def test_a_plan_taken_out_of_the_library_judges_as_the_library_does(code: int, region: str) -> None:
    """Examples of each sort, and what comes of them by one digit more, less, or another one."""
    for national in _examples_of(code, region):
        others = {national, national + "0", national[:-1]}
        for place in range(len(national)):
            others |= {f"{national[:place]}{digit}{national[place + 1 :]}" for digit in "01579"}
        for other in filter(None, others):
            if 6 <= len(f"{code}{other}") <= 15 and int(other):
                assert is_phone(f"+{code}{other}") == _told(code, other), f"+{code}{other}"
