"""Telephone numbers in E.164 with a leading plus sign.

The number is split by our own lookup of the calling code and judged by the library's numbering plans, which
are taken out of it once: its parser, which guesses at spaces, brackets and trunk zeros, would cost most of
the time and accept what is not E.164.
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
            national = digits[length:]
            return any(fits(national) for fits in _plans(code))
    return False


@cache
def _plans(code: int) -> tuple[Fits, ...]:
    """The numbering plan of each region that has this calling code: a number is good that any of them has."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    found = (phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, name) for name in regions)
    return tuple(_plan(given) for given in found if given is not None)


def _plan(given: Any) -> Fits:
    general = _description(given.general_desc)
    sorts = [sort for name in _SORTS if (sort := _description(getattr(given, name))) is not None]

    def fits(national: str) -> bool:
        return general is not None and general(national) and any(sort(national) for sort in sorts)

    return fits


def _description(given: Any) -> Fits | None:
    """Its lengths, if it names any, and its pattern."""
    if given is None or not given.national_number_pattern:
        return None
    lengths, matches = given.possible_length, re.compile(given.national_number_pattern).fullmatch
    return lambda national: (not lengths or len(national) in lengths) and matches(national) is not None
