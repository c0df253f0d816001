"""Telephone numbers in E.164 with a leading plus sign.

The number is split by our own lookup of the calling code and judged by the library's numbering plans:
its parser, which guesses at spaces, brackets and trunk zeros, would cost most of the time and accept
what is not E.164. Where a calling code is one region's alone, its plan is taken out of the library once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import phonenumbers

_E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")
#: What a plan has numbers for: any of these makes a number valid.
_SORTS: Final = (
    "mobile", "fixed_line", "voip", "personal_number", "toll_free", "premium_rate", "shared_cost", "pager",
    "uan", "voicemail",
)  # fmt: skip

#: Whether a national number fits.
Fits = Callable[[str], bool]


def is_phone(text: str) -> bool:
    """Whether `text` is an E.164 number that its country's numbering plan can hold."""
    return bool(_E164.fullmatch(text)) and _is_held(text[1:])


def _is_held(digits: str) -> bool:
    """Calling codes are prefix-free: at most one of the first one, two or three digits is one."""
    for length in (1, 2, 3):
        code = int(digits[:length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            fits = _plan(code)
            national = digits[length:]
            return fits(national) if fits is not None else _judged(code, national)
    return False


@cache
def _plan(code: int) -> Fits | None:
    """The numbering plan of a calling code. None: several regions share it, and the library tells which."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
    if len(regions) > 1 or plan is None:
        return None
    general = _description(plan.general_desc)
    sorts = [sort for name in _SORTS if (sort := _description(getattr(plan, name))) is not None]

    def fits(national: str) -> bool:
        return general is not None and general(national) and any(sort(national) for sort in sorts)

    return fits


def _description(given: Any) -> Fits | None:
    """Its lengths, if it names any, and its pattern."""
    if given is None or not given.national_number_pattern:
        return None
    lengths, matches = given.possible_length, re.compile(given.national_number_pattern).fullmatch
    return lambda national: (not lengths or len(national) in lengths) and matches(national) is not None


def _judged(code: int, national: str) -> bool:
    number = _number(code, national)
    return number is not None and phonenumbers.is_valid_number(number)


def _number(code: int, national: str) -> phonenumbers.PhoneNumber | None:
    """In Italy and a few other plans zeros lead the national number, and count."""
    if not national:
        return None
    zeros = len(national) - len(national.lstrip("0"))
    return phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(national),
        italian_leading_zero=bool(zeros) or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
