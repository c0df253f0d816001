"""The table of hostile inputs, against real processes (docs/hostile-inputs.md).

Time is judged by the gateway's own CPU, for the machine does other things; `make hostile` judges
the wall clock.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import hostile
from gateway.values import replace
from schemas import catalogue
from tests.bus.broker import PrivateBroker
from tests.hostile.door import PASSES
from tests.hostile.fuzz import SHARES, fuzz
from tests.hostile.judge import judge
from tests.hostile.row import LONGEST_S, Row, Told, lines_of, of
from tests.hostile.site import Gateway, Site, json_batch
from tests.hostile.table import ROWS
from tests.required import required

pytestmark = pytest.mark.processes

#: Wall time at most, whatever else runs on the machine.
_PATIENCE_S = 15.0
_CASES = 300
_JSON = "application/json"
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


# --- the judge itself: each kind of fault is made once, and found ------------------------------------------


def _get(path: str) -> Callable[[Site], Callable[[], Told]]:
    return lambda site: lambda: of(site.gateway.get(path))


def _stranger(site: Site) -> Callable[[], Told]:
    def act() -> Told:
        with socket.create_connection(("127.0.0.1", site.partner.elsewhere)) as line:
            line.recv(1)
        return Told("200")

    return act


GOOD = Row("judge", "nothing there", _get("/v1/batches/none"), "404 not_found", canaries=())
FAULTY = {
    "the answer was": replace(GOOD, answer="400 bad_request"),
    "it took 0": replace(GOOD, input="late"),
    "a value came out in the answer": replace(GOOD, canaries=("request_id",)),
    "a value came out in the log": replace(GOOD, canaries=('"route": "/v1/batches/{id}"',)),
    "something was recorded": Row(
        "judge",
        "a good batch",
        lambda site: lambda: lines_of(site.gateway.batch(json_batch(), _JSON)),
        "202, 1 accepted",
    ),
    "an address that the message names was asked": Row("judge", "asked", _stranger, "200"),
    "a traceback": Row("judge", "traceback", lambda _site: lambda: Told("", b"Traceback")),
    "it took 100 MB": Row("judge", "much", lambda _site: lambda: Told("", memory_mb=100.0)),
}


def test_a_row_without_a_fault_has_none(site: Site) -> None:
    (result,) = judge([GOOD], site, longest_s=15.0, tries=1)
    assert result.faults == ()


@pytest.mark.parametrize("fault", FAULTY)
def test_each_kind_of_fault_is_found(site: Site, fault: str) -> None:
    longest_s = 0.0 if FAULTY[fault].input == "late" else 15.0
    (result,) = judge([FAULTY[fault]], site, longest_s=longest_s, tries=1)
    assert any(found.startswith(fault) for found in result.faults), result.faults


def test_a_gateway_that_takes_no_good_message_any_more_is_found(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PASSES, "json", lambda _site: False)  # type: ignore[arg-type]
    (result,) = judge([GOOD], site, longest_s=15.0, tries=1)
    assert result.faults == ("the next good message did not pass",)


def test_memory_is_seen_that_was_given_back_before_the_answer() -> None:
    work = (
        "import sys; sys.stdin.readline(); x = b'x' * 50_000_000; del x; print(flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", work], **pipes) as child:  # type: ignore[call-overload]
        process = Gateway(SimpleNamespace(processes={"gateway": child}))  # type: ignore[arg-type]
        with process.measured() as cost:
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
        child.stdin.close()
    assert cost[0].memory_mb > 40


# --- last, for some of it is taken: messages of the ministry that change who may send what -----------------


def test_cases_by_chance_are_answered_and_harm_nothing(site: Site) -> None:
    report = fuzz(site, _CASES, seed=1, longest_s=_PATIENCE_S)
    assert report.faults == []
    assert set(report.cases) == set(SHARES)
    assert sum(report.cases.values()) == _CASES
