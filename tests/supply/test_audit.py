"""The audit as `make check` runs it: on files, with its exit status and what it says."""

from __future__ import annotations

import json
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from supply import audit, renew
from supply.advisories import read_snapshot
from supply.audit import ACCEPTED, LOCKS, OLD_DAYS, SNAPSHOT

TODAY = date(2026, 11, 22)
HASH = "c" * 64
ADVISORY = {
    "id": "X-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "An invented fault",
    "details": "Prose.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "zeep", "purl": "pkg:pypi/zeep"},
            "ranges": [
                {"type": "GIT", "repo": "https://example.org", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "4.0.0"}, {"fixed": "4.3.3"}]},
            ],
            "versions": ["4.0.0", "4.3.2"],
        }
    ],
}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class Files:
    """A lock, a snapshot and the accepted advisories in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock(zeep="4.3.3")
        self.snapshot(ADVISORY)
        self.accept("")

    def lock(self, **versions: str) -> None:
        text = "".join(f"{name}=={each} \\\n    --hash=sha256:{HASH}\n" for name, each in versions.items())
        (self.folder / "requirements.lock").write_text(text)

    def snapshot(self, *advisories: Any, complete_until: date = TODAY) -> None:
        document = {
            "complete_until": str(complete_until),
            "sources": ["a test"],
            "packages": ["idna", "zeep"],
            "advisories": advisories,
        }
        (self.folder / "advisories.json").write_text(json.dumps(document))

    def accept(self, text: str) -> None:
        (self.folder / "accepted.toml").write_text(text)

    def audit(self, today: date = TODAY) -> int:
        lock, snapshot, accepted = (
            str(self.folder / name) for name in ("requirements.lock", "advisories.json", "accepted.toml")
        )
        arguments = ["--lock", lock, "--snapshot", snapshot, "--accepted", accepted]
        return audit.main(arguments, today=today)


def test_a_mended_version_passes(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.audit() == 0
    said = capsys.readouterr()
    assert said.out == "audit: 1 locked packages, 1 advisories: none affected, 0 accepted\n"
    assert said.err == ""


def test_a_planted_vulnerable_version_fails_and_is_named(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    files.lock(idna="3.20", zeep="4.3.2")
    assert files.audit() == 1
    said = capsys.readouterr().err
    assert said == "audit: zeep 4.3.2: X-2026-1 (CVE-2026-1): An invented fault; mended in 4.3.3\n"


def test_a_vulnerable_version_in_the_projects_own_lock_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against the snapshot that is shipped: each mended package put back to the version before."""
    for name, before in (("pyjwt", "2.12.1"), ("zeep", "4.3.2"), ("lxml", "6.0.2"), ("aiohttp", "3.14.4")):
        text = LOCKS[0].read_text()
        locked = next(line for line in text.splitlines() if line.startswith(f"{name}=="))
        lock = tmp_path / f"{name}.lock"
        lock.write_text(text.replace(locked, f"{name}=={before} \\"))
        assert audit.main(["--lock", str(lock)], today=TODAY) == 1
        assert f"audit: {name} {before}: " in capsys.readouterr().err


def test_what_is_locked_is_in_no_advisory_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([], today=TODAY) == 0
    assert "none affected" in capsys.readouterr().out


def test_an_old_snapshot_warns_and_passes(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.snapshot(ADVISORY, complete_until=TODAY - timedelta(days=OLD_DAYS))
    assert files.audit() == 0
    assert "WARNING" not in capsys.readouterr().err
    assert files.audit(TODAY + timedelta(days=1)) == 0
    assert (
        "WARNING: the advisories are complete until 2026-08-24 only, 91 days ago" in capsys.readouterr().err
    )


def test_a_package_that_the_snapshot_was_made_without_is_told(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    files.lock(idna="3.20", newcomer="1.0", zeep="4.3.3")
    assert files.audit() == 0
    assert "WARNING: the advisories were gathered without newcomer:" in capsys.readouterr().err


def test_an_accepted_advisory_passes_until_its_day(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.lock(zeep="4.3.2")
    files.accept(
        f'[[accepted]]\nid = "X-2026-1"\npackage = "zeep"\nreason = "never reached"\nuntil = {TODAY}\n'
    )
    assert files.audit() == 0
    assert "1 accepted" in capsys.readouterr().out
    assert files.audit(TODAY + timedelta(days=1)) == 1


def test_an_acceptance_that_nothing_needs_fails(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.accept('[[accepted]]\nid = "X-2026-1"\npackage = "zeep"\nreason = "was so"\nuntil = 2027-01-01\n')
    assert files.audit() == 1
    assert "has ended or is not needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        '[[accepted]]\nid = "X-2026-1"\npackage = "zeep"\nuntil = 2027-01-01\n',
        '[[accepted]]\nid = "X-2026-1"\npackage = "zeep"\nreason = " "\nuntil = 2027-01-01\n',
        '[[accepted]]\nid = "X-2026-1"\npackage = "zeep"\nreason = "so"\nuntil = "for ever"\n',
        "accepted",
    ],
)
def test_an_acceptance_has_a_reason_and_an_end(
    files: Files, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files.accept(text)
    assert files.audit() == 2
    assert "accepted.toml" in capsys.readouterr().err


def test_a_broken_snapshot_is_no_pass(files: Files) -> None:
    (files.folder / "advisories.json").write_text("{}")
    assert files.audit() == 2


def test_nothing_is_accepted_without_being_known_here() -> None:
    """The file as shipped. Whoever accepts something counts it here, so that it is seen in a review."""
    assert len(audit.read_accepted(ACCEPTED)) == 0


# --- a newer snapshot ------------------------------------------------------------------------------


def export(path: Path, *advisories: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, each in enumerate(advisories):
            archive.writestr(f"../{number}.json", json.dumps(each))
        archive.writestr("README.txt", "not one of them")
    return path


def renewed(files: Files, source: Path) -> int:
    lock, snapshot = (str(files.folder / name) for name in ("requirements.lock", "advisories.json"))
    given = [
        "--complete-until",
        "2026-12-01",
        "--source",
        "an export",
        "--lock",
        lock,
        "--snapshot",
        snapshot,
    ]
    return renew.main([str(source), *given])


def test_a_newer_snapshot_is_taken_from_an_export(files: Files) -> None:
    other = {
        "id": "X-2",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "django"}, "versions": ["1"]}],
    }
    foreign = {
        "id": "X-3",
        "affected": [{"package": {"ecosystem": "npm", "name": "zeep"}, "versions": ["1"]}],
    }
    assert renewed(files, export(files.folder / "all.zip", ADVISORY, other, foreign)) == 0
    snapshot = read_snapshot(files.folder / "advisories.json")
    assert snapshot.complete_until == date(2026, 12, 1)
    assert snapshot.packages == {"zeep"}
    (kept,) = snapshot.advisories
    assert kept["id"] == "X-2026-1"
    assert "details" not in kept
    files.lock(zeep="4.3.2")
    assert files.audit() == 1


def test_a_folder_is_an_export_too(files: Files) -> None:
    folder = files.folder / "export" / "PyPI"
    folder.mkdir(parents=True)
    (folder / "X-2026-1.json").write_text(json.dumps(ADVISORY))
    assert renewed(files, folder.parent) == 0
    assert [each["id"] for each in read_snapshot(files.folder / "advisories.json").advisories] == ["X-2026-1"]


def test_an_export_that_holds_nothing_leaves_the_snapshot(files: Files) -> None:
    before = (files.folder / "advisories.json").read_bytes()
    (files.folder / "cut.zip").write_bytes(b"PK\x03\x04")
    for source in (export(files.folder / "empty.zip"), files.folder / "cut.zip", files.folder / "absent.zip"):
        assert renewed(files, source) == 2
    assert (files.folder / "advisories.json").read_bytes() == before


def test_the_shipped_snapshot_says_where_it_comes_from() -> None:
    snapshot = read_snapshot(SNAPSHOT)
    assert any(str(snapshot.complete_until) in source for source in snapshot.sources)
