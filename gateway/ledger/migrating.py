"""Migrations: how the schema comes from one version to the next while older code may still be running.

Each file in `migrations/` is one version, named by its number. Its head may say, one comment line each:

    -- compatible with: N     code that knows the schema up to N still works on it (absent: none does)
    -- concurrently           indices are built beside running work, outside a transaction (PostgreSQL)

A change is made in two releases: *expand* (new tables, columns and indices; compatible with the code before),
and, when nobody runs that code any more, *contract*. Decision 0025 and `docs/upgrades.md` say why and how.
Numbers that were applied, and what each is compatible with, stand in the table `schema_version`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

from gateway.errors import Misconfigured

_NAME: Final = re.compile(r"(?P<number>[0-9]{4})_[a-z0-9_]+\.sql")
_COMPATIBLE: Final = re.compile(r"^-- compatible with: ([0-9]+)$", re.MULTILINE)
_CONCURRENTLY: Final = re.compile(r"^-- concurrently$", re.MULTILINE)
_COMMENT: Final = re.compile(r"--[^\n]*")
_BUILDS_INDEX: Final = re.compile(r"CREATE (?:UNIQUE )?INDEX (?P<name>\w+) ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    script: str
    #: The oldest schema number whose code still works on this one.
    compatible_with: int
    #: Its indices are built without holding up those who write. Then it holds nothing but indices.
    concurrently: bool = False


@lru_cache(maxsize=1)
def migrations() -> tuple[Migration, ...]:
    """Every step that this version of the gateway knows, in order."""
    folder = resources.files("gateway.ledger") / "migrations"
    found = ((_NAME.fullmatch(entry.name), entry) for entry in folder.iterdir())
    return tuple(
        sorted(
            (migration(name[0], entry.read_text(encoding="utf-8")) for name, entry in found if name),
            key=lambda step: step.number,
        )
    )


def migration(name: str, script: str) -> Migration:
    """A file with what its head says. Raises `ValueError` for a head that can't be meant so."""
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise ValueError(f"{name} is no migration's name")
    number = int(matched["number"])
    said = _COMPATIBLE.search(script)
    concurrently = _CONCURRENTLY.search(script) is not None
    if concurrently and not all(_BUILDS_INDEX.match(one) for one in statements(script)):
        raise ValueError(f"{name}: what is done concurrently may only create indices")
    return Migration(number, name, script, int(said[1]) if said else number, concurrently)


def statements(script: str) -> Sequence[str]:
    """The statements of a script, without comments. No text in a migration holds a semicolon or `--`."""
    parts = (" ".join(part.split()) for part in _COMMENT.sub("", script).split(";"))
    return [part for part in parts if part]


def index_built_by(sql: str) -> str | None:
    """The name of the index that a statement creates, if it creates one."""
    found = _BUILDS_INDEX.match(sql)
    return found["name"] if found else None


def newest(known: Collection[Migration]) -> int:
    """The schema number of code that knows these."""
    return max((step.number for step in known), default=0)


def to_apply(applied: Mapping[int, int], known: Collection[Migration]) -> Sequence[Migration]:
    """What is still to be done to a schema to which these were (number: what it is compatible with).

    Raises `Misconfigured` when a newer version made steps with which this code can't work.
    """
    ours = newest(known)
    too_new = [
        number for number, compatible_with in applied.items() if number > ours and compatible_with > ours
    ]
    held = [number for number, compatible_with in applied.items() if number <= ours < compatible_with]
    if too_new or held:
        raise Misconfigured(
            [
                f"ledger:1:1: schema version {max(too_new or held)} is newer than this gateway knows ({ours})"
                " and not compatible with it: start the version that wrote it, or a newer one"
            ]
        )
    return [step for step in sorted(known, key=_number) if step.number not in applied]


def _number(step: Migration) -> int:
    return step.number


def with_earlier(applied: Mapping[int, int], version: int) -> Mapping[int, int]:
    """The same, with what a version before the table of versions had applied: all up to `version`.

    What a schema number is compatible with that nobody told: with itself alone.
    """
    return dict(_earlier(applied, version))


def _earlier(applied: Mapping[int, int], version: int) -> Iterator[tuple[int, int]]:
    yield from applied.items()
    for number in range(max(applied, default=0) + 1, version + 1):
        yield number, number
