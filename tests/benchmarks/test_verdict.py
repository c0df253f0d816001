"""The benchmark's check of its own results finds each fault."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.peers.contender import Outcome
from benchmarks.peers.verdict import faults, unsigned

_GIVEN = ["A1", "B2"]
_VISAS = [("A1", "601"), ("B2", "602")]


def said(passport: str, visa: str | None) -> Outcome:
    return Outcome(passport, visa, 1.0, 1.5)


def evidence(visas: list[tuple[str, str]], **calls: int) -> dict[str, Any]:
    asked = {"CheckClearance": 2, "VerifyPassport": 2, "IssueVisa": 2}
    return {"visas": visas, "calls": {**asked, **calls}, "unsigned": 0}


_TOLD = [said("A1", "601"), said("B2", "602")]


def test_each_application_issued_once_and_told_of_once_is_no_fault() -> None:
    assert faults(_GIVEN, evidence(_VISAS), _TOLD) == []


@pytest.mark.parametrize(
    ("visas", "told", "fault"),
    [
        (_VISAS[:1], _TOLD, "never issued: 1 (B2)"),
        ([*_VISAS, ("A1", "603")], _TOLD, "issued more than once: 1 (A1)"),
        ([*_VISAS, ("C3", "603")], _TOLD, "issued, and never asked for: 1 (C3)"),
        (_VISAS, _TOLD[:1], "no outcome: 1 (B2)"),
        (_VISAS, [*_TOLD, _TOLD[0]], "more than one outcome: 1 (A1)"),
        (_VISAS, [_TOLD[0], said("B2", "601")], "another visa than the partner's: 1 (B2)"),
        (_VISAS, [_TOLD[0], said("B2", None)], "another visa than the partner's: 1 (B2)"),
    ],
)
def test_every_difference_is_named(visas: list[tuple[str, str]], told: list[Outcome], fault: str) -> None:
    assert fault in faults(_GIVEN, evidence(visas), told)


@pytest.mark.parametrize("call", ["CheckClearance", "VerifyPassport", "IssueVisa"])
def test_a_call_left_out_is_a_fault(call: str) -> None:
    assert faults(_GIVEN, evidence(_VISAS, **{call: 1}), _TOLD) == [f"{call}: 1 calls for 2"]
    assert faults(_GIVEN, evidence(_VISAS, **{call: 3}), _TOLD) == []


def test_where_all_was_to_be_signed_one_that_was_not_is_a_fault() -> None:
    assert unsigned(evidence(_VISAS)) == []
    assert unsigned({**evidence(_VISAS), "unsigned": 1}) == ["not signed: 1 requests"]


def test_a_latency_is_in_milliseconds() -> None:
    assert said("A1", "601").ms == 500.0
