"""`python -m supply.audit`: is any locked version known to be vulnerable?

Exit 0: no advisory of the snapshot concerns what is locked, or each that does was accepted with a reason and
an end. Exit 1 otherwise, and for an acceptance that has ended or concerns nothing any more. An old snapshot
is a warning, and so is one that was made without a package: neither may stop a build by itself, and both must
be seen.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from supply.advisories import Finding, Snapshot, SnapshotUnreadable, findings, read_snapshot
from supply.lock import Locked, LockUnreadable, read_lock

HERE: Final = Path(__file__).parent
LOCKS: Final = (HERE.parent / "requirements.lock", HERE.parent / "requirements-dev.lock")
SNAPSHOT: Final = HERE / "advisories.json"
ACCEPTED: Final = HERE / "accepted.toml"
#: A snapshot older than this is warned of.
OLD_DAYS: Final = 90


class AcceptanceUnreadable(ValueError):
    """The file of accepted advisories is not what it should be."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An advisory that does not harm the gateway, by someone's judgement, for a time."""

    id: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit found."""

    packages: int
    advisories: int
    harmful: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    #: Acceptances that have ended, or that nothing needs.
    stale: tuple[Acceptance, ...]
    #: Locked packages that the snapshot was not made for.
    unknown: tuple[str, ...]
    age_days: int

    @property
    def sound(self) -> bool:
        """Whether the build may go on."""
        return not self.harmful and not self.stale

    @property
    def is_old(self) -> bool:
        """Whether newer advisories must be had before this means much."""
        return self.age_days > OLD_DAYS


def main(arguments: Sequence[str] | None = None, *, today: date | None = None) -> int:
    """The command. 2 when a file cannot be read."""
    given = _parser().parse_args(arguments)
    try:
        locked = {each for path in given.lock or LOCKS for each in read_lock(path)}
        snapshot = read_snapshot(given.snapshot)
        verdict = audit(locked, snapshot, read_accepted(given.accepted), today or datetime.now(UTC).date())
    except (LockUnreadable, SnapshotUnreadable, AcceptanceUnreadable, OSError) as error:
        sys.stderr.write(f"audit: {error}\n")
        return 2
    _tell(verdict, snapshot)
    return 0 if verdict.sound else 1


def audit(
    locked: Iterable[Locked], snapshot: Snapshot, accepted: Iterable[Acceptance], today: date
) -> Verdict:
    """Compare each locked version with each advisory."""
    versions = sorted({(each.name, each.version) for each in locked})
    found = [finding for each in versions for finding in findings(*each, snapshot.advisories)]
    in_force = {(each.id, each.package): each for each in accepted if each.until >= today}
    needed = {(finding.id, finding.package) for finding in found}
    return Verdict(
        packages=len(versions),
        advisories=len(snapshot.advisories),
        harmful=tuple(each for each in found if (each.id, each.package) not in in_force),
        accepted=tuple(each for each in found if (each.id, each.package) in in_force),
        stale=tuple(
            each
            for each in accepted
            if (each.id, each.package) not in in_force or (each.id, each.package) not in needed
        ),
        unknown=tuple(sorted({name for name, _ in versions} - snapshot.packages)),
        age_days=snapshot.age_days(today),
    )


def read_accepted(path: Path) -> tuple[Acceptance, ...]:
    """The accepted advisories. Raises `AcceptanceUnreadable`."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", [])
        accepted = tuple(Acceptance(**each) for each in entries)
    except (tomllib.TOMLDecodeError, TypeError, OSError) as error:
        raise AcceptanceUnreadable(f"{path.name}: each entry has id, package, reason, until") from error
    for each in accepted:
        if not isinstance(each.until, date) or not each.reason.strip():
            raise AcceptanceUnreadable(f"{path.name}: {each.id}: give a reason, and a day as `until`")
    return accepted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="supply.audit", description="Locked versions against advisories")
    parser.add_argument("--lock", type=Path, action="append", help="a lock file; both of the project if none")
    parser.add_argument("--snapshot", type=Path, default=SNAPSHOT)
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    return parser


def _tell(verdict: Verdict, snapshot: Snapshot) -> None:
    if verdict.is_old:
        sys.stderr.write(
            f"audit: WARNING: the advisories are complete until {snapshot.complete_until} only, "
            f"{verdict.age_days} days ago: renew them (docs/supply-chain.md)\n"
        )
    if verdict.unknown:
        sys.stderr.write(
            f"audit: WARNING: the advisories were gathered without {', '.join(verdict.unknown)}: renew them\n"
        )
    for finding in verdict.harmful:
        mended = ", ".join(finding.fixed) or "no version"
        aliases = f" ({', '.join(finding.aliases)})" if finding.aliases else ""
        sys.stderr.write(
            f"audit: {finding.package} {finding.version}: {finding.id}{aliases}: {finding.summary}; "
            f"mended in {mended}\n"
        )
    for stale in verdict.stale:
        sys.stderr.write(f"audit: accepted.toml: {stale.id} for {stale.package} has ended or is not needed\n")
    told = f"{len(verdict.harmful)} affected" if verdict.harmful else "none affected"
    sys.stdout.write(
        f"audit: {verdict.packages} locked packages, {verdict.advisories} advisories: {told}, "
        f"{len(verdict.accepted)} accepted\n"
    )


if __name__ == "__main__":
    sys.exit(main())
