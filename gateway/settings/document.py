"""A YAML file as plain data that remembers where each key and value stands."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.values import replace

#: A way into the data: keys of mappings and indices of sequences.
Loc = tuple[str | int, ...]

_MAX_BYTES = 4_000_000


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something wrong at one place. Line and column count from 1."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its data, as written, and the place of each key and value.

    Sequences are tuples; a repeated key keeps its first value.
    """

    file: str
    data: Any = None
    #: Line and column of each key, and of each value.
    keys: Mapping[Loc, tuple[int, int]] = field(default_factory=dict)
    values: Mapping[Loc, tuple[int, int]] = field(default_factory=dict)
    #: The whole file, as it was read.
    text: str = field(default="", repr=False)

    def at_value(self, loc: Loc, text: str) -> Fault:
        """A fault in the value at `loc`, or in what holds it where there is none."""
        return Fault(self.file, *self._nearest(self.values, loc), text)

    def at_key(self, loc: Loc, text: str) -> Fault:
        """A fault in the key at `loc` (its value where it has no key)."""
        place = self.keys.get(loc)
        return Fault(self.file, *place, text) if place else self.at_value(loc, text)

    def _nearest(self, places: Mapping[Loc, tuple[int, int]], loc: Loc) -> tuple[int, int]:
        return next((places[loc[:n]] for n in range(len(loc), -1, -1) if loc[:n] in places), (1, 1))

    def get(self, *loc: str | int) -> Any:
        """The data at `loc`, or None."""
        data = self.data
        for step in loc:
            try:
                data = data[step]
            except (KeyError, IndexError, TypeError):
                return None
        return data

    def moved_up(self, dropped: Loc) -> Document:
        """The places as they are once the item at `dropped` is gone from its sequence."""
        if not dropped or not isinstance(dropped[-1], int):
            return self
        keys = {_moved(loc, dropped): place for loc, place in self.keys.items() if not _in(loc, dropped)}
        values = {_moved(loc, dropped): place for loc, place in self.values.items() if not _in(loc, dropped)}
        return replace(self, keys=keys, values=values)


def _in(loc: Loc, part: Loc) -> bool:
    return loc[: len(part)] == part


def _moved(loc: Loc, dropped: Loc) -> Loc:
    *before, index = dropped
    depth = len(before)
    step = loc[depth] if len(loc) > depth and list(loc[:depth]) == before else None
    if isinstance(step, int) and isinstance(index, int) and step > index:
        return (*before, step - 1, *loc[depth + 1 :])
    return loc


def read(path: Path) -> tuple[Document, list[Fault]]:
    """Read one file. What cannot be read is told by the faults; `data` is then None."""
    try:
        text = _text(path)
        node = _composed(text)
        if node is not None:
            document, faults = _Walk(str(path)).document(node)
            return replace(document, text=text), faults
    except (OSError, UnicodeDecodeError, RecursionError, YAMLError, ReusedAnchorWarning) as error:
        return Document(str(path)), [_unreadable(path, error)]
    return Document(str(path)), [Fault(str(path), 1, 1, "is empty")]


def _composed(text: str) -> Node | None:
    """The tree of a file. An anchor that is set twice is a slip: raised, where the library only warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ReusedAnchorWarning)
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
        return node


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        raw = stream.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise OSError(errno.EFBIG, f"is larger than {_MAX_BYTES} bytes")
    return raw.decode()


def _unreadable(path: Path, error: Exception) -> Fault:
    match error:
        case MarkedYAMLError():
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            return Fault(str(path), line, column, f"not YAML: {error.problem or error.context}")
        case OSError():
            return Fault(str(path), 1, 1, f"cannot be read: {error.strerror}")
        case UnicodeDecodeError():
            return Fault(str(path), 1, 1, "is not UTF-8")
        case ReusedAnchorWarning():
            return Fault(str(path), 1, 1, "sets one anchor twice")
        case RecursionError():
            return Fault(str(path), 1, 1, "is nested too deep")
        case _:
            return Fault(str(path), 1, 1, "holds characters that YAML does not allow")


class _Walk:
    """Turns a tree of nodes into data and places, collecting faults on the way."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._scalars = YAML(typ="safe", pure=True).constructor
        self._seen: set[int] = set()
        self._faults: list[Fault] = []
        self._keys: dict[Loc, tuple[int, int]] = {}
        self._values: dict[Loc, tuple[int, int]] = {}

    def document(self, root: Node) -> tuple[Document, list[Fault]]:
        data = self._value(root, ())
        return Document(self._file, data, self._keys, self._values), self._faults

    def _value(self, node: Node, loc: Loc) -> Any:
        self._values[loc] = _place(node)
        if id(node) in self._seen:
            # A repeated alias can make a few lines into gigabytes, and operators do not need them.
            self._fault(node, "repeated by an alias: write it out")
            return None
        self._seen.add(id(node))
        if isinstance(node, MappingNode):
            return dict(self._items(node, loc))
        if isinstance(node, SequenceNode):
            return tuple(self._value(item, (*loc, n)) for n, item in enumerate(node.value))
        return self._scalar(node)

    def _items(self, node: MappingNode, loc: Loc) -> Iterator[tuple[str, Any]]:
        first: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in first:
                line = _place(first[key])[0]
                self._fault(key_node, f"duplicate key {key!r}, first given in line {line}")
                continue
            first[key] = key_node
            self._keys[*loc, key] = _place(key_node)
            yield key, self._value(value_node, (*loc, key))

    def _key(self, node: Node) -> str | None:
        key = self._scalar(node) if isinstance(node, ScalarNode) else None
        if isinstance(key, str):
            return key
        self._fault(node, "a key must be text: put it in quotes")
        return None

    def _scalar(self, node: Node) -> Any:
        try:
            return self._scalars.construct_object(node)
        except (YAMLError, ValueError):
            self._fault(node, "a value that cannot be read: put it in quotes")
            return None

    def _fault(self, node: Node, text: str) -> None:
        self._faults.append(Fault(self._file, *_place(node), text))


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
