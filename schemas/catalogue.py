"""The texts of every stable error code, in English and Arabic, from `error_codes.yaml`.

The file is a mapping of sections to codes; each code has `title`, `en` and `ar`. Texts hold placeholders
such as `{limit}`, which a violation's `params` fill. It is read at first use and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import Final, Literal, get_args

from ruamel.yaml import YAML

from schemas.violation import Violation

Language = Literal["en", "ar"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
_FILE: Final = Path(__file__).with_name("error_codes.yaml")
#: Stands for a value that the one who found the fault did not know, such as a position.
_UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True)
class Entry:
    """One error code."""

    code: str
    section: str
    #: Short and without placeholders; says what kind of problem it is.
    title: str
    en: str
    ar: str

    def template(self, language: Language) -> str:
        """The text with its placeholders."""
        return self.ar if language == "ar" else self.en

    def placeholders(self, language: Language) -> frozenset[str]:
        """The names in braces."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.template(language)) if name)


class _Params(dict[str, str | int]):
    def __missing__(self, _name: str) -> str:
        return _UNKNOWN


@cache
def entries() -> Mapping[str, Entry]:
    """Every code with its texts, in the file's order."""
    sections = YAML(typ="safe", pure=True).load(_FILE.read_text(encoding="utf-8"))
    return MappingProxyType({entry.code: entry for entry in _read(sections)})


def _read(sections: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Iterator[Entry]:
    for section, codes in sections.items():
        for code, texts in codes.items():
            title = texts.get("title") or code.replace("_", " ").capitalize()
            yield Entry(code, section, title, texts["en"], texts["ar"])


class _Codes(Mapping[str, Entry]):
    """The codes as a constant that still reads its file only when it is first looked at."""

    def __getitem__(self, code: str) -> Entry:
        return entries()[code]

    def __iter__(self) -> Iterator[str]:
        return iter(entries())

    def __len__(self) -> int:
        return len(entries())


#: Every stable code; `code in CODES`, `CODES[code].title`.
CODES: Final[Mapping[str, Entry]] = _Codes()


def text(code: str, language: Language, params: Mapping[str, str | int] | None = None) -> str:
    """What `code` tells people in `language`. A placeholder without a value reads `?`.

    Raises `KeyError` for a code that is not in the catalogue.
    """
    return CODES[code].template(language).format_map(_Params(params or {}))


def describe(violation: Violation, language: Language) -> str:
    """The text of one violation."""
    return text(violation.code, language, violation.params)
