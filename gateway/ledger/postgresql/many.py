"""One statement for many rows: what `executemany` sends row by row, as one that reads arrays.

`INSERT INTO t (a, b) VALUES (?, ?)` selects its rows from arrays, one a column; `UPDATE t SET a = ? WHERE
k = ?` joins with them. It is planned and executed once, and one text serves however many rows there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import msgspec

_INSERT: Final = re.compile(r"\s*(INSERT INTO \w+ \([^()]*\))\s+VALUES \(([^()]*)\)([^?]*)", re.DOTALL)
#: Rows are named by equality of columns: of other values, another row.
_UPDATE: Final = re.compile(
    r"(UPDATE \w+ SET .*) WHERE (\w+ = \?(?: AND \w+ = \?)*)((?: AND [^?]*)?)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for many rows, and how many of a row's last values name the row that it changes."""

    sql: str
    types: tuple[str, ...]
    keys: int

    def arrays(self, rows: Sequence[Sequence[Any]]) -> list[str] | None:
        """The rows' columns as array literals; None where they can't go together.

        They can't when two of them change the same row: the later one goes by what the first one left.
        """
        if not rows or (self.keys and len({tuple(row[-self.keys :]) for row in rows}) < len(rows)):
            return None
        columns = zip(*rows, strict=True)
        literals = []
        for type, column in zip(self.types, columns, strict=True):
            text = literal([_AS[type](value) for value in column] if type in _AS else column)
            if text is None:
                return None
            literals.append(text)
        return literals


def together(sql: str, types_of: Callable[[str], Sequence[str]]) -> Statement | None:
    """`sql` for many rows; None for one that is not of those two kinds.

    `types_of` gives the types of a statement's values, as the server infers them.
    """
    if found := _INSERT.fullmatch(sql):
        insert, values, rest = found.groups()
        types = tuple(types_of(sql))
        return Statement(f"{insert} SELECT {_named(values)} FROM {_given(types)}{rest}", types, 0)
    if found := _UPDATE.fullmatch(sql):
        update, where, rest = found.groups()
        types, keys = tuple(types_of(sql)), where.count("?")
        where = _named(where, len(types) - keys)
        return Statement(f"{_named(update)} FROM {_given(types)} WHERE {where}{rest}", types, keys)
    return None


def _named(part: str, first: int = 0) -> str:
    """Placeholders replaced by the columns of what is given, from the `first` one on."""
    numbers = count(first)
    return re.sub(r"\?", lambda _: f"given.p{next(numbers)}", part)


def _given(types: Sequence[str]) -> str:
    arrays = ", ".join(f"?::{type}[]" for type in types)
    names = ", ".join(f"p{number}" for number in range(len(types)))
    return f"unnest({arrays}) AS given ({names})"


def literal(values: Sequence[Any]) -> str | None:
    """An array as SQL writes it; None where a text holds what JSON writes otherwise than SQL does.

    JSON's arrays are written like SQL's, but for the brackets and for control characters in texts.
    """
    text = msgspec.json.encode(values).decode()
    if "\\" in text and "\\" in text.replace("\\\\", "").replace('\\"', ""):
        return None
    return f"{{{text[1:-1]}}}"


def _number(value: int | None) -> int | None:
    """Truth values are kept as 0 and 1."""
    return None if value is None else int(value)


def hexadecimal(value: bytes | None) -> str | None:
    """Bytes as an array of them holds them."""
    return None if value is None else f"\\x{value.hex()}"


#: What the values of a type are written as.
_AS: Final[Mapping[str, Callable[[Any], int | str | None]]] = {
    "bigint": _number, "integer": _number, "bytea": hexadecimal
}  # fmt: skip
