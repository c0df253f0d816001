from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supply.advisories import SnapshotUnreadable, check, findings, is_affected, read_snapshot
from supply.audit import SNAPSHOT


def events(*given: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [{event: at} for event, at in given]}]}


def advisory(name: str, affected: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "X-1", "affected": [{"package": {"ecosystem": "PyPI", "name": name}, **affected}], **more}


@pytest.mark.parametrize(
    ("version", "affected", "expected"),
    [
        ("1.9.9", events(("introduced", "0"), ("fixed", "2.0")), True),
        ("2.0", events(("introduced", "0"), ("fixed", "2.0")), False),
        ("2.0.0", events(("introduced", "0"), ("fixed", "2")), False),
        ("2.0rc1", events(("introduced", "0"), ("fixed", "2.0")), True),
        ("10.0", events(("introduced", "0"), ("fixed", "9.0")), False),  # not as text
        ("1.0", events(("introduced", "1.0"), ("fixed", "2.0")), True),
        ("0.9", events(("introduced", "1.0"), ("fixed", "2.0")), False),
        ("99", events(("introduced", "1.0")), True),
        ("2.10.1", events(("introduced", "0"), ("last_affected", "2.10.1")), True),
        ("2.10.2", events(("introduced", "0"), ("last_affected", "2.10.1")), False),
        ("1.0", events(("introduced", "1.0"), ("last_affected", "1.0")), True),
        ("1.1", events(("introduced", "1.0"), ("last_affected", "1.0")), False),
        # two branches in one list, in any order
        (
            "1.26.18",
            events(("introduced", "2.0.0"), ("fixed", "2.2.2"), ("introduced", "0"), ("fixed", "1.26.19")),
            True,
        ),
        (
            "1.26.19",
            events(("introduced", "2.0.0"), ("fixed", "2.2.2"), ("introduced", "0"), ("fixed", "1.26.19")),
            False,
        ),
        (
            "2.2.1",
            events(("introduced", "2.0.0"), ("fixed", "2.2.2"), ("introduced", "0"), ("fixed", "1.26.19")),
            True,
        ),
        (
            "2.2.2",
            events(("introduced", "2.0.0"), ("fixed", "2.2.2"), ("introduced", "0"), ("fixed", "1.26.19")),
            False,
        ),
        # mended, and broken again by the same release
        (
            "1.5",
            events(("introduced", "1.0"), ("fixed", "1.5"), ("introduced", "1.5"), ("fixed", "1.6")),
            True,
        ),
        (
            "1.6",
            events(("introduced", "1.0"), ("fixed", "1.5"), ("introduced", "1.5"), ("fixed", "1.6")),
            False,
        ),
        ("1.5", events(("fixed", "2.0"), ("introduced", "1.0")), True),
        ("2.5", events(("fixed", "2.0"), ("introduced", "1.0")), False),
        ("0.3", {"versions": ["0.1", "0.3"]}, True),
        ("0.3.0", {"versions": ["0.1", "0.3"]}, True),
        ("0.2", {"versions": ["0.1", "0.3"]}, False),
        # a range of commits says nothing about versions
        ("1.0", {"versions": ["9"], "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, False),
    ],
)
def test_a_version_is_affected_as_the_osv_schema_says(
    version: str, affected: dict[str, Any], expected: bool
) -> None:
    assert is_affected(version, affected) is expected


def test_names_are_compared_as_pypi_compares_them() -> None:
    known = [advisory("Ruamel_YAML", events(("introduced", "0")))]
    assert [each.id for each in findings("ruamel-yaml", "1", known)] == ["X-1"]
    assert not list(findings("yaml", "1", known))


def test_an_advisory_for_another_ecosystem_concerns_nothing_here() -> None:
    other = advisory("idna", events(("introduced", "0")))
    other["affected"][0]["package"]["ecosystem"] = "npm"
    assert not list(findings("idna", "1", [other]))


def test_a_withdrawn_advisory_concerns_nothing() -> None:
    assert not list(
        findings(
            "idna", "1", [advisory("idna", events(("introduced", "0")), withdrawn="2026-01-01T00:00:00Z")]
        )
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"id": "X-1", "affected": []},
        {"affected": [{"package": {"ecosystem": "PyPI", "name": "idna"}, "versions": ["1"]}]},
        advisory("idna", {}),
        advisory("idna", {"versions": []}),
        advisory("idna", events(("fixed", "2.0"))),
        advisory("idna", {"versions": ["not a version"]}),
        advisory("idna", events(("introduced", "soon"))),
    ],
)
def test_an_advisory_that_could_never_be_found_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(SnapshotUnreadable):
        check(broken)


def test_a_snapshot_without_advisories_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "advisories.json"
    path.write_text(
        json.dumps({"complete_until": "2026-01-01", "sources": [], "packages": [], "advisories": []})
    )
    with pytest.raises(SnapshotUnreadable, match="nothing would be found"):
        read_snapshot(path)


def test_each_advisory_of_the_snapshot_finds_the_version_before_it_was_mended() -> None:
    """An entry whose ranges were written wrongly would never find anything."""
    snapshot = read_snapshot(SNAPSHOT)
    assert len(snapshot.advisories) >= 70
    for each in snapshot.advisories:
        (affected,) = each["affected"]
        ((first, *_),) = (one["events"] for one in affected["ranges"])
        begins = "0.1.0" if first["introduced"] == "0" else first["introduced"]
        assert is_affected(begins, affected), each["id"]
