"""What a text may look like, and where exactly it stops looking like that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic_core import CoreSchema, core_schema

_PART: Final = re.compile(r"(?P<characters>.+?)(?:\{(?P<least>\d+)(?:,(?P<most>\d+))?\})?", re.DOTALL)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Part:
    """A run of characters of one class, `least` to `most` of them."""

    #: A regular expression for one character, such as `[0-9]`.
    characters: str
    least: int
    most: int

    @classmethod
    def of(cls, text: str) -> Part:
        """Read `[0-9]{4}`, `[A-Z]{1,9}` or a single character."""
        found = _PART.fullmatch(text)
        if found is None:
            raise ValueError(f"not a part of a shape: {text!r}")
        least = int(found["least"] or 1)
        return cls(found["characters"], least, int(found["most"] or least))


class Shape:
    """A text made of parts, one after the other.

    Used as `Annotated[str, Shape(...)]` it is a strict pydantic string with pattern and length caps.
    Pydantic only says that a text does not fit; `first_fault` says where.
    """

    def __init__(self, *parts: str) -> None:
        self.parts = tuple(Part.of(part) for part in parts)
        self.shortest = sum(part.least for part in self.parts)
        self.longest = sum(part.most for part in self.parts)
        #: For pydantic's Rust engine, where `$` is the very end. Parts are open upwards there (a bounded
        #: repetition costs it memory for every step) and the length of the whole is capped instead.
        self.pattern = f"^{''.join(_open_run(part) for part in self.parts)}$"

    def first_fault(self, text: str) -> int:
        """The 1-based position of the first character that cannot stand where it stands.

        One past the end when the text is only too short, or fits after all.
        """
        surrogate = _LONE_SURROGATE.search(text)
        if surrogate:
            return surrogate.start() + 1
        found = self._beginning.match(text[: self.longest + 1])
        return (found.end() if found else 0) + 1

    @cached_property
    def _beginning(self) -> re.Pattern[str]:
        """Matches the longest beginning of a text that fits so far."""
        return re.compile(_beginning_of(self.parts))

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.str_schema(
            pattern=self.pattern, min_length=self.shortest, max_length=self.longest, strict=True
        )


def _open_run(part: Part) -> str:
    most = part.most if part.most == part.least else ""
    return f"{part.characters}{{{part.least},{most}}}"


def _beginning_of(parts: Sequence[Part]) -> str:
    if not parts:
        return ""
    part, *rest = parts
    whole = f"{part.characters}{{{part.least},{part.most}}}"
    begun = f"{part.characters}{{0,{part.most}}}"
    return f"(?:{whole}{_beginning_of(rest)}|{begun})"
