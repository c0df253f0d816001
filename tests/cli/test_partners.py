"""`partners`, `pause` and `resume` beside a real gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.command import Command

BECAUSE = ("--reason", "their announced maintenance")


@pytest.fixture
def gosi(at_gateway: Command) -> Iterator[Command]:
    """Social insurance, which nothing in these tests calls; not paused afterwards."""
    yield at_gateway
    at_gateway("resume", "gosi")


def paused(run: Command) -> dict[str, str] | None:
    listed = run("partners", "--json").document["partners"]
    found: dict[str, str] | None = next(one for one in listed if one["name"] == "gosi")["paused"]
    return found


def test_partners_are_a_table(at_gateway: Command) -> None:
    shown = at_gateway("partners")
    assert shown.code == 0
    for told in ("foreign-affairs", "nic", "closed", "waiting"):
        assert told in shown.out


def test_a_pause_and_its_end(gosi: Command) -> None:
    ended = gosi("pause", "gosi", *BECAUSE, "--for", "2h")
    assert ended.code == 0
    assert "paused by operator-1 until in" in " ".join(ended.out.split())
    shown = paused(gosi)
    assert shown is not None
    assert (shown["by"], shown["reason"]) == ("operator-1", BECAUSE[1])
    assert gosi("resume", "gosi").code == 0
    assert paused(gosi) is None


def test_a_pause_without_an_end(gosi: Command) -> None:
    shown = gosi("pause", "gosi", *BECAUSE, "--json").document["paused"]
    assert shown["until"] is None


def test_mistakes_are_told_in_words(gosi: Command) -> None:
    assert gosi("pause", "gosi").code == 2
    assert gosi("pause", "gosi", *BECAUSE, "--for", "soon").code == 2
    assert gosi("pause", "gosi", *BECAUSE, "--for", "91d").code == 2
    assert gosi("pause", "../nic", *BECAUSE).code == 2
    unknown = gosi("pause", "nobody", *BECAUSE)
    assert unknown.code == 1
    assert "`partners`" in unknown.err
    not_paused = gosi("resume", "gosi")
    assert not_paused.code == 1
    assert "not paused" in not_paused.err
    assert paused(gosi) is None
