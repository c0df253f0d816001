"""Reads a lock file of pinned, hashed requirements, as `make lock` writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_VIA: Final = re.compile(r"^ {4}#(?: via)?\s+(\S.*)$")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})$")


class LockUnreadable(ValueError):
    """A line of a lock file that is not what `make lock` writes: `file:line: what is wrong`."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One locked package."""

    #: Normalised (PEP 503).
    name: str
    version: str
    #: Where it is installed at all, such as `sys_platform == 'win32'`; None: everywhere.
    marker: str | None
    #: SHA-256 of every file that may be installed, in hexadecimal, sorted.
    hashes: tuple[str, ...]
    #: Who needs it: names of packages, and the project's own name.
    needed_by: tuple[str, ...]


def read_lock(path: Path) -> tuple[Locked, ...]:
    """Everything that is locked, by name and version. Raises `LockUnreadable`, and `OSError`.

    One package may be locked twice, for different interpreters. One without a hash is refused: what is
    installed could not be told from anything else of that name.
    """
    found: list[Locked] = []
    block: list[tuple[int, str]] = []
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        if block and (not line or not line.startswith(" ")):
            found.append(_locked(path.name, block))
            block = []
        if line.strip() and not line.startswith("#"):
            block.append((number, line))
    return tuple(sorted(found, key=lambda each: (each.name, each.version)))


def _locked(file: str, block: list[tuple[int, str]]) -> Locked:
    (number, first), *rest = block
    hashes, needed_by = [], []
    for place, line in rest:
        if found := _HASH.search(line.removesuffix("\\").rstrip()):
            hashes.append(found.group(1))
        elif line.strip() == "# via":
            continue
        elif via := _VIA.match(line):
            needed_by.append(canonicalize_name(via.group(1).partition(" (")[0]))
        else:
            raise LockUnreadable(f"{file}:{place}: neither a hash nor a comment")
    name, version, marker = _pinned(file, number, first.removesuffix("\\").strip())
    if not hashes:
        raise LockUnreadable(f"{file}:{number}: {name} has no hash")
    return Locked(name, version, marker, tuple(sorted(hashes)), tuple(sorted(needed_by)))


def _pinned(file: str, number: int, text: str) -> tuple[str, str, str | None]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise LockUnreadable(f"{file}:{number}: not a requirement") from error
    pins = [pin.version for pin in requirement.specifier if pin.operator == "=="]
    if requirement.url or len(requirement.specifier) != 1 or len(pins) != 1 or pins[0].endswith("*"):
        raise LockUnreadable(f"{file}:{number}: {requirement.name} is not pinned to one version")
    marker = None if requirement.marker is None else str(requirement.marker).replace('"', "'")
    return canonicalize_name(requirement.name), pins[0], marker
