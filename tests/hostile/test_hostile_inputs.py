"""The table of hostile inputs, against real processes (docs/hostile-inputs.md).

Time is judged by the gateway's own CPU, for the machine does other things; `make hostile` judges
the wall clock.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import hostile
from schemas import catalogue
from tests.bus.broker import PrivateBroker, required
from tests.hostile.fuzz import SHARES, fuzz
from tests.hostile.judge import judge
from tests.hostile.row import LONGEST_S, Row
from tests.hostile.site import Site
from tests.hostile.table import ROWS

pytestmark = pytest.mark.processes

#: Wall time at most, whatever else runs on the machine.
_PATIENCE_S = 15.0
_CASES = 300
_TRIED = [row for row in ROWS if not (row.long or row.not_applicable or row.tried_by)]
#: Codes of problems and faults as they stand in answers.
_CODE = re.compile(r"^(?:\d{3} (?:Sender |VersionMismatch |MustUnderstand )?|set aside: )([A-Za-z0-9_]+)$")


@pytest.mark.parametrize("row", _TRIED, ids=lambda row: f"{row.section}: {row.input}")
def test_a_hostile_input_is_answered_and_harms_nothing(site: Site, row: Row) -> None:
    if row.door == "amqp":
        required("RabbitMQ (rabbitmq-server)", PrivateBroker.script())
    (result,) = judge([row], site, longest_s=_PATIENCE_S, tries=1)
    assert result.faults == ()
    assert result.cost is not None
    assert result.cost.cpu_s < LONGEST_S


def test_cases_by_chance_are_answered_and_harm_nothing(site: Site) -> None:
    report = fuzz(site, _CASES, seed=1, longest_s=_PATIENCE_S)
    assert report.faults == []
    assert set(report.cases) == set(SHARES)
    assert sum(report.cases.values()) == _CASES


def test_every_code_of_the_table_is_in_the_catalogue() -> None:
    found = {match[1].lower() for row in ROWS if (match := _CODE.match(row.answer))}
    assert len(found) > 30
    assert found <= set(catalogue.CODES) | {"taken"}


def test_the_page_shows_every_row() -> None:
    page = hostile.PAGE.read_text("utf-8")
    missing = [row.input for row in ROWS if f"| {row.input} |" not in page]
    assert missing == []


def test_the_tests_that_rows_refer_to_are_there() -> None:
    links = {match for row in ROWS for match in re.findall(r"\]\(\.\./([^)]+)\)", row.tried_by)}
    assert links
    assert [link for link in links if not (Path(__file__).parents[2] / link).exists()] == []
