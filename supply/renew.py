"""`python -m supply.renew EXPORT --complete-until DATE --source WHERE`: a newer snapshot of advisories.

EXPORT is what osv.dev publishes for an ecosystem, a zip of JSON documents, or a folder of them. What does
not concern a locked package is left out, and so is the prose, which has its authors.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from supply.advisories import ECOSYSTEM, SnapshotUnreadable, check, names
from supply.audit import LOCKS, SNAPSHOT
from supply.lock import read_lock

#: A longer document is no advisory.
_MOST_BYTES: Final = 4_194_304
_KEPT: Final = ("id", "aliases", "published", "modified", "withdrawn", "summary")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 2 when the export cannot be used; the snapshot in force stays then."""
    given = _parser().parse_args(arguments)
    packages = {each.name for path in given.lock or LOCKS for each in read_lock(path)}
    try:
        kept = sorted(_kept(given.export, packages), key=lambda each: str(each["id"]))
        if not kept:
            raise SnapshotUnreadable(f"{given.export}: holds nothing about any locked package")
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"renew: {error}\n")
        return 2
    document = {
        "complete_until": given.complete_until.isoformat(),
        "sources": given.source,
        "packages": sorted(packages),
        "advisories": kept,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=False)
    given.snapshot.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"renew: {len(kept)} advisories about {len(packages)} locked packages\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="supply.renew", description="A newer snapshot of advisories")
    parser.add_argument("export", type=Path)
    parser.add_argument("--complete-until", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    parser.add_argument("--source", action="append", required=True, help="where it was had from")
    parser.add_argument("--lock", type=Path, action="append")
    parser.add_argument("--snapshot", type=Path, default=SNAPSHOT)
    return parser


def _kept(export: Path, packages: set[str]) -> Iterator[dict[str, Any]]:
    for text in _documents(export):
        advisory = json.loads(text)
        if _concerns_ecosystem(advisory) and names(advisory) & packages:
            short = _short(advisory)
            check(short)
            yield short


def _documents(export: Path) -> Iterator[bytes]:
    """Each JSON document. Nothing is written: names inside a zip are never paths here."""
    if export.is_dir():
        for path in sorted(export.rglob("*.json")):
            yield path.read_bytes()
        return
    with zipfile.ZipFile(export) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".json"):
                if entry.file_size > _MOST_BYTES:
                    raise SnapshotUnreadable(f"{export}: {entry.filename} is too large for an advisory")
                yield archive.read(entry)


def _concerns_ecosystem(advisory: Mapping[str, Any]) -> bool:
    return any(each.get("package", {}).get("ecosystem") == ECOSYSTEM for each in advisory.get("affected", ()))


def _short(advisory: Mapping[str, Any]) -> dict[str, Any]:
    """The facts. Listed versions are kept where there is no range of versions only: they say the same."""
    return {
        **{name: advisory[name] for name in _KEPT if name in advisory},
        "affected": [
            _short_affected(each)
            for each in advisory["affected"]
            if each.get("package", {}).get("ecosystem") == ECOSYSTEM
        ],
    }


def _short_affected(affected: Mapping[str, Any]) -> dict[str, Any]:
    ranges = [each for each in affected.get("ranges", ()) if each.get("type") == "ECOSYSTEM"]
    package = {name: affected["package"][name] for name in ("ecosystem", "name")}
    return {"package": package} | ({"ranges": ranges} if ranges else {"versions": affected["versions"]})


if __name__ == "__main__":
    sys.exit(main())
