"""A flow that was not carried is found out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cli.season import run
from cli.season.page import PAGE, in_words, with_rows
from cli.season.proof import Proof
from cli.season.rows import ROWS, Row, Trace, found

_EXAMPLE = "01a201f0-08c3-771c-91e3-e9586274b3a5"


def _complete() -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """A census in which every trace of every row is found twice."""
    traces = {trace for row in ROWS for trace in row.traces}
    census = [
        {"what": what, "name": name, "detail": detail or "", "count": 2, "example": _EXAMPLE}
        for what, name, detail in sorted(traces, key=str)
        if what != "season"
    ]
    noted = {name: [_EXAMPLE, _EXAMPLE] for what, name, _ in traces if what == "season"}
    return census, noted


def _without(trace: Trace) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    census, noted = _complete()
    what, name, detail = trace
    left = [
        tally
        for tally in census
        if not (tally["what"] == what and tally["name"] == name and detail in (None, tally["detail"]))
    ]
    return left, {other: ids for other, ids in noted.items() if (what, other) != ("season", name)}


def test_the_rows_are_the_41_flows_in_order() -> None:
    assert [row.number for row in ROWS] == list(range(1, 42))
    assert all(row.traces for row in ROWS)


def test_with_every_trace_every_row_is_carried() -> None:
    carried = found(*_complete())
    assert all(one.count >= 2 and one.example == _EXAMPLE for one in carried)


@pytest.mark.parametrize(
    ("row", "trace"),
    [(row, trace) for row in ROWS for trace in row.traces],
    ids=lambda value: str(value)[:60],
)
def test_a_row_that_lacks_any_of_its_traces_is_not_carried(row: Row, trace: Trace) -> None:
    one = found(*_without(trace))[row.number - 1]
    assert one.row is row
    assert one.count == 0


def test_the_fewest_of_its_traces_counts() -> None:
    census, noted = _complete()
    for tally in census:
        if tally["name"] == "penalty.issued" and tally["what"] == "event":
            tally["count"] = 1
    assert found(census, noted)[39 - 1].count == 1


def _proof_of(census: list[dict[str, Any]], noted: dict[str, list[str]], *, held: bool = True) -> Proof:
    report: Mapping[str, Any] = {"countries": [{"country": "IDN", "issued": 2, "overstayed": 0}]}
    return Proof(1.0, found(census, noted), [("something", held)], report, {})


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    ("proof", "code"),
    [
        (_proof_of(*_complete()), 0),
        (_proof_of(*_without(("message", "penalty.issued", None))), 1),
        (_proof_of(*_complete(), held=False), 1),
    ],
    ids=["carried", "a flow was not carried", "a check did not hold"],
)
def test_the_command_fails_when_a_flow_was_not_carried_or_a_check_did_not_hold(
    proof: Proof,
    code: int,
    as_json: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "run_proof", lambda _wanted, _console: proof)
    assert run.play_season(run.Wanted(500), as_json=as_json) == code
    out = capsys.readouterr().out
    if not as_json:
        assert ("did not hold: something" in out) is (not proof.held[0][1])
        assert (" none " in out) is (not all(one.count for one in proof.rows))


def test_the_page_is_current() -> None:
    page = PAGE.read_text("utf-8")
    assert with_rows(page) == page, "python -m cli.season.page"


def test_the_page_tells_a_row_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text("utf-8")
    monkeypatch.setattr("cli.season.page.ROWS", (*ROWS, Row(42, "another", (("code", "x", None),))))
    assert with_rows(page) != page


def test_every_sort_of_trace_is_put_in_its_own_words() -> None:
    traces = {trace for row in ROWS for trace in row.traces}
    assert len({in_words(trace) for trace in traces}) == len(traces)
