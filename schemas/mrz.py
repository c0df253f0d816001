"""The machine readable zone of a passport: TD3, two lines of 44 characters (ICAO Doc 9303-4, section 4.2).

    line 1   1 `P` · 2 subtype · 3-5 issuer · 6-44 name, `PRIMARY<<SECONDARY`
    line 2   1-9 number, 10 · 11-13 nationality · 14-19 birth, 20 · 21 sex · 22-27 expiry, 28
             29-42 optional, 43 · 44 composite over 1-10, 14-20, 22-43

`10`, `20`, `28`, `43` and `44` are check digits: values 0-9, A-Z = 10-35, filler = 0; weights 7, 3, 1; the
sum modulo 10 (Doc 9303-3, section 4.9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from msgspec import Struct

LINE_LENGTH: Final = 44
_NAME_LENGTH: Final = 39
_VALUES: Final = bytes.maketrans(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<", bytes([*range(36), 0]))
_LINE: Final = re.compile(r"[A-Z0-9<]{44}")
_NOT_A_LETTER: Final = re.compile("[^A-Z]+")


class NotAnMrzError(ValueError):
    """The lines are not 44 characters each of A-Z, 0-9 and the filler `<`."""


class Mrz(Struct, frozen=True):
    """The parts of a machine readable zone, without fillers unless said otherwise."""

    document_code: str
    #: Three characters with their fillers: Germany is `D<<`.
    issuer: str
    primary: str
    secondary: str
    #: True when the name fills its field, so that some of it may have been cut. It is to end in a letter
    #: then (Doc 9303-4, section 4.2.3), but not every issuer minds a cut between two words.
    name_may_be_cut: bool
    number: str
    #: Three characters with their fillers.
    nationality: str
    #: YYMMDD; an unknown part is filler.
    birth: str
    #: `M`, `F` or `<`.
    sex: str
    #: YYMMDD.
    expiry: str
    optional: str


class CheckDigit(Struct, frozen=True):
    """One of the five check digits of line 2."""

    #: `number`, `birth_date`, `expiry_date`, `optional` or `composite`.
    covers: str
    #: 1-based position in line 2.
    position: int


_SIMPLE_DIGITS: Final = (
    (CheckDigit("number", 10), slice(9)),
    (CheckDigit("birth_date", 20), slice(13, 19)),
    (CheckDigit("expiry_date", 28), slice(21, 27)),
    (CheckDigit("optional", 43), slice(28, 42)),
)
_COMPOSITE: Final = CheckDigit("composite", 44)


def parse(line1: str, line2: str) -> Mrz:
    """Take the two lines apart. Checks no digit. Raises `NotAnMrzError`."""
    if not (_LINE.fullmatch(line1) and _LINE.fullmatch(line2)):
        raise NotAnMrzError("two lines of 44 characters are needed")
    primary, _, secondary = line1[5:].rstrip("<").partition("<<")
    return Mrz(
        document_code=line1[:2].rstrip("<"),
        issuer=line1[2:5],
        primary=_words(primary),
        secondary=_words(secondary),
        name_may_be_cut=not line1.endswith("<<"),
        number=line2[:9].rstrip("<"),
        nationality=line2[10:13],
        birth=line2[13:19],
        sex=line2[20],
        expiry=line2[21:27],
        optional=line2[28:42].rstrip("<"),
    )


def check_digit(text: str) -> str:
    """The check digit over `text`, which holds only A-Z, 0-9 and `<` (at most 44 characters)."""
    return _digit_over(_values(text))


def wrong_check_digits(line2: str) -> Iterator[CheckDigit]:
    """Which of the five check digits of a well-formed line 2 do not fit what they cover."""
    values = _values(line2)
    for digit, covered in _SIMPLE_DIGITS:
        stated = line2[digit.position - 1]
        if stated != _digit_over(values[covered]) and not _may_be_filler(digit, stated, line2):
            yield digit
    if line2[43] != _digit_over(values[:10] + values[13:20] + values[21:43]):
        yield _COMPOSITE


def _values(text: str) -> bytes:
    return text.encode("ascii").translate(_VALUES)


def _digit_over(values: bytes) -> str:
    return "0123456789"[(7 * sum(values[::3]) + 3 * sum(values[1::3]) + sum(values[2::3])) % 10]


def _may_be_filler(digit: CheckDigit, stated: str, line2: str) -> bool:
    """Where the optional data is empty its digit may be filler (Doc 9303-4, section 4.2.2)."""
    return digit.covers == "optional" and stated == "<" and not line2[28:42].strip("<")


def compose(
    *,
    issuing_state: str,
    family: str,
    given: str,
    number: str,
    nationality: str,
    birth_date: date,
    sex: str,
    expiry_date: date,
    document_code: str = "P",
    optional: str = "",
) -> tuple[str, str]:
    """Both lines with right check digits, from field values.

    `given` is the whole secondary identifier, so further names follow it after a space. `sex` is M, F or
    X; states are fields' codes (`DEU` becomes `D<<`). A name that is too long is cut at the end,
    with room left for a letter of the given name.
    Raises `NotAnMrzError` when a value does not fit into its place.
    """
    primary = _in_mrz(family)[: _NAME_LENGTH - 3].rstrip("<")
    name = f"{primary}<<{_in_mrz(given)}"[:_NAME_LENGTH]
    line1 = f"{document_code:<<2}{_state(issuing_state)}{name:<<{_NAME_LENGTH}}"
    number_part = _checked(f"{number:<<9}")
    birth_part = _checked(f"{birth_date:%y%m%d}")
    expiry_part = _checked(f"{expiry_date:%y%m%d}")
    optional_part = f"{optional:<<14}" + (check_digit(f"{optional:<<14}") if optional else "<")
    sex_part = "<" if sex == "X" else sex
    line2 = f"{number_part}{_state(nationality)}{birth_part}{sex_part}{expiry_part}{optional_part}"
    line2 += check_digit(line2[:10] + line2[13:20] + line2[21:43])
    parse(line1, line2)
    return line1, line2


def _checked(text: str) -> str:
    return text + check_digit(text)


def _state(code: str) -> str:
    return "D<<" if code == "DEU" else code


def _in_mrz(name: str) -> str:
    """A name as Doc 9303-3, section 4.6 writes it: apostrophes and stops left out, the rest filler."""
    return _NOT_A_LETTER.sub("<", _without_marks(name)).strip("<")


def _words(text: str) -> str:
    return " ".join(text.replace("<", " ").split())


def _without_marks(name: str) -> str:
    return name.upper().replace("'", "").replace(".", "")


def wrong_names(mrz: Mrz, *, given: str, family: str, between: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Which of `family` and `given` the zone contradicts.

    States write differently much of a name into the zone. The secondary identifier may go on with any
    leading part of `between` (the father's and grandfather's names); a zone without a secondary may hold
    the only name a person has, which then stands in both fields, or the whole name in a row.
    """
    secondaries = [given]
    for name in between:
        secondaries.append(f"{secondaries[-1]} {name}")
    if not mrz.secondary:
        wholes = [f"{secondary} {family}" for secondary in secondaries]
        if mrz.name_may_be_cut or given.upper() == family.upper():
            wholes.append(family)
        return () if _fits_any(wholes, mrz.primary, mrz) else ("family",)
    wrong_family = () if _fits_any([family], mrz.primary, mrz) else ("family",)
    wrong_given = () if _fits_any(secondaries, mrz.secondary, mrz) else ("given",)
    return wrong_family + wrong_given


def _fits_any(names: list[str], zone: str, mrz: Mrz) -> bool:
    """Spaces, hyphens and marks do not count: issuers differ in them."""
    letters = zone.replace(" ", "")
    for name in names:
        if _NOT_A_LETTER.sub("", name.upper()) == letters:
            return True
    return mrz.name_may_be_cut and any(_is_cut_of(zone, name) for name in names)


def _is_cut_of(zone: str, name: str) -> bool:
    """Whether every word of `zone` begins a word of `name`, in order (Doc 9303-4, 4.2.3: truncation)."""
    words = iter(_NOT_A_LETTER.sub(" ", _without_marks(name)).split())
    return all(any(word.startswith(part) for word in words) for part in zone.split())
