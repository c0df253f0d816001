"""Canaries: values that stand for one field of one message, and can be told wherever they turn up.

Text carries `zq` and five letters of its own (in capitals where only those are allowed, in Arabic letters
where only those are), numbers and days are drawn from ranges that nothing else uses. Each is sown under
everything that it stands for: one id may be named by several kinds of messages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from string import ascii_lowercase
from typing import Final, NewType

#: What stands for a canary wherever it was found, however it was written.
Token = NewType("Token", str)

_LETTERS: Final = 5
_CODES: Final = 26**_LETTERS
#: Share no factor with 26: codes that follow one another look nothing alike, and none comes twice.
_STRIDE: Final = 7_368_787
_ARABIC: Final = "ابتثجحخدذرزسشصضطظعغفقكلمنهو"[:26]
#: Stands before the five letters in Arabic. No word begins so.
ARABIC_MARK: Final = "ظقظ"
TO_ARABIC: Final = dict(zip(ascii_lowercase, _ARABIC, strict=True))
FROM_ARABIC: Final = {arabic: latin for latin, arabic in TO_ARABIC.items()}
#: Days of their own: nothing in a season is dated so.
_FIRST_DAY: Final = date(2049, 1, 1)
_FIRST_COUNT: Final = 7_104_003
_FIRST_DIGITS: Final = 7_310_000_019


@dataclass(frozen=True, slots=True)
class Source:
    """A field of a kind of message, and which message it was."""

    kind: str
    path: str
    #: Confidentiality class.
    level: str
    #: A name of ours for the message: whoever sent it, and how many came before. Empty where none is meant.
    message: str = ""
    #: Whose it is: the party that sent it.
    sender: str = ""


@dataclass(slots=True)
class Garden:
    """Every canary that was sown."""

    _used: int = 0
    #: What is nobody else's.
    _own: set[Token] = field(default_factory=set)
    _days: dict[str, date] = field(default_factory=dict)
    sown: dict[Token, set[Source]] = field(default_factory=lambda: defaultdict(set))

    # values, by what a field takes

    def letters(self) -> str:
        """`zq` and five letters."""
        self._used += 1
        number, code = self._used * _STRIDE % _CODES, ""
        for _ in range(_LETTERS):
            number, digit = divmod(number, 26)
            code += ascii_lowercase[digit]
        self._own.add(Token(f"zq{code}"))
        return f"zq{code}"

    def name(self) -> str:
        return self.letters().capitalize()

    def capitals(self) -> str:
        return self.letters().upper()

    def arabic(self) -> str:
        return ARABIC_MARK + "".join(TO_ARABIC[letter] for letter in self.letters()[2:])

    def digits(self, count: int = 10) -> str:
        """Ten digits, or so many that begin the same way."""
        self._used += 1
        text = str(_FIRST_DIGITS + 37 * self._used)
        return self.own(text[:1] + text[1 - count :])

    def count(self) -> int:
        """A number of seven digits."""
        self._used += 1
        return int(self.own(str(_FIRST_COUNT + 11 * self._used)))

    def day(self) -> str:
        """Later than every one before it."""
        self._used += 1
        return self.own((_FIRST_DAY + timedelta(days=self._used % 9_000)).isoformat())

    def day_from(self, first: str) -> str:
        """The next day, counted from one of our own, that nobody had yet."""
        latest = self._days.get(first)
        day = date.fromisoformat(first) if latest is None else latest + timedelta(days=1)
        self._days[first] = day
        return self.own(day.isoformat())

    def own(self, text: str) -> str:
        """A value made elsewhere, of which there is only one."""
        self._own.update(tokens_of(text))
        return text

    # what they stand for

    def sow(self, value: object, *sources: Source) -> None:
        """Note what a value stands for. One that is nothing of its own is not noted."""
        for token in self._own.intersection(tokens_of(value)):
            self.sown[token].update(sources)

    def is_sown(self, value: object) -> bool:
        """Whether a value is, or holds, what nobody else has."""
        return not self._own.isdisjoint(tokens_of(value))


def tokens_of(value: object) -> Iterable[Token]:
    """The tokens in a value as its sender wrote it. None where it is too common to be told from others."""
    from tests.canary.search import tokens

    if isinstance(value, Mapping):
        return [token for part in value.values() for token in tokens_of(part)]
    if isinstance(value, list | tuple):
        return [token for part in value for token in tokens_of(part)]
    return tokens(str(value).encode()) if isinstance(value, str | int) and value is not True else []
