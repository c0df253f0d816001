"""Killed at every named point and at random: nothing accepted is lost, no visa is issued twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.survival.scenario import Survival

pytestmark = pytest.mark.processes


def test_every_accepted_application_survives_kills_at_every_point(tmp_path: Path) -> None:
    verdict = Survival(tmp_path, kills=24, foreign_affairs="deduplicates", seed=1).run()
    assert verdict.accepted >= 100
    assert (verdict.lost, verdict.issued_twice, verdict.forgotten) == (0, [], 0)
    assert verdict.final["issued"] > 0
    assert sum(verdict.by_point.values()) == 24


def test_a_partner_that_does_not_deduplicate_issues_nothing_twice(tmp_path: Path) -> None:
    verdict = Survival(tmp_path, kills=10, foreign_affairs="can_be_asked", seed=2, points=_AROUND_CALL).run()
    assert (verdict.lost, verdict.issued_twice, verdict.forgotten) == (0, [], 0)


def test_a_partner_that_cannot_be_asked_issues_nothing_twice(tmp_path: Path) -> None:
    verdict = Survival(tmp_path, kills=6, foreign_affairs="neither", seed=3, points=_AROUND_CALL).run()
    assert (verdict.lost, verdict.issued_twice, verdict.forgotten) == (0, [], 0)
    assert verdict.final["under_review"] > 0


@pytest.mark.parametrize("mutant", ["no_intent", "repeat_after_crash"])
def test_without_its_intent_the_same_run_issues_twice(tmp_path: Path, mutant: str) -> None:
    """The mutants: the promise is broken on purpose, and this very scenario must see it."""
    run = Survival(
        tmp_path,
        kills=3,
        foreign_affairs="can_be_asked",
        seed=4,
        mutant=mutant,
        points=("before_settle",),
        endings=("00", "11", "22", "33"),
        rest_s=20,
    )
    assert run.run().issued_twice


_AROUND_CALL = ("after_intent", "after_call", "before_settle", "after_settle", "random")
