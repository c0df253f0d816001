"""Telephone numbers in E.164 with a leading plus sign.

The number is split by our own lookup of the calling code and judged by the library's numbering plans:
its parser, which guesses at spaces, brackets and trunk zeros, would cost most of the time and accept
what is not E.164.
"""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

_E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")


def is_phone(text: str) -> bool:
    """Whether `text` is an E.164 number that its country's numbering plan can hold."""
    if not _E164.fullmatch(text):
        return False
    number = _split(text[1:])
    return number is not None and phonenumbers.is_valid_number(number)


def _split(digits: str) -> phonenumbers.PhoneNumber | None:
    """Calling codes are prefix-free: at most one of the first one, two or three digits is one."""
    for length in (1, 2, 3):
        code = int(digits[:length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return _number(code, digits[length:])
    return None


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
