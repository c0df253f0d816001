"""Advisories in the OSV format, and whether they concern a version.

The format and the algorithm are those of the OSV schema (ossf.github.io/osv-schema): a version is affected
when it is listed, or when it lies in a range of events. Only ecosystem ranges are evaluated here: what a
range of commits says, an advisory for PyPI says in versions too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ECOSYSTEM: Final = "PyPI"
#: OSV's word for "since ever".
_EVER: Final = "0"


class SnapshotUnreadable(ValueError):
    """The snapshot, or one of its advisories, is not what it should be."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known, and until when."""

    #: The last day until which a whole database was compared with what is locked.
    complete_until: date
    #: Where the advisories come from.
    sources: tuple[str, ...]
    #: The packages that were looked for: of any other nothing is known, not even that nothing is.
    packages: frozenset[str]
    advisories: tuple[Mapping[str, Any], ...]

    def age_days(self, today: date) -> int:
        """How old this knowledge is."""
        return (today - self.complete_until).days


@dataclass(frozen=True, slots=True)
class Finding:
    """A locked version that an advisory concerns."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    summary: str
    #: Versions in which it is mended, as the advisory says.
    fixed: tuple[str, ...]


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot in that file, every advisory checked. Raises `SnapshotUnreadable`."""
    try:
        document = json.loads(path.read_bytes())
        snapshot = Snapshot(
            complete_until=date.fromisoformat(document["complete_until"]),
            sources=tuple(document["sources"]),
            packages=frozenset(document["packages"]),
            advisories=tuple(document["advisories"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotUnreadable(f"{path}: not a snapshot ({type(error).__name__})") from error
    if not snapshot.advisories:
        raise SnapshotUnreadable(f"{path}: holds no advisory: nothing would be found")
    for advisory in snapshot.advisories:
        check(advisory)
    return snapshot


def check(advisory: Mapping[str, Any]) -> None:
    """Raises `SnapshotUnreadable` for an advisory that could never concern anything."""
    try:
        name = str(advisory["id"])
        if not (affected := list(_here(advisory))):
            raise SnapshotUnreadable(f"{name}: concerns nothing on {ECOSYSTEM}")
        for package in affected:
            bounds = list(_bounds(package))
            listed = [Version(version) for version in package.get("versions", ())]
            if not bounds and not listed:
                raise SnapshotUnreadable(f"{name}: names no version")
    except (KeyError, TypeError, AttributeError, InvalidVersion) as error:
        raise SnapshotUnreadable(f"{advisory!r:.80}: not an advisory ({type(error).__name__})") from error


def findings(package: str, version: str, advisories: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Each advisory that concerns this version of this package. Withdrawn ones concern nothing."""
    for advisory in advisories:
        if "withdrawn" in advisory:
            continue
        concerned = [each for each in _here(advisory) if _is_named(each, package)]
        if any(is_affected(version, each) for each in concerned):
            yield Finding(
                package=package,
                version=version,
                id=str(advisory["id"]),
                aliases=tuple(advisory.get("aliases", ())),
                summary=str(advisory.get("summary", "")),
                fixed=tuple(sorted({end for each in concerned for end in _fixed(each)}, key=Version)),
            )


def names(advisory: Mapping[str, Any]) -> set[str]:
    """The packages that an advisory speaks of, normalised."""
    return {canonicalize_name(each["package"]["name"]) for each in _here(advisory)}


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Whether one entry of an advisory's `affected` holds this version."""
    wanted = Version(version)
    if any(Version(listed) == wanted for listed in affected.get("versions", ())):
        return True
    return any(since <= wanted and _ends_after(wanted, end) for since, end in _bounds(affected))


# --- ranges ----------------------------------------------------------------------------------------

#: The event that ends a range, and its version; None: no end is known.
_End = tuple[str, Version] | None


def _ends_after(version: Version, end: _End) -> bool:
    if end is None:
        return True
    event, bound = end
    return version <= bound if event == "last_affected" else version < bound


def _bounds(affected: Mapping[str, Any]) -> Iterator[tuple[Version, _End]]:
    """Beginning and end of each range. Events may stand in any order; several ranges may share one list."""
    for events in (each["events"] for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM"):
        since: Version | None = None
        for event, version in sorted(_events(events), key=_order):
            if event == "introduced":
                since = version if since is None else since
            elif since is not None:
                yield since, (event, version)
                since = None
        if since is not None:
            yield since, None


def _events(events: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, Version]]:
    for each in events:
        for event, text in each.items():
            if event not in ("introduced", "fixed", "last_affected"):
                continue  # `limit` is for commits
            yield event, Version("0.dev0" if text == _EVER else text)


def _order(event: tuple[str, Version]) -> tuple[Version, int]:
    """By version. At the same one a range is mended before another begins, and that begins before it ends."""
    kind, version = event
    return version, ("fixed", "introduced", "last_affected").index(kind)


def _here(advisory: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (each for each in advisory["affected"] if each["package"]["ecosystem"] == ECOSYSTEM)


def _is_named(affected: Mapping[str, Any], package: str) -> bool:
    return canonicalize_name(affected["package"]["name"]) == package


def _fixed(affected: Mapping[str, Any]) -> Iterator[str]:
    for events in (each["events"] for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM"):
        yield from (event["fixed"] for event in events if "fixed" in event)
