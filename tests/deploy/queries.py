"""What a PromQL expression asks for: metrics, the labels matched on them, and labels grouped by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR: Final = re.compile(r"(?<![\w:$])((?:gateway|up)[\w:]*)\s*(\{(?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*\})?")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric in an expression."""

    metric: str
    #: label, operator, value
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> Iterator[Selector]:
    """Every metric of ours, or `up`, that is asked for."""
    for found in _SELECTOR.finditer(expression):
        metric, braces = found.groups()
        yield Selector(metric, tuple(_MATCHER.findall(braces or "")))


def grouped_by(expression: str) -> set[str]:
    """The labels that results are grouped or matched by."""
    bare = _STRING.sub('""', expression)
    return {
        name.strip() for group in _GROUPING.findall(bare) for name in str(group).split(",") if name.strip()
    }
